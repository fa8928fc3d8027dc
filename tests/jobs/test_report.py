"""The report as a command."""

import subprocess
import sys
from pathlib import Path

import optuna
from unsearched import study_record

from sepl.tuning.record.record import StudyFolder

ROOT = Path(__file__).parents[2]


def run(*options: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "jobs.report", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_study_that_does_not_exist_gets_one_clear_line(tmp_path: Path) -> None:
    done = run("--storage", str(tmp_path), "--study", "nowhere", "--out", str(tmp_path / "report.html"))

    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "nowhere" in done.stderr


def test_a_study_that_has_just_begun_has_a_report(tmp_path: Path) -> None:
    folder = StudyFolder.at(str(tmp_path), "young")
    optuna.create_study(study_name="young", storage=folder.open_optuna_storage(None), direction="maximize")
    folder.write(study_record(study="young", dataset="data"))

    done = run("--storage", str(tmp_path), "--study", "young", "--out", str(tmp_path / "out" / "report.html"))

    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "out" / "report.html") in done.stdout
    assert (tmp_path / "out" / "report.html").exists()
