import subprocess
import sys
from pathlib import Path


def _simulate(out: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "jobs.simulate", "--out", str(out), "--num-patients", "3", "--image-size", "48"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_cohort_is_written_once_and_not_written_over(tmp_path: Path) -> None:
    first, second = _simulate(tmp_path / "cohort"), _simulate(tmp_path / "cohort")

    assert first.returncode == 0
    assert first.stdout == f"cohort: {tmp_path / 'cohort' / 'cohort.toml'}\n"
    assert "simulated patients: 3 of 3" in first.stderr
    assert {path.name for path in (tmp_path / "cohort").iterdir()} == {
        "cohort.toml",
        "images",
        "labels.csv",
        "reachable.json",
    }
    assert second.returncode == 2
    assert second.stderr.splitlines() == [
        f"error: out should be a new or empty folder, was {tmp_path / 'cohort'} with files in it"
    ]
