"""What every section of a study's report is made from, and how time is told in it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import optuna
from optuna.trial import FrozenTrial

from sepl.bundle.manifest import BundleManifest
from sepl.metrics import Evaluation
from sepl.tuning.record.attributes import FROM_STUDY, SECONDS, SHARE
from sepl.tuning.record.record import ENDED, PRICE, StudyFolder, StudyRecord
from sepl.tuning.results.leaderboard import Leaderboard

_UNITS = {"gpus": "GPU-hours", "cpus": "CPU-hours"}
OF_TRIALS = "hours of trials"


@dataclass(frozen=True)
class StudyPage:
    """One study, read once."""

    folder: StudyFolder
    record: StudyRecord
    study: optuna.Study
    board: Leaderboard
    """Of all trials, another study's among them."""
    evaluation: Evaluation | None = None
    manifest: BundleManifest | None = None

    @property
    def ended(self) -> str | None:
        return self.study.user_attrs.get(ENDED)

    @property
    def price_per_hour(self) -> float | None:
        """Of a GPU or a CPU core, as the newest driver was told."""
        return self.study.user_attrs.get(PRICE)

    @property
    def own_trials(self) -> list[FrozenTrial]:
        return [trial for trial in self.study.get_trials(deepcopy=False) if FROM_STUDY not in trial.user_attrs]


@dataclass(frozen=True)
class Spent:
    """A finished trial and what all that had finished by then had used."""

    number: int
    hours: float
    """Of GPUs, where trials had none of CPU cores; of trials, where nobody kept what they had."""


def hours_spent(trials: Sequence[FrozenTrial]) -> tuple[str, list[Spent]]:
    """What the hours are of, and the finished trials in the order that they ended."""
    finished = [trial for trial in trials if trial.state.is_finished() and trial.datetime_complete is not None]
    finished.sort(key=lambda trial: (_stamp(trial.datetime_complete), trial.number))
    shares = [trial.user_attrs.get(SHARE, {}) for trial in finished]
    kind = next((name for name in _UNITS if any(share.get(name) for share in shares)), "")
    spent, total = [], 0.0
    for trial, share in zip(finished, shares, strict=True):
        total += trial.user_attrs.get(SECONDS, 0.0) * (share.get(kind, 0.0) if kind else 1.0) / 3600
        spent.append(Spent(trial.number, total))
    return _UNITS.get(kind, OF_TRIALS), spent


def running_at_once(trials: Sequence[FrozenTrial], now: datetime) -> list[tuple[float, int]]:
    """Hours since the first trial began, and how many ran from then on.

    A trial that was interrupted counts from when it ran last: Optuna keeps one beginning.
    """
    changes = sorted(change for trial in trials for change in _changes(trial, now))
    if not changes:
        return []
    first, steps, running = changes[0][0], [], 0
    for moment, change in changes:
        running += change
        steps.append(((moment - first) / 3600, running))
    return steps


def _changes(trial: FrozenTrial, now: datetime) -> Iterator[tuple[float, int]]:
    if trial.datetime_start is None or not (trial.intermediate_values or trial.user_attrs.get("config")):
        return
    if not trial.state.is_finished() and trial.state.name != "RUNNING":
        return
    begun, ended = _stamp(trial.datetime_start), _stamp(trial.datetime_complete or now)
    if ended > begun:
        yield begun, 1
        yield ended, -1


def _stamp(moment: datetime | None) -> float:
    """Optuna's times are local and do not say so."""
    return (moment or datetime.now(UTC)).timestamp()
