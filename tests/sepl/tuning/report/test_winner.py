"""What the report says of re-runs, groups of patients and readings."""

from pathlib import Path

import numpy as np
from bundles import TASKS, planted_evaluation
from unsearched import study_record

from sepl.bundle.ledger import Ledger, SealedReading, SealedSet
from sepl.metrics import evaluate
from sepl.tasks import TaskSplit
from sepl.tuning.record.record import StudyFolder
from sepl.tuning.report.winner import finalists_section, readings_told, subgroups_section
from sepl.tuning.results.finalists import judge, with_comparisons, write_verdict

RECORD = study_record(fingerprint="f" * 64, space="s.py", space_sha256="")


def folder_in(storage: Path) -> StudyFolder:
    return StudyFolder.at(str(storage), "made")


def test_a_study_without_re_runs_says_nothing_of_them(tmp_path: Path) -> None:
    assert finalists_section(folder_in(tmp_path)) == ""


def test_re_runs_are_told_with_every_fold_and_what_they_are_compared_with(tmp_path: Path) -> None:
    verdict = judge([("trial 4", 0.61), ("trial 2", 0.5)], [[0.3, 0.4], [0.41, None]])
    verdict = with_comparisons(verdict, ["hard sharing"], [[0.123, 0.123]])
    write_verdict(folder_in(tmp_path).location, verdict)

    told = finalists_section(folder_in(tmp_path))

    for part in (verdict.told(), "trial 4", "0.610", "0.350", "hard sharing", "0.123", "fold 1", "–"):
        assert part in told


def test_groups_are_told_with_their_number_and_small_ones_as_too_small() -> None:
    rng = np.random.default_rng(0)
    labels_PT = np.column_stack([rng.random(60) < 0.5, rng.normal([50, 120, 6], [10, 20, 1], (60, 3))]).astype(float)
    sites_P = np.where(np.arange(60) < 50, "north", "south")
    evaluation = evaluate(
        labels_PT + rng.normal(0, 1, (60, 4)),
        labels_PT,
        labels_PT,
        TASKS,
        cohort_split="test",
        task_split=TaskSplit.parse("demographic", TASKS),
        groups={"site": sites_P},
        num_bootstrap=20,
    )

    told = subgroups_section(evaluation)

    assert str(evaluation.subgroups[0].mean_skill) in told
    assert "south" in told
    assert "too few to tell (fewer than 20)" in told


def test_without_groups_nothing_is_said_of_them() -> None:
    labels_PT = np.random.default_rng(0).random((9, 4))

    assert subgroups_section(None) == ""
    assert subgroups_section(planted_evaluation(labels_PT, labels_PT)) == ""


def test_readings_of_all_studies_are_told(tmp_path: Path) -> None:
    folder = folder_in(tmp_path)
    assert readings_told(folder, RECORD) == ""
    sealed = SealedSet(fingerprint=RECORD.fingerprint, patients="p", num_patients=3)
    for study in ("made", "other"):
        Ledger(folder.registry).note(SealedReading(sealed=sealed, study=study, command="jobs.search"))

    assert "These sealed patients have been read 2 times by 2 studies." in readings_told(folder, RECORD)
    for _ in range(2):
        folder.unsealing(RECORD.fingerprint).note("trial 1")
    assert "This study read them more than once" in readings_told(folder, RECORD)
