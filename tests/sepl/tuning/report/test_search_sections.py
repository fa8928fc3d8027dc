"""Each section says what it knows, and nothing where there is nothing to say."""

from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.trial import TrialState, create_trial
from unsearched import study_record

from sepl.storage import resolve
from sepl.tuning.record.attributes import FROM_STUDY, FROM_TRIAL, SECONDS, SHARE
from sepl.tuning.record.record import StudyFolder
from sepl.tuning.report.search_sections import (
    failures_section,
    history_section,
    hours_section,
    occupancy_section,
    parallel_section,
    roles_section,
)
from sepl.tuning.report.study_page import StudyPage
from sepl.tuning.results.leaderboard import leaderboard

RATES = optuna.distributions.FloatDistribution(1e-4, 1e-2, log=True)


def trial(state: TrialState, skill: float | None = None, rate: float = 1e-3, split: str = "none", **more: Any) -> Any:
    config = {"task_split": split}
    skills = {"sex": 0.5, "age": 0.4, "sbp": 0.2}
    return create_trial(
        state=state,
        value=skill if state == TrialState.COMPLETE else None,
        params={"learning_rate": rate},
        distributions={"learning_rate": RATES},
        intermediate_values={} if skill is None else {1: skill},
        user_attrs={SECONDS: 60.0, SHARE: {"cpus": 2}, "config": config, "skills": skills, **more},
    )


def page(trials: list[Any], from_study: str | None = None) -> StudyPage:
    study = optuna.create_study(direction="maximize")
    study.add_trials(trials)
    record = study_record(dataset="/no/such/dataset", from_study=from_study)
    place = resolve(Path("/no/such/storage"))
    return StudyPage(StudyFolder("made", place / "made", place / "registry"), record, study, leaderboard(study))


@pytest.mark.parametrize(
    "section",
    [hours_section, occupancy_section, parallel_section, roles_section, failures_section, history_section],
)
def test_a_study_without_trials_has_no_such_section(section: Any) -> None:
    assert section(page([])) == ""


def test_hours_are_told_in_their_unit() -> None:
    assert "after CPU-hours of all trials" in hours_section(page([trial(TrialState.COMPLETE, 0.5)]))


def test_failures_are_grouped_by_reason_the_most_frequent_first() -> None:
    failed = [
        trial(TrialState.FAIL, failure="diverged"),
        trial(TrialState.FAIL, failure="<b>full"),
        trial(TrialState.FAIL, failure="diverged"),
    ]

    text = str(failures_section(page(failed)))

    assert text.index("<td>diverged</td><td>0, 2</td>") < text.index("<td>&lt;b&gt;full</td><td>1</td>")


def test_roles_are_shown_where_task_splits_differ() -> None:
    same = [trial(TrialState.COMPLETE, 0.5), trial(TrialState.COMPLETE, 0.4)]
    other = trial(TrialState.PRUNED, 0.3, split="sex+age")

    assert roles_section(page(same)) == ""
    assert "What was predicted first" in roles_section(page([*same, other]))


def test_parallel_axes_stand_where_hyperparameters_differ() -> None:
    trials = [trial(TrialState.COMPLETE, 0.5, rate=rate) for rate in (1e-3, 2e-3)]

    assert "Drag along an axis" in parallel_section(page(trials))


def test_what_a_study_began_with_is_told() -> None:
    taken = trial(TrialState.COMPLETE, 0.5, **{FROM_STUDY: "before", FROM_TRIAL: 3})

    assert "study before: 1 of its trials count" in history_section(page([taken], from_study="before"))
    assert "its settings were a prior" in history_section(page([], from_study="before"))
