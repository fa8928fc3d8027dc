"""What a training step of sepl costs: against its bare backbone with one linear head, and against the released loop.

    python -m benchmarks.step_time --json out.json [--quick]

ConvNeXt-T at 224 px, the paper's 15 tasks, 4 experts. On the CPU batches of 16 in float32; where there is a GPU, beside
it, batches of 64 in bfloat16, of which the JSON's `ratio` is then. Contenders, timed in turn in one run:

- sepl       the step of TrainingRun: photographs gathered from the prepared dataset, augmented, masked losses, AdamW.
- bare       the same backbone and one linear head on one batch of normalised images in memory: no input, no
             augmentation, no masks, no experts. Promised: sepl / bare at most 1.08 on a CPU, 1.06 on a GPU.
- released   the structure of the released loop: a DataLoader decodes and equalises each photograph in each epoch; a
             layer an expert, a gate and a head; 15 losses each fetched by `.item()`; Adam, full precision.

`shares` are parts of sepl's own step, each waited for: input (gathering and augmentation), forward (with losses),
backward, optimiser.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.support.report import benchmark_parser, interleaved_seconds, report
from benchmarks.support.step_contenders import BareStep, ReleasedStep, num_workers, wait
from sepl.config import TrialConfig
from sepl.data.cohort.cohort import read_cohort
from sepl.data.dataset.dataset import PreparedDataset
from sepl.data.patients.splits import COHORT_SPLITS
from sepl.data.preparation.prepare import prepare
from sepl.device import deterministic_kernels
from sepl.models.parts.network import Representation
from sepl.simulation.cohort import simulate_cohort
from sepl.tasks import TaskSplit
from sepl.training.input.batches import Batch, TrainingData
from sepl.training.supervised.backward import BatchBackward
from sepl.training.supervised.losses import TaskLosses
from sepl.training.supervised.passes import Passes
from sepl.training.supervised.run import TrainingRun
from sepl.training.weighting.base import Weighting

NUM_PATIENTS = 72
"""Two photographs each: more than two batches of 64."""
PHOTOGRAPH_SIZE = 512
"""Of the JPEG files, in pixels. A camera's have ten to forty times as many, and would make decoding dearer still."""
IMAGE_SIZE = 224
BATCH_SIZES = {"cpu": 16, "cuda": 64}
PROMISED = {"cpu": 1.08, "cuda": 1.06}


def main() -> None:
    options = benchmark_parser(__doc__).parse_args()
    with tempfile.TemporaryDirectory() as folder, deterministic_kernels(False):
        dataset, files = _make_dataset(Path(folder))
        measured = {kind: _measure(kind, dataset, files, options) for kind in _kinds()}
    kind = _kinds()[-1]
    report(
        options,
        name="step_time",
        ratio=measured[kind]["sepl_over_bare"],
        against=f"a training step of sepl over one of its bare backbone, {kind} (promised: {PROMISED[kind]})",
        n=measured[kind]["rounds"],
        measured={**measured, "num_workers_released": num_workers(), "image_px": IMAGE_SIZE},
    )


def _kinds() -> list[str]:
    return ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]


def _make_dataset(folder: Path) -> tuple[PreparedDataset, list[Path]]:
    """A simulated cohort, prepared, and its files."""
    for _ in simulate_cohort(folder / "cohort", num_patients=NUM_PATIENTS, image_size=PHOTOGRAPH_SIZE, seed=0):
        pass
    prepare(read_cohort(folder / "cohort" / "cohort.toml"), folder / "prepared", IMAGE_SIZE, keep_patient_ids=True)
    files = sorted((folder / "cohort" / "images").iterdir())
    return PreparedDataset.open(folder / "prepared"), files


