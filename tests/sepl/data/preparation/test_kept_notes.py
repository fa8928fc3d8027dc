"""What a manifest keeps for scoring beside its content: patterns of known values, and rules."""

from pathlib import Path

import pytest
from builders import build_cohort

from sepl.data.cohort.cohort import read_cohort
from sepl.data.dataset.dataset import MANIFEST_FILE, PreparedDataset
from sepl.data.preparation.prepare import prepare
from sepl.data.preparation.summary import PrepareSummary
from sepl.errors import DatasetError

BY_COLUMN = '[tasks.diabetes]\ncolumn = "diabetes"\nkind = "binary"\nlabel = "Diabetes"\n'
BY_RULE = '[tasks.diabetes]\nwhen = "hba1c >= 6.5"\nlabel = "Diabetes"\n'


@pytest.fixture
def cohort_file(tmp_path: Path) -> Path:
    return build_cohort(tmp_path / "cohort", num_patients=8)


def run(cohort_file: Path, out: Path) -> PrepareSummary:
    return prepare(read_cohort(cohort_file), out, 32, num_workers=1)


def change(cohort_file: Path, before: str, after: str) -> None:
    text = cohort_file.read_text()
    assert before in text
    cohort_file.write_text(text.replace(before, after))


def test_other_patterns_of_known_values_rewrite_the_manifest_and_decode_nothing(
    cohort_file: Path, tmp_path: Path
) -> None:
    end = "[tasks.sex]"
    fingerprints, patterns = [], []
    for names in ((), ("age",), ("age", "sbp")):
        change(cohort_file, end, f"[known]\npatterns = [{list(names)}]\n[tasks.sex]" if names else end)
        end = f"[known]\npatterns = [{list(names)}]\n[tasks.sex]" if names else end

        summary = run(cohort_file, tmp_path / "out")

        manifest = PreparedDataset.open(tmp_path / "out").manifest
        assert summary.num_decoded == (0 if names else 16)
        fingerprints.append(manifest.fingerprint)
        patterns.append(manifest.known_patterns)
    assert len(set(fingerprints)) == 1
    assert patterns == [None, (("age",),), (("age", "sbp"),)]
    PreparedDataset.open(tmp_path / "out").verify()
    written = (tmp_path / "out" / MANIFEST_FILE).stat().st_mtime_ns
    run(cohort_file, tmp_path / "out")
    assert (tmp_path / "out" / MANIFEST_FILE).stat().st_mtime_ns == written


def test_a_rule_is_kept_and_a_manifest_without_any_is_as_it_was(cohort_file: Path, tmp_path: Path) -> None:
    run(cohort_file, tmp_path / "without")
    change(cohort_file, BY_COLUMN, BY_RULE)
    run(cohort_file, tmp_path / "out")

    manifest = PreparedDataset.open(tmp_path / "out").manifest
    assert manifest.rules == {"diabetes": "hba1c >= 6.5"}
    assert '"rules"' not in (tmp_path / "without" / MANIFEST_FILE).read_text()
    assert PreparedDataset.open(tmp_path / "without").manifest.rules == {}


def test_a_rule_that_no_value_of_a_task_decides_is_one_line(cohort_file: Path, tmp_path: Path) -> None:
    change(cohort_file, BY_COLUMN, BY_RULE)
    run(cohort_file, tmp_path / "out")
    change(tmp_path / "out" / MANIFEST_FILE, "hba1c >= 6.5", "drug == 1")

    with pytest.raises(DatasetError, match="rule of diabetes should compare sex, age, sbp, hba1c, diabetes"):
        PreparedDataset.open(tmp_path / "out")
