"""A study that is whole has no finding; each thing that is broken has its own."""

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from bundles import bundle_content
from optuna.trial import TrialState

from sepl.bundle.manifest import WEIGHTS
from sepl.bundle.registry import Registry
from sepl.errors import StudyError
from sepl.tuning.record.attributes import CHECKPOINT, NUM_KEPT, RETRY_OF
from sepl.tuning.record.record import BUNDLE_ID, LEADERBOARD
from sepl.tuning.studies.verify import verify_study


def cut_short(made: Any) -> None:
    weights = made.checkpoint(1) / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4])


def remove_progress(made: Any) -> None:
    (made.checkpoint(1) / "progress.json").unlink()


def remove_checkpoint(made: Any) -> None:
    for file in made.checkpoint(1).iterdir():
        file.unlink()


def leave_running(made: Any) -> None:
    made.study.ask()
    made.end()


def repeat_twice(made: Any) -> None:
    for _ in range(2):
        made.add(TrialState.PRUNED, [0.1], **{RETRY_OF: 3})
    made.end()


def repeat_a_finished_one(made: Any) -> None:
    made.add(TrialState.PRUNED, [0.1], **{RETRY_OF: 0})
    made.end()


def report_nan(made: Any) -> None:
    made.add(TrialState.PRUNED, [0.1, math.nan])
    made.end()


def add_after_the_end(made: Any) -> None:
    made.add(TrialState.PRUNED, [0.1])


def remove_leaderboard(made: Any) -> None:
    (made.folder.location / LEADERBOARD).local_path().unlink()


def spoil_leaderboard(made: Any) -> None:
    (made.folder.location / LEADERBOARD).write_bytes(b"[{")


def name_no_bundle(made: Any) -> None:
    made.study.set_user_attr(BUNDLE_ID, "made-0123456789ab")


def leave_a_folder(made: Any) -> None:
    made.checkpoint(77).mkdir(parents=True)


BREAKS: dict[Callable[[Any], None], str] = {
    cut_short: "trial 1: its checkpoint .* is not whole: weights.safetensors cut short",
    remove_progress: r"trial 1: its checkpoint .* is not whole: no progress.json",
    remove_checkpoint: "trial 1: its checkpoint .* is gone",
    leave_running: "trial 4 is RUNNING while nobody holds the study",
    repeat_twice: "trials 4 and 5 both repeat trial 3",
    repeat_a_finished_one: "trial 4 repeats trial 0, which did not fail",
    report_nan: "trial 4 has values that are not finite, at epochs 2",
    add_after_the_end: "leaderboard.json differs from the database at trials 4",
    remove_leaderboard: "the search is over and leaderboard.json is missing",
    spoil_leaderboard: "leaderboard.json cannot be read",
    name_no_bundle: "bundle made-0123456789ab is not in the registry",
    leave_a_folder: "trial-00077 is of trial 77, which the database does not have",
}


def test_a_whole_study_has_no_finding(made: Any) -> None:
    assert verify_study(made.storage, "made") == []


@pytest.mark.parametrize("harm", BREAKS, ids=lambda harm: harm.__name__)
def test_each_thing_that_is_wrong_is_one_finding(made: Any, harm: Callable[[Any], None]) -> None:
    harm(made)

    findings = verify_study(made.storage, "made")

    assert re.search(BREAKS[harm], findings[0])
    assert len(findings) == 1 or harm is report_nan  # JSON has no NaN, so that the leaderboard is wrong too


def test_finished_trials_beyond_the_best_few_need_no_checkpoint(made: Any) -> None:
    for place in range(NUM_KEPT):
        made.add(TrialState.COMPLETE, [0.5 + place / 100])
    made.end()
    remove_checkpoint(made)  # of a trial that is now beyond the best

    assert verify_study(made.storage, "made") == []


def test_a_trial_that_waits_needs_the_checkpoint_that_it_goes_on_from(made: Any) -> None:
    made.study.enqueue_trial({"learning_rate": 2e-3}, user_attrs={CHECKPOINT: str(made.checkpoint(4))})
    made.end()

    (finding,) = verify_study(made.storage, "made")

    assert finding.startswith("trial 4: its checkpoint")


def test_what_a_driver_has_under_way_is_no_finding(made: Any) -> None:
    leave_running(made)
    made.add(TrialState.PRUNED, [0.1])

    with made.folder.only_driver():
        assert verify_study(made.storage, "made") == []


def test_a_published_bundle_is_read_file_by_file(made: Any) -> None:
    bundle = Registry(made.folder.registry.uri).add(**bundle_content())
    record = made.folder.read()
    made.folder.write(record.model_copy(update={"fingerprint": bundle.manifest.provenance.fingerprint}))
    made.study.set_user_attr(BUNDLE_ID, bundle.bundle_id)
    before = verify_study(made.storage, "made")
    with (made.folder.registry / bundle.bundle_id / WEIGHTS).local_path().open("ab") as stream:
        stream.write(b"\0")

    assert before == []
    assert verify_study(made.storage, "made") == [f"bundle {bundle.bundle_id}: {WEIGHTS} is not what was published"]


def test_a_bundle_of_another_dataset_is_a_finding(made: Any) -> None:
    bundle = Registry(made.folder.registry.uri).add(**bundle_content())
    made.study.set_user_attr(BUNDLE_ID, bundle.bundle_id)

    (finding,) = verify_study(made.storage, "made")

    assert f"bundle {bundle.bundle_id} should be of dataset f" in finding


def test_a_lost_database_is_a_finding_and_none_is_made(made: Any) -> None:
    database = (made.folder.location / "optuna.db").local_path()
    database.unlink()

    assert "its trials are lost" in verify_study(made.storage, "made")[0]
    assert not database.exists()


def test_a_study_in_a_database_of_its_own_is_verified_there(tmp_path: Path, make_study: Callable[..., Any]) -> None:
    made = make_study(tmp_path, optuna_url=f"sqlite:///{tmp_path}/shared.db")
    before = verify_study(made.storage, "made")
    leave_running(made)

    assert before == []
    assert "RUNNING" in verify_study(made.storage, "made")[0]


def test_a_study_that_another_storage_owns_is_refused(made: Any) -> None:
    made.folder.write(made.folder.read().model_copy(update={"study_id": "other"}))

    with pytest.raises(StudyError, match="of another storage, with id id-of-made"):
        verify_study(made.storage, "made")
