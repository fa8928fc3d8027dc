"""A search whose sealed patients were read is not begun anew. No Ray: it never gets that far."""

from pathlib import Path

import pytest
from unsearched import CLUSTER, plan_first

from sepl.data.dataset.dataset import PreparedDataset
from sepl.errors import StudyError
from sepl.tuning.study import run_study


@pytest.mark.parametrize("resume", [True, False], ids=["the database was lost", "the study's folder was lost"])
def test_a_study_that_was_tested_is_not_searched_anew(
    small_dataset: PreparedDataset, tmp_path: Path, resume: bool
) -> None:
    first = plan_first(small_dataset.uri, tmp_path)
    if resume:
        first.folder.write(first.record)
    first.folder.unsealing(small_dataset.fingerprint).note("trial 1")

    with pytest.raises(StudyError, match=r"study first has read the sealed test patients.*--test-again") as refusal:
        run_study(plan_first(small_dataset.uri, tmp_path, resume=resume), CLUSTER)

    assert "\n" not in str(refusal.value)
