"""A run that was stopped and goes on ends as one that nothing stopped."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sepl.config import TrialConfig
from sepl.training.input.batches import TrainingData
from sepl.training.supervised.run import EpochResult, TrainingRun, train


class StopError(Exception):
    """The process dies here."""


@dataclass(frozen=True)
class Finished:
    run: TrainingRun
    results: list[EpochResult]


_finished: dict[str, Finished] = {}


def finished_run(config: TrialConfig, data: TrainingData) -> Finished:
    """A run that nothing interrupted; one for all examples of a config."""
    key = config.model_dump_json()
    if key not in _finished:
        run = TrainingRun(config, data)
        _finished[key] = Finished(run, [without_times(result) for result in train(run)])
    return _finished[key]


def run_until(run: TrainingRun, num_steps: int, folder: Path) -> list[EpochResult]:
    """Trains for so many steps, saves below the folder and dies; the results of the epochs that ended."""
    results: list[EpochResult] = []

    def stop() -> None:
        if run.steps_done == num_steps:
            run.save(folder / "save")
            raise StopError

    try:
        for result in train(run, after_step=stop):
            results.append(result)
            stop()  # an epoch's last step
    except StopError:
        return results
    raise AssertionError("the run ended before")


def assert_same_saves(run: TrainingRun, expected: TrainingRun, folder: Path) -> None:
    for name, saved in (("found", run), ("expected", expected)):
        saved.save(folder / name)
    files = sorted(path.name for path in (folder / "expected").iterdir())
    assert len(files) == 7
    different = [
        name for name in files if (folder / "found" / name).read_bytes() != (folder / "expected" / name).read_bytes()
    ]
    assert not different


def without_times(result: EpochResult) -> EpochResult:
    return replace(result, seconds=0.0, photographs_per_second=0.0)


EVERY_MEMORY: dict[str, Any] = {"ema_decay": 0.9, "layer_decay": 0.7, "frozen_stages": 1, "num_epochs": 3}
"""Options that leave something behind in a run."""


@given(stop=st.integers(1, 8))
@settings(max_examples=4)
@example(stop=3)  # the end of an epoch
@pytest.mark.parametrize(
    ("backbone", "options"),
    [
        ("test_efficientnet", {}),
        ("test_convnext", {"drop_path": 0.2, **EVERY_MEMORY, "weighting": "dwa"}),
        ("test_vit", {"drop_path": 0.2, **EVERY_MEMORY, "weighting": "famo", "micro_batch_size": 5}),
        ("test_vit", {"weighting": "uncertainty_laplace", "num_epochs": 3, "deterministic": True}),
        ("test_convnext", {"fusion": "attention", "propagation": "shuffled"}),
        ("test_vit", {"known_share": 0.5, "micro_batch_size": 5, "weighting": "upgrad", "drop_path": 0.2}),
        ("test_convnext", {"known_share": 0.3, "fusion": "attention", "binary_prior": "probability"}),
    ],
)
def test_a_run_stopped_after_any_step_ends_with_the_same_bits(
    backbone: str,
    options: dict[str, Any],
    stop: int,
    config: TrialConfig,
    data: TrainingData,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    config = config.with_params(backbone=backbone, batch_size=24, **{"num_epochs": 3, **options})
    uninterrupted, folder = finished_run(config, data), tmp_path_factory.mktemp("checkpoint")
    stopped = TrainingRun(config, data)
    assert uninterrupted.run.num_steps == 9

    results = run_until(stopped, stop, folder)
    second = TrainingRun(config, data)
    second.restore(folder / "save")
    torch.rand(7)  # the process did something else in between
    results += train(second)

    assert [without_times(result) for result in results] == uninterrupted.results
    assert second.best_epoch == uninterrupted.run.best_epoch
    assert_same_saves(second, uninterrupted.run, folder)


def test_a_run_that_stopped_in_an_epoch_says_how_far_it_is(
    config: TrialConfig, data: TrainingData, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder, run = tmp_path_factory.mktemp("checkpoint"), TrainingRun(config, data)

    run_until(run, 3, folder)

    again = TrainingRun(config, data)
    again.restore(folder / "save")
    assert (again.steps_done, again.num_steps) == (3, 4 * data.train.steps_per_epoch(16))
    assert again.run_epoch().epoch == 1
