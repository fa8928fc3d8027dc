import subprocess
import sys

import pytest
from builders import build_cohort

from sepl.data.prepared import PreparedDataset


def run(*options):
    command = [sys.executable, "-m", "jobs.prepare", *map(str, options)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def cohort_file(tmp_path):
    return build_cohort(tmp_path / "cohort", num_patients=8)


def test_a_cohort_is_prepared_and_summed_up(cohort_file, tmp_path):
    result = run("--cohort", cohort_file, "--out", tmp_path / "out", "--image-size", 32)

    assert result.returncode == 0, result.stderr
    assert "all                    8           16" in result.stdout
    assert f"dataset: {tmp_path / 'out'}" in result.stdout
    PreparedDataset.open(tmp_path / "out").verify()


def test_a_wrong_cohort_is_one_line_and_exit_2(cohort_file, tmp_path):
    table = cohort_file.parent / "labels.csv"
    table.write_text(table.read_text().replace("patient_id", "pid"))

    result = run("--cohort", cohort_file, "--out", tmp_path / "out", "--image-size", 32)

    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "columns.patient should be a column of" in result.stderr
