"""Studies at a glance."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState

from sepl.errors import StudyError
from sepl.tuning.record.attributes import FROM_STUDY
from sepl.tuning.record.record import BUNDLE_ID, ENDED
from sepl.tuning.studies.overview import Overview, describe_cost, describe_study, list_studies, show_study


def overview(made: Any) -> Overview:
    return show_study(made.storage, "made")


def test_a_study_is_told_with_counts_cost_and_best_skill(made: Any) -> None:
    found = overview(made)

    assert found.board.counts() == {"complete": 2, "pruned": 1, "running": 0, "waiting": 0, "failed": 1}
    assert found.best_skill == pytest.approx(0.3)
    assert found.cost.seconds == 4 * 360.0
    assert found.cost.cpu_hours == pytest.approx(4 * 0.1 * 2)
    assert describe_cost(found.cost) == "0.80 CPU-hours"


def test_another_studys_trials_count_and_cost_nothing_here(made: Any) -> None:
    made.add(TrialState.COMPLETE, [0.9], **{FROM_STUDY: "before"})

    found = overview(made)

    assert found.num_taken_over == 1
    assert found.best_skill == pytest.approx(0.3)
    assert found.cost.seconds == 4 * 360.0


def test_the_state_goes_from_interrupted_to_published(made: Any) -> None:
    made.study.set_user_attr(ENDED, None)
    interrupted = overview(made).state
    with made.folder.only_driver():
        running = overview(made)
    made.study.set_user_attr(ENDED, "all trials are finished")
    over = overview(made).state
    made.study.set_user_attr(BUNDLE_ID, "made-0123456789ab")

    assert (interrupted, running.state, over) == ("interrupted", "running", "over")
    assert "process " in str(running.holder)
    assert overview(made).state == "published"


def test_words_tell_what_a_person_asks(made: Any) -> None:
    text = "\n".join(describe_study(overview(made)))

    assert "study made: over" in text
    assert "trials: 2 complete, 1 pruned, 1 failed" in text
    assert "best: trial 0, validation skill 0.300, learning_rate=0.001" in text
    assert "bundle: none published" in text


def test_a_list_has_every_study_and_tells_of_one_that_cannot_be_read(
    tmp_path: Path, make_study: Callable[..., Any]
) -> None:
    for name in ("one", "two"):
        make_study(tmp_path, name)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "study.json").write_text("{")

    studies = list(list_studies(str(tmp_path)))

    assert [study.name if isinstance(study, Overview) else study[0] for study in studies] == ["broken", "one", "two"]
    assert isinstance(studies[0], tuple)
    assert isinstance(studies[0][1], StudyError)


def test_an_empty_storage_has_no_study(tmp_path: Path) -> None:
    assert list(list_studies(str(tmp_path / "nothing"))) == []


def test_a_study_that_never_began_is_empty_and_its_database_is_not_made(made: Any) -> None:
    database = (made.folder.location / "optuna.db").local_path()
    database.unlink()

    assert overview(made).state == "empty"
    assert not database.exists()
