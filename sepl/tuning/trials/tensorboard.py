"""TensorBoard's view of a study: `tensorboard --logdir STORAGE/STUDY/tune`.

In place of Ray's TBXLoggerCallback (2.60), which counts Tune's iterations, that begin at 1 again when a trial goes on
under another driver; keeps the files of trials open that a budget cuts off; and prints a traceback for hyperparameters
that are None or a list. The writer is the one that Ray brings, tensorboardX; without it there is no such log.
"""

import importlib
import importlib.util
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ray.tune import Callback

from sepl.tuning.search.names import METRIC, TIME_ATTR

_SHOWN = (METRIC, "validation_skill", "train_loss", "photographs_per_second")


class TensorBoardLog(Callback):
    """Scalars of every epoch beside each trial's `result.json`."""

    def __init__(self, writer: Any) -> None:
        self._new_writer = writer
        self._writers: dict[str, Any] = {}

    def on_trial_result(
        self,
        iteration: int,  # noqa: ARG002
        trials: list[Any],  # noqa: ARG002
        trial: Any,
        result: dict[str, Any],
        **info: Any,  # noqa: ARG002
    ) -> None:
        scalars = {name: result[name] for name in _SHOWN if _is_finite(result.get(name))}
        if not scalars or TIME_ATTR not in result:
            return
        if trial.trial_id not in self._writers:
            self._writers[trial.trial_id] = self._new_writer(str(trial.local_path))
        writer = self._writers[trial.trial_id]
        for name, value in (scalars | _skills(result)).items():
            writer.add_scalar(name, value, global_step=result[TIME_ATTR])
        writer.flush()

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:  # noqa: ARG002
        self._close(trial.trial_id)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:  # noqa: ARG002
        self._close(trial.trial_id)

    def on_experiment_end(self, trials: list[Any], **info: Any) -> None:  # noqa: ARG002
        for trial_id in list(self._writers):
            self._close(trial_id)

    def _close(self, trial_id: str) -> None:
        writer = self._writers.pop(trial_id, None)
        if writer is not None:
            writer.close()

    def __getstate__(self) -> dict[str, Any]:
        return {}  # for a snapshot of Tune's that is never read


def tensorboard_log() -> list[Callback]:
    """One, or none where the writer is not installed."""
    if importlib.util.find_spec("tensorboardX") is None:
        return []
    with _without_torch():
        writer = importlib.import_module("tensorboardX").SummaryWriter
    return [TensorBoardLog(writer)]


@contextmanager
def _without_torch() -> Iterator[None]:
    """tensorboardX imports torch where there is one, for tensors to log, and does without: a driver saves 7 s."""
    if "torch" in sys.modules:
        yield
        return
    sys.modules["torch"] = None  # type: ignore[assignment]  # as Python marks what is not there
    try:
        yield
    finally:
        del sys.modules["torch"]


def _skills(result: dict[str, Any]) -> dict[str, float]:
    """Of each task, whether Tune has flattened them or not."""
    nested = {f"skills/{name}": value for name, value in result.get("skills", {}).items()}
    flat = {name: value for name, value in result.items() if name.startswith("skills/")}
    return {name: value for name, value in (nested | flat).items() if _is_finite(value)}


def _is_finite(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
