"""A wrong option of the search gets one clear line, before anything is started."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(**options: str) -> subprocess.CompletedProcess:
    given = {"data": "/nowhere", "space": "search_spaces/smoke.py", "storage": "/nowhere", "study": "first", **options}
    arguments = [part for name, value in given.items() for part in (f"--{name.replace('_', '-')}", value)]
    command = [sys.executable, "-m", "jobs.search", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "no prepared dataset at /nowhere"),
        ({"space": "search_spaces/smok.py"}, "found no file search_spaces/smok.py"),
        ({"num_trials": "0"}, "--num-trials should be at least 1, was 0"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, str], message: str) -> None:
    done = run(**options)

    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