def _measure(kind: str, dataset: PreparedDataset, files: list[Path], options: argparse.Namespace) -> dict[str, Any]:
    rounds = (4 if options.quick else 20) if kind == "cpu" else (40 if options.quick else 200)
    data = TrainingData.load(dataset, COHORT_SPLITS, None, kind)
    setting = TrialConfig.from_params({"backbone": "convnext_tiny", "batch_size": BATCH_SIZES[kind]})
    step = SeplStep(setting, data)
    bare = BareStep("convnext_tiny", step.images(), step.batch, setting.training.precision)
    num_priors = len(TaskSplit.parse(setting.model.task_split, data.tasks).priors)
    released = ReleasedStep(files, IMAGE_SIZE, len(step.batch.targets_BT), num_priors, len(data.tasks), data.device)
    metered = {"sepl": Metered(step), "bare": Metered(bare)}
    seconds = interleaved_seconds(metered, rounds, warmup=1 if kind == "cpu" else 10)
    beside = interleaved_seconds({"sepl": step, "released": released}, max(2, rounds // 4), warmup=1)
    return {
        "rounds": rounds,
        "batch_size": len(step.batch.targets_BT),
        "seconds_per_step": {name: statistics.median(times) for name, times in {**beside, **seconds}.items()},
        "sepl_over_bare": _median_ratio(seconds["sepl"], seconds["bare"]),
        "sepl_over_bare_core_seconds": _median_ratio(metered["sepl"].core_seconds, metered["bare"].core_seconds),
        "released_over_sepl": _median_ratio(beside["released"], beside["sepl"]),
        "shares": step.shares(max(2, rounds // 4)),
    }


def _median_ratio(above: list[float], below: list[float]) -> float:
    """Of the rounds: what disturbs a round disturbs both of its steps, and one bad round does not count."""
    return statistics.median(one / other for one, other in zip(above, below, strict=True))


class Metered:
    """A step, and the core seconds of each of its calls, which a busy machine disturbs less than the clock's."""

    def __init__(self, step: Callable[[], object]) -> None:
        self._step = step
        self.core_seconds: list[float] = []

    def __call__(self) -> None:
        before = time.process_time()
        self._step()
        self.core_seconds.append(time.process_time() - before)


class SeplStep:
    """A step of a run, and the time that its parts take."""

    def __init__(self, setting: TrialConfig, data: TrainingData) -> None:
        self._run, self._data, self._setting = TrainingRun(setting, data), data, setting
        self._batches = self._endless()
        self.batch = next(self._batches)
        self._weighting = TimedWeighting(self._run.supervised.weighting, data.device)
        passes = Passes(
            self._run.network,
            self._weighting,
            TaskLosses(data.tasks, data.device),
            precision=setting.training.precision,
            streams=self._run.streams,
        )
        self._backward = BatchBackward(passes)

    def __call__(self) -> None:
        self._run.step(next(self._batches), self._setting.training.learning_rate)
        wait(self._data.device)

    def images(self) -> Tensor:
        """A batch as the network gets it."""
        return self._run.supervised.augment(self.batch.pixels_BHWC)

    def shares(self, rounds: int) -> dict[str, float]:
        """Of the median step, which is dearer than one that is waited for only at its end."""
        spent: dict[str, list[float]] = {"input": [], "forward": [], "backward": [], "optimiser": []}
        for _ in range(rounds):
            for name, seconds in self._timed_parts().items():
                spent[name].append(seconds)
        medians = {name: statistics.median(seconds) for name, seconds in spent.items()}
        return {name: seconds / sum(medians.values()) for name, seconds in medians.items()}

    def _timed_parts(self) -> dict[str, float]:
        run, device = self._run, self._data.device
        parts = [time.perf_counter()]

        def note() -> None:
            wait(device)
            parts.append(time.perf_counter())

        batch = next(self._batches)
        images_BCHW, _ = run.supervised.inputs(batch)
        note()
        self._backward(images_BCHW, batch)
        note()
        run.optimiser.step()
        run.optimiser.zero_grad(set_to_none=True)
        note()
        taken, both, updated = (after - before for before, after in pairwise(parts))
        backward = self._weighting.seconds
        return {"input": taken, "forward": both - backward, "backward": backward, "optimiser": updated}

    def _endless(self) -> Iterator[Batch]:
        generator = torch.Generator().manual_seed(0)
        while True:
            yield from self._data.train.epoch(self._setting.training.batch_size, generator)


class TimedWeighting(Weighting):
    """Another weighting, and the seconds of its last backward pass."""

    def __init__(self, inner: Weighting, device: torch.device) -> None:
        super().__init__()
        self.inner, self.device, self.seconds = inner, device, 0.0

    def backward(
        self,
        losses_T: Tensor,
        present_T: Tensor,
        representation: Representation | None,
        penalty: Tensor,
    ) -> None:
        wait(self.device)
        start = time.perf_counter()
        self.inner.backward(losses_T, present_T, representation, penalty)
        wait(self.device)
        self.seconds = time.perf_counter() - start


if __name__ == "__main__":
    main()
