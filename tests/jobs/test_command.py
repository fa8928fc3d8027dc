import os
import subprocess
import sys
from pathlib import Path

import pytest
from ray._private.runtime_env.constants import RAY_JOB_CONFIG_JSON_ENV_VAR  # no public word for it

from jobs._command import _JOB_VARIABLE, _check_places
from sepl.errors import ConfigError
from sepl.tuning.settings import StudySettings

ROOT = Path(__file__).parents[2]
JOBS = sorted(path.stem for path in (ROOT / "jobs").glob("[a-z]*.py"))

COMMAND = """
from jobs._command import run_command
from sepl.errors import ConfigError

def main(out: str, num_patients: int = 3, resume: bool = False) -> None:
    if out == "refused":
        raise ConfigError("out should be elsewhere")
    if out == "interrupted":
        raise KeyboardInterrupt
    print(out, num_patients, resume)

run_command(main)
"""


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", COMMAND, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env={**os.environ, **environment})


def test_options_reach_the_command():
    done = run("--out", "here", "--num-patients", "5", "--resume")

    assert (done.returncode, done.stdout.strip()) == (0, "here 5 True")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--out", "x", "--nmu-patients", "3"], "--nmu-patients"),
        ([], "--out"),
        (["--out", "x", "--num-patients", "many"], "num-patients"),
        (["--out", "refused"], "out should be elsewhere"),
    ],
)
def test_what_is_wrong_gets_one_line_and_exit_code_2(arguments: list[str], told: str):
    done = run(*arguments)

    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert told in done.stderr
    assert done.stderr.count("\n") == 1


def test_what_a_terminal_cannot_show_ends_no_command():
    done = run("--out", "2×3 – ½", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    refused = run("--out", "refused", "--№", PYTHONIOENCODING="ascii", PYTHONUTF8="0")

    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "2?3 ? ? 3 False", "")
    assert refused.returncode == 2
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("out", ["/kept", "s3://bucket/kept", "~/kept"])
def test_in_a_ray_job_a_place_is_kept_when_it_is_not_relative(out: str):
    assert run("--out", out, RAY_JOB_CONFIG_JSON_ENV_VAR="{}").stdout.strip() == f"{out} 3 False"


def test_in_a_ray_job_a_relative_place_is_refused():
    done = run("--out", "runs", RAY_JOB_CONFIG_JSON_ENV_VAR="{}")

    assert done.returncode == 2
    assert done.stderr.startswith("error: --out should be an absolute path, s3://… or gs://… in a Ray job")
    assert done.stderr.count("\n") == 1


def test_in_a_ray_job_the_storage_of_a_search_is_not_relative(tmp_path: Path):
    given = ["--data", "/data", "--space", "search_spaces/smoke.py", "--storage", "runs", "--study", "first"]

    done = subprocess.run(
        [sys.executable, "-m", "jobs.search", *given],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "RAY_JOB_CONFIG_JSON_ENV_VAR": "{}"},
    )

    assert done.stderr.startswith("error: --storage should be an absolute path")


@pytest.mark.parametrize(
    "url", ["sqlite:///trials.db", "sqlite+pysqlite:///runs/trials.db", "sqlite:///file:trials.db?uri=true"]
)
def test_in_a_ray_job_the_database_of_a_search_is_no_relative_file(url: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(RAY_JOB_CONFIG_JSON_ENV_VAR, "{}")

    with pytest.raises(ConfigError, match=r"^--optuna-url should name a file by its absolute path") as told:
        _check_places(
            {"settings": StudySettings(data="/data", space="smoke.py", storage="/runs", study="first", optuna_url=url)}
        )

    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    "url", [None, "sqlite:////runs/trials.db", "sqlite:///file:/runs/trials.db?uri=true", "postgresql://me@host/trials"]
)
def test_in_a_ray_job_a_database_that_lasts_is_taken(url: str | None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(RAY_JOB_CONFIG_JSON_ENV_VAR, "{}")

    _check_places({"optuna_url": url})


def test_ray_marks_its_jobs_as_we_look_for_them():
    assert _JOB_VARIABLE == RAY_JOB_CONFIG_JSON_ENV_VAR


def test_ctrl_c_is_no_traceback():
    done = run("--out", "interrupted")

    assert done.returncode == 130
    assert "Traceback" not in done.stderr


def test_the_list_names_every_command_with_its_purpose():
    listed = subprocess.run([sys.executable, "-m", "jobs"], capture_output=True, text=True, cwd=ROOT).stdout

    for job in JOBS:
        (line,) = [line for line in listed.splitlines() if f"jobs.{job} " in line]
        assert len(line.split()) > 6


@pytest.mark.parametrize("job", JOBS)
def test_every_command_explains_its_options(job: str):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", f"jobs.{job}", "--help"], capture_output=True, text=True, cwd=ROOT
    )

    assert done.returncode == 0, done.stderr
    assert "--help" in done.stdout


def test_options_are_read_before_anything_heavy_is_loaded():
    heavy = "{'torch', 'timm', 'ray', 'optuna', 'scipy', 'pandas', 'cv2', 'plotly'} & set(sys.modules)"
    imports = ", ".join(f"jobs.{job}" for job in JOBS)

    loaded = subprocess.check_output(
        [sys.executable, "-c", f"import sys, {imports}; print(sorted({heavy}))"], text=True, cwd=ROOT
    )

    assert loaded.strip() == "[]"
