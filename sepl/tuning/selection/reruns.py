"""The best configurations of a search trained again, on fresh folds: whatever is not done yet, and the verdict.

A run that is over is kept in the study's folder, so that a killed study does again only what it was in the middle of.
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch

from sepl.config import TrialConfig
from sepl.data.dataset.dataset import PreparedDataset
from sepl.errors import ConfigError, DivergedError
from sepl.training.input.folds import Fold, load_fold
from sepl.training.supervised.run import TrainingRun, train
from sepl.tuning.record.record import StudyFolder, StudyRecord
from sepl.tuning.results.finalists import (
    FinalistRun,
    Question,
    judge,
    read_run,
    read_verdict,
    with_comparisons,
    write_run,
    write_verdict,
)
from sepl.tuning.selection.candidates import Candidate, compared_settings
from sepl.tuning.selection.rules import SelectionRules
from sepl.tuning.trials.known_pattern import judge_known

Tell = Callable[[str], None]
Job = Callable[[Tell], FinalistRun]
RunAll = Callable[[Sequence[Job]], Iterable[FinalistRun]]
"""Runs jobs somewhere, and gives their results in the order in which they come."""

LEAST_FOLDS = 5
"""A fifth of the patients or fewer validates, so that about as many train as did in the search."""


@dataclass(frozen=True)
class Rerun:
    """One run to be made; pickles."""

    storage: str
    study: str
    dataset: str
    label: str
    question: Question


def one_after_the_other(jobs: Sequence[Job]) -> Iterator[FinalistRun]:
    """In this process."""
    return (job(lambda _: None) for job in jobs)


@dataclass(frozen=True, eq=False)
class Workshop:
    """Where re-runs are made and kept."""

    folder: StudyFolder
    """Whose study the caller holds."""
    tell: Tell
    run_all: RunAll = one_after_the_other
    num_threads: int | None = None
    """Of torch, in a run; None: as they are."""

    def decide(self, candidates: Sequence[Candidate], rules: SelectionRules) -> Candidate:
        """The winner among candidates, best of the search first, after the re-runs that are asked for and not kept.

        A run that diverges costs itself only. Raises DatasetError when the dataset is not what it was or too small to
        be dealt out, StorageError when a run cannot be kept.
        """
        if not needs_reruns(candidates, rules):
            return candidates[0]
        skills = self._skills({row.label: row.config for row in candidates}, rules)
        verdict = judge([(row.label, row.row.best_skill) for row in candidates], skills)
        winner = next(row for row in candidates if row.label == verdict.winner)
        if rules.compare:
            beside = compared_settings(winner.config)
            verdict = with_comparisons(verdict, list(beside), self._skills(beside, rules))
        if read_verdict(self.folder.location) != verdict:
            write_verdict(self.folder.location, verdict)
            self.tell(verdict.told())
        return winner

    def _skills(self, configs: Mapping[str, TrialConfig], rules: SelectionRules) -> list[list[float | None]]:
        """Of each configuration by fold, from runs that are kept and those that are made now."""
        record = self.folder.read()
        asked = {label: _questions(record, config, rules) for label, config in configs.items()}
        found = {
            (label, question.fold): read_run(self.folder.location, label, question)
            for label, questions in asked.items()
            for question in questions
        }
        self._make([(label, row) for label, rows in asked.items() for row in rows], record.dataset, found)
        skills: list[list[float | None]] = []
        for label, questions in asked.items():
            runs = [found[label, question.fold] for question in questions]
            skills.append([None if run is None else run.skill for run in runs])
        return skills

    def _make(
        self, asked: Sequence[tuple[str, Question]], dataset: str, found: dict[tuple[str, int], FinalistRun | None]
    ) -> None:
        """The runs that are not among the found ones, added to them."""
        address, question_mark, query = self.folder.registry.uri.partition("?")
        storage = f"{address.removesuffix('/registry')}{question_mark}{query}"
        missing = [
            Rerun(storage, self.folder.name, dataset, label, question)
            for label, question in asked
            if found[label, question.fold] is None
        ]
        num_kept, start = len(asked) - len(missing), time.monotonic()
        if num_kept and missing:
            self.tell(f"{num_kept} of {len(asked)} re-runs are kept from before")
        jobs = [partial(run_once, rerun, self.num_threads) for rerun in missing]
        for count, run in enumerate(self.run_all(jobs), start=1):
            found[run.label, run.question.fold] = run
            seconds_left = (time.monotonic() - start) / count * (len(jobs) - count)
            self.tell(_line(run, num_kept + count, len(asked), seconds_left))


def needs_reruns(candidates: Sequence[Candidate], rules: SelectionRules) -> bool:
    """Whether there is a choice to make, or something to compare with."""
    return rules.ensemble == 0 and (len(candidates) > 1 or rules.compare)


def _questions(record: StudyRecord, config: TrialConfig, rules: SelectionRules) -> list[Question]:
    """One a fold, the same folds and seeds for every configuration."""
    return [
        Question(
            fingerprint=record.fingerprint,
            config=config.with_params(seed=record.seed + 1 + fold),
            known_pattern=record.known_pattern,
            fold=fold,
            num_folds=max(LEAST_FOLDS, rules.finalist_seeds),
            fold_seed=record.seed,
        )
        for fold in range(rules.finalist_seeds)
    ]


def _line(run: FinalistRun, number: int, num_runs: int, seconds_left: float) -> str:
    came_to = f"skill {run.skill:.3f}" if run.skill is not None else f"no skill: {run.failure}"
    left = f", about {_duration(seconds_left)} left" if number < num_runs else ""
    return f"re-run {number} of {num_runs}: {run.label}, fold {run.question.fold}, {came_to}{left}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def run_once(rerun: Rerun, num_threads: int | None, tell: Tell) -> FinalistRun:
    """Makes one run and keeps it. Raises DatasetError and StorageError."""
    del tell  # a run says nothing until it is over: several go on at once
    if num_threads is not None:
        torch.set_num_threads(num_threads)
    question, start = rerun.question, time.monotonic()
    dataset = PreparedDataset.open(rerun.dataset, fingerprint=question.fingerprint)
    try:
        skill, skills = _train(question, dataset)
        failure = None
    except (DivergedError, ConfigError) as problem:
        skill, skills, failure = None, {}, str(problem).partition("\n")[0]
    run = FinalistRun(
        label=rerun.label,
        question=question,
        skill=skill,
        skills=skills,
        seconds=time.monotonic() - start,
        failure=failure,
    )
    write_run(StudyFolder.at(rerun.storage, rerun.study).location, run)
    return run


def _train(question: Question, dataset: PreparedDataset) -> tuple[float | None, dict[str, float | None]]:
    """The best epoch's skill, and that of every task."""
    fold, pattern = Fold(question.fold, question.num_folds, question.fold_seed), question.known_pattern
    judge = None if pattern is None else partial(judge_known, pattern, dataset)
    run = TrainingRun(question.config, load_fold(dataset, fold, judge=judge))
    best, skills = -math.inf, dict[str, float]()
    for epoch in train(run):
        if epoch.validation_skill > best:
            best, skills = epoch.validation_skill, epoch.skill_per_task
    return best, {name: None if math.isnan(skill) else skill for name, skill in skills.items()}
