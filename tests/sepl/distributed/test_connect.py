"""One connection to Ray: what an address means, and what is left when the connection ends."""

import os
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import ray

from sepl.distributed.connect import alive_nodes, connect, is_this_machine
from sepl.errors import ConfigError

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_left_out_an_address_is_this_machine() -> None:
    assert is_this_machine(None)
    assert is_this_machine("local")
    assert not is_this_machine("auto")


@pytest.mark.parametrize("address", ["nonsense", "ray://127.0.0.1:10001", "127.0.0.1:port", "127.0.0.1:99999", ":6379"])
def test_what_is_no_address_is_refused_in_one_line(address: str) -> None:
    with pytest.raises(ConfigError, match=r"--address should be .* auto or HOST:PORT") as refusal, connect(address):
        pass

    assert "\n" not in str(refusal.value)
    assert repr(address) in str(refusal.value)


def test_where_nothing_answers_is_told_within_seconds() -> None:
    address = f"127.0.0.1:{unused_port()}"
    start = time.monotonic()

    with pytest.raises(ConfigError, match=f"was '{address}': .*refused"), connect(address):
        pass

    assert time.monotonic() - start < 10
    assert not ray.is_initialized()


def test_without_a_cluster_here_auto_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def find_none(**_: object) -> None:  # another Ray may well run on the machine of the test
        raise ConnectionError("Could not find any running Ray instance.\nMore of it")

    monkeypatch.setattr(ray, "init", find_none)

    with pytest.raises(ConfigError, match=r"--address should be .* was 'auto': .* Ray instance\.$"), connect("auto"):
        pass


def test_a_folder_of_too_long_a_path_for_sockets_is_named(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 80)
    folder.mkdir()
    script = "from sepl.distributed.connect import connect\nwith connect(None): pass"

    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.stderr.splitlines()[-1].startswith("sepl.errors.ConfigError: TMPDIR")
    assert str(folder) in done.stderr.splitlines()[-1]


def session_folder() -> Path:
    running = ray.get_runtime_context()
    return Path(running.get_temp_dir(), running.get_session_name())


def test_a_ray_of_our_own_leaves_nothing_behind() -> None:
    with connect(None, num_cpus=1):
        (node,) = alive_nodes()
        session = session_folder()
        assert (session / "logs").is_dir()
        with connect("auto"):  # joins what is there, and leaves it
            pass
        assert ray.is_initialized()

    assert node.cpus == 1
    assert not ray.is_initialized()
    assert not session.exists()


def test_after_a_crash_the_logs_stay() -> None:
    session = crash()

    assert (session / "logs").is_dir()


def crash() -> Path:
    session = Path()
    with suppress(ZeroDivisionError), connect(None, num_cpus=1):
        session = session_folder()
        raise ZeroDivisionError
    return session


@pytest.mark.parametrize("job", ["search", "prepare"])
def test_every_command_that_takes_an_address_says_what_it_means(job: str) -> None:
    told = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", f"jobs.{job}", "--help"],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=True,
    ).stdout

    assert "auto or HOST:PORT; left out: this machine" in told


def test_nobody_else_connects_to_ray() -> None:
    rooms = [ROOT / room for room in ("sepl", "jobs", "serve")]

    connecting = {file.name for room in rooms for file in room.rglob("*.py") if "ray.init(" in file.read_text("utf-8")}

    assert connecting == {"connect.py", "ray_patches.py"}  # the latter for the former alone
