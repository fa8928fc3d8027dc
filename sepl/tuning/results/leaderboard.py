"""A study's trials as plain rows, read from Optuna: what the terminal, `leaderboard.json` and the report show."""

from typing import Any, Literal

import optuna
from optuna.trial import FrozenTrial, TrialState
from pydantic import RootModel

from sepl.settings import Settings
from sepl.tuning.record.attributes import FROM_STUDY

State = Literal["complete", "pruned", "failed", "running", "waiting"]

_STATES: dict[TrialState, State] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}
_ORDER: tuple[State, ...] = ("complete", "pruned", "running", "waiting", "failed")


class TrialRow(Settings):
    """One trial."""

    number: int
    state: State
    best_skill: float | None
    """Mean skill over tasks on the validation patients, best of its epochs; in a study that knows values of them, the
    mean of the next two."""
    unknown_skill: float | None = None
    """With nothing known."""
    known_skill: float | None = None
    """With these values known, over the other tasks."""
    num_epochs: int
    """Epochs that it ran."""
    best_epoch: int | None
    seconds: float
    params: dict[str, Any]
    """The hyperparameters that were searched."""
    config: dict[str, Any]
    """All that it ran with, the space's constants among them."""
    curve: dict[int, float]
    """Best skill so far by epoch."""
    skills: dict[str, float]
    """Skill per task at its last epoch."""
    failure: str | None
    from_study: str | None = None
    """The study that ran it, of one that was taken over as history; it is never the winner."""


class Leaderboard(RootModel[tuple[TrialRow, ...]]):
    """Best first: full runs, then those stopped early from the longest run, then the rest."""

    def counts(self) -> dict[State, int]:
        states = [row.state for row in self.root]
        return {state: states.count(state) for state in _ORDER}

    def own(self) -> "Leaderboard":
        """Without the trials that another study ran."""
        return Leaderboard(root=tuple(row for row in self.root if row.from_study is None))

    def best(self) -> TrialRow | None:
        """The best trial of this study that ran to the end; None when none did."""
        own = (row for row in self.root if row.from_study is None)
        return next((row for row in own if row.state == "complete"), None)


def leaderboard(study: optuna.Study, finished: dict[int, TrialRow] | None = None) -> Leaderboard:
    """`finished` keeps the rows of finished trials from one call to the next: they stay, and there are ever more."""
    finished = {} if finished is None else finished
    trials = study.get_trials(deepcopy=False)
    rows = [finished.get(trial.number) or _row(trial) for trial in trials]
    finished.update((row.number, row) for row, trial in zip(rows, trials, strict=True) if trial.state.is_finished())
    return Leaderboard(root=tuple(sorted(rows, key=_rank)))


def best_epoch(curve: dict[int, float]) -> int | None:
    """The epoch that set the best skill: best so far does not rise after it."""
    return min((epoch for epoch, skill in curve.items() if skill == max(curve.values())), default=None)


def _row(trial: FrozenTrial) -> TrialRow:
    curve = dict(sorted(trial.intermediate_values.items()))
    return TrialRow(
        number=trial.number,
        state="waiting" if _is_paused(trial) else _STATES[trial.state],
        best_skill=max(curve.values(), default=None),
        unknown_skill=trial.user_attrs.get("unknown_skill"),
        known_skill=trial.user_attrs.get("known_skill"),
        num_epochs=max(curve, default=0),
        best_epoch=best_epoch(curve),
        seconds=trial.user_attrs.get("seconds", 0.0),
        params=trial.params or trial.user_attrs.get("point", {}),
        config=trial.user_attrs.get("config", {}),
        curve=curve,
        skills=trial.user_attrs.get("skills", {}),
        failure=trial.user_attrs.get("failure"),
        from_study=trial.user_attrs.get(FROM_STUDY),
    )


def _is_paused(trial: FrozenTrial) -> bool:
    """By its scheduler: it may go on."""
    return trial.state == TrialState.RUNNING and bool(trial.user_attrs.get("paused"))


def _rank(row: TrialRow) -> tuple[int, int, float]:
    skill = row.best_skill if row.best_skill is not None else float("-inf")
    return (_ORDER.index(row.state), -row.num_epochs, -skill)
