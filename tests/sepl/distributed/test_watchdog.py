"""A driver whose raylet is killed ends, rather than wait for ever."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

WAITING = """
import ray
from jobs._command import run_command
from sepl.distributed.connect import connect

@ray.remote
def never():
    import time
    time.sleep(600)

def main():
    with connect(None, num_cpus=1):
        print("connected", flush=True)
        ITS_WAIT

run_command(main)
"""


@pytest.mark.slow
@pytest.mark.parametrize("wait", ["ray.get(never.remote())", "import time; time.sleep(600)"])
def test_a_killed_raylet_ends_the_driver_with_one_line_of_ours(wait: str) -> None:
    script = WAITING.replace("ITS_WAIT", wait)
    driver = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert driver.stdout is not None
    assert driver.stdout.readline().strip() == "connected"

    os.kill(raylet_of(driver.pid), signal.SIGKILL)
    _, said = driver.communicate(timeout=120)

    assert driver.returncode == 2
    assert said.splitlines()[-1].startswith("error: the Ray node of this machine died")
    assert "Traceback" not in said


def raylet_of(driver: int) -> int:
    for process in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((process / "stat").read_text().rpartition(")")[2].split()[1])
            command = (process / "cmdline").read_bytes().split(b"\0")[0]
        except OSError:  # ended meanwhile
            continue
        if parent == driver and command.endswith(b"/raylet"):
            return int(process.name)
    raise AssertionError("the driver has no raylet")
