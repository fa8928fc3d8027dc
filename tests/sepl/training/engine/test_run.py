from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from sepl.training.engine.objective import Objective, Pace
from sepl.training.engine.run import Engine
from sepl.training.engine.seeding import RandomStreams
from sepl.training.engine.settings import EngineSettings


class Reconstruction(Objective[Tensor, Tensor, float]):
    """Of noisy rows, without tasks or labels; better when the error is smaller."""

    def __init__(self, network: nn.Module) -> None:
        self.network, self.rows = network, torch.randn(16, 3, generator=torch.Generator().manual_seed(0))
        self.error, self.least = 0.0, float("inf")

    @property
    def steps_per_epoch(self) -> int:
        return 4

    def batches(self, order: torch.Generator, num_skipped: int) -> Iterator[Tensor]:
        yield from self.rows[torch.randperm(16, generator=order)].view(4, 4, 3)[num_skipped:]

    def num_photographs(self, batch: Tensor) -> int:
        return len(batch)

    def inputs(self, batch: Tensor) -> Tensor:
        return batch

    def backward(self, inputs: Tensor, step: int) -> None:
        (self.network(inputs + 0.1 * torch.randn(inputs.shape)) - inputs).square().mean().backward()

    def validate(self, network: nn.Module, epoch: int) -> bool:
        with torch.no_grad():
            self.error = float((network(self.rows) - self.rows).square().mean())
        is_better, self.least = self.error < self.least, min(self.error, self.least)
        return is_better

    def epoch_result(self, pace: Pace) -> float:
        return self.error

    def state_dict(self) -> dict[str, Tensor]:
        return {"least": torch.tensor(self.least, dtype=torch.float64)}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self.least = float(state["least"])


def engine() -> Engine[Tensor, Tensor, float]:
    streams = RandomStreams(0, torch.device("cpu"))
    with streams.active():
        network = nn.Linear(3, 3)
    settings = EngineSettings(num_epochs=6, learning_rate=0.1, ema_decay=0.5)
    return Engine(network, Reconstruction(network), settings, streams, {"rows": "sixteen"})


def test_the_engine_trains_an_objective_without_tasks_and_resumes_it_to_the_bit(tmp_path: Path) -> None:
    whole, first, second = engine(), engine(), engine()
    errors = [whole.run_epoch() for _ in range(6)]
    for _ in range(3):
        first.run_epoch()
    first.save(tmp_path)

    second.restore(tmp_path)
    rest = [second.run_epoch() for _ in range(3)]

    assert rest == errors[3:]
    assert errors[-1] < errors[0] / 2
    assert whole.finished
    assert all(torch.equal(value, second.best_state()[name]) for name, value in whole.best_state().items())
