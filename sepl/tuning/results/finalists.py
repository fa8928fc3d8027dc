"""The re-runs of a study's best configurations, and who of them wins.

    STORAGE/STUDY/finalists/trial-00012-fold-0.json    a run that is over, with the question that it answers
    STORAGE/STUDY/finalists/verdict.json               what they came to

The best of many is partly the luckiest of many. So the best few are trained again with fresh seeds, each time validated
on a fold of patients that is the same for all of them; the winner has the highest mean less its standard error.
"""

import math
import re
from collections.abc import Sequence

from pydantic import Field

from sepl.config import TrialConfig
from sepl.errors import StudyError
from sepl.settings import Settings
from sepl.storage import Location

FOLDER = "finalists"
VERDICT = "verdict.json"


class Question(Settings):
    """What a re-run asks: one that is kept answers no other question."""

    fingerprint: str
    """Of the dataset."""
    config: TrialConfig
    """With the seed of this run."""
    known_pattern: str | None = None
    fold: int = Field(ge=0)
    num_folds: int = Field(ge=2)
    fold_seed: int


class FinalistRun(Settings):
    """One configuration trained to its whole schedule, and validated on one fold."""

    label: str
    """Whose configuration it is, such as trial 12."""
    question: Question
    skill: float | None
    """The best epoch's, as trials are judged; None when the run broke off."""
    skills: dict[str, float | None] = Field(default_factory=dict)
    """Per task at that epoch."""
    seconds: float
    failure: str | None = None
    """Why there is no skill."""


class Standing(Settings):
    """What one configuration came to."""

    label: str
    search_skill: float | None
    """On the study's validation patients, who chose it among many; None of one that the study did not search."""
    skills: tuple[float | None, ...]
    """By fold; None where the run broke off."""
    mean: float | None
    standard_error: float | None
    """Of the mean over folds; where there is one run only, by the spread of the others' runs."""

    @property
    def score(self) -> float:
        """The mean less its standard error; minus infinity without any run."""
        return -math.inf if self.mean is None else self.mean - (self.standard_error or 0.0)


class Verdict(Settings):
    """Who won, and how sure that is."""

    standings: tuple[Standing, ...]
    """Of the finalists, in the order of the search."""
    winner: str
    num_changes_without_a_fold: int
    """In how many of the folds another one would win if the fold were left out."""
    num_folds_led_by_others: int
    """In how many folds another one was first."""
    num_folds: int
    comparisons: tuple[Standing, ...] = ()
    """Of settings that are no candidates, on the same folds."""

    @property
    def is_changed(self) -> bool:
        """Whether the first of the search did not win."""
        return self.winner != self.standings[0].label

    def told(self) -> str:
        """In a line."""
        changed = "was not the winner" if self.is_changed else "won again"
        return (
            f"{self.winner} won {self.num_folds} re-runs of each of {len(self.standings)} finalists; the first of "
            f"the search {changed}; another is first in {self.num_folds_led_by_others} of {self.num_folds} folds, and "
            f"would win without one of them in {self.num_changes_without_a_fold} of {self.num_folds} cases"
        )


def judge(finalists: Sequence[tuple[str, float | None]], skills: Sequence[Sequence[float | None]]) -> Verdict:
    """The verdict on finalists, labels with their skill in the search, best first, from `skills[finalist][fold]`.

    Of equals the first in the search wins; it also does when no run at all came to its end.
    """
    num_folds = len(skills[0])
    standings = _standings(finalists, skills)
    winner = _first(standings)
    others_by_fold = [
        _first(_standings(finalists, [[row[fold]] for row in skills])) != winner for fold in range(num_folds)
    ]
    without_a_fold = [
        _first(_standings(finalists, [[*row[:fold], *row[fold + 1 :]] for row in skills])) != winner
        for fold in range(num_folds if num_folds > 1 else 0)
    ]
    return Verdict(
        standings=standings,
        winner=winner,
        num_changes_without_a_fold=sum(without_a_fold),
        num_folds_led_by_others=sum(others_by_fold),
        num_folds=num_folds,
    )


def _standings(
    finalists: Sequence[tuple[str, float | None]], skills: Sequence[Sequence[float | None]]
) -> tuple[Standing, ...]:
    rows = [[skill for skill in row if skill is not None] for row in skills]
    squares = sum(_squares(row) for row in rows)
    free = sum(len(row) - 1 for row in rows if len(row) > 1)
    spread = math.sqrt(squares / free) if free else 0.0
    return tuple(
        Standing(
            label=label,
            search_skill=search_skill,
            skills=tuple(own),
            mean=_mean(row) if row else None,
            standard_error=_standard_error(row, spread) if row else None,
        )
        for (label, search_skill), own, row in zip(finalists, skills, rows, strict=True)
    )


def _first(standings: Sequence[Standing]) -> str:
    return max(standings, key=lambda standing: standing.score).label  # the first of equals


def _mean(skills: Sequence[float]) -> float:
    return math.fsum(skills) / len(skills)


def _squares(skills: Sequence[float]) -> float:
    mean = _mean(skills) if skills else 0.0
    return math.fsum((skill - mean) ** 2 for skill in skills)


def _standard_error(skills: Sequence[float], spread: float) -> float:
    if len(skills) < 2:
        return spread
    return math.sqrt(_squares(skills) / (len(skills) - 1) / len(skills))


def with_comparisons(verdict: Verdict, labels: Sequence[str], skills: Sequence[Sequence[float | None]]) -> Verdict:
    """The verdict with settings beside the finalists that ran on the same folds."""
    standings = _standings([(label, None) for label in labels], skills)
    return verdict.model_copy(update={"comparisons": standings})


def place_of_run(study: Location, label: str, fold: int) -> Location:
    """Where the run of a configuration on a fold is kept."""
    name = re.sub(r"\d+", lambda number: f"{int(number[0]):05d}", label)
    name = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return study / FOLDER / f"{name}-fold-{fold}.json"


def read_run(study: Location, label: str, question: Question) -> FinalistRun | None:
    """The kept run that answers this question; None where there is none, or one of another question."""
    place = place_of_run(study, label, question.fold)
    if not place.exists():
        return None
    try:
        run = FinalistRun.parse_json(place.read_bytes(), place.uri, StudyError)
    except StudyError:
        return None  # of an earlier version, or damaged: it is run again
    return run if run.question == question else None


def write_run(study: Location, run: FinalistRun) -> None:
    """Whole or not at all. Raises StorageError."""
    place = place_of_run(study, run.label, run.question.fold)
    place.write_bytes((run.model_dump_json(indent=2) + "\n").encode())


def read_verdict(study: Location) -> Verdict | None:
    """None where nothing was re-run. Raises StudyError for a file that is damaged."""
    place = study / FOLDER / VERDICT
    return Verdict.parse_json(place.read_bytes(), place.uri, StudyError) if place.exists() else None


def write_verdict(study: Location, verdict: Verdict) -> None:
    """Raises StorageError."""
    (study / FOLDER / VERDICT).write_bytes((verdict.model_dump_json(indent=2) + "\n").encode())
