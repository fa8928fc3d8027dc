import subprocess
import sys

import pytest
from builders import build_cohort

from sepl.data.dataset.dataset import PreparedDataset


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


def test_the_same_command_again_does_nothing_and_says_so(cohort_file, tmp_path):
    options = ("--cohort", cohort_file, "--out", tmp_path / "out", "--image-size", 32)
    run(*options)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")}

    result = run(*options)

    assert result.returncode == 0, result.stderr
    assert "unchanged: all of it was prepared before, nothing was written" in result.stdout
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").rglob("*")} == before


def test_patient_ids_are_published_only_when_asked_for(cohort_file, tmp_path):
    options = ("--cohort", cohort_file, "--image-size", 32)
    run(*options, "--out", tmp_path / "hidden")
    run(*options, "--out", tmp_path / "kept", "--keep-patient-ids")

    hidden, kept = (PreparedDataset.open(tmp_path / name).photographs("train") for name in ("hidden", "kept"))
    ids = {line.split(",")[1] for line in (cohort_file.parent / "labels.csv").read_text().splitlines()}
    assert set(kept.patients) <= ids
    assert not set(hidden.patients) & ids


@pytest.mark.slow
def test_a_ray_of_this_machine_gives_the_same_dataset(cohort_file, tmp_path):
    options = ("--cohort", cohort_file, "--image-size", 32)
    run(*options, "--out", tmp_path / "plain")

    result = run(*options, "--out", tmp_path / "ray", "--address", "local", "--num-workers", 2)

    assert result.returncode == 0, result.stderr
    plain, ray = (PreparedDataset.open(tmp_path / name) for name in ("plain", "ray"))
    assert plain.manifest == ray.manifest


def test_cohorts_given_together_become_one_dataset(cohort_file, tmp_path):
    other = build_cohort(tmp_path / "other", num_patients=8, seed=1)
    other.write_text(other.read_text().replace('name = "drawn"', 'name = "other"'))

    result = run("--cohort", cohort_file, "--cohort", other, "--out", tmp_path / "out", "--image-size", 32)

    assert result.returncode == 0, result.stderr
    assert PreparedDataset.open(tmp_path / "out").manifest.name == "drawn+other"
    assert "all                   16           32" in result.stdout


def test_no_cohort_at_all_is_one_line_and_exit_2(tmp_path):
    result = run("--out", tmp_path / "out", "--image-size", 32)

    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "cohort" in result.stderr
