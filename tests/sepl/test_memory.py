"""Large tensors on a CPU, one after another."""

import subprocess
import sys

import pytest

_SCRIPT = """
import resource
import torch
from sepl.memory import keep_freed_memory

if {keep}:
    keep_freed_memory()
for _ in range(20):  # until the heap has its size: glibc before 2.38 first places aligned blocks one after another
    torch.ones(16, 2**20)  # 64 MiB, above glibc's largest threshold
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    torch.ones(16, 2**20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's allocator")
def test_memory_of_freed_tensors_is_not_asked_for_again() -> None:
    kept, given_back = (_num_page_faults(keep) for keep in (True, False))
    assert kept < 100
    assert given_back > 10 * 100  # else there is nothing to gain, and keep_freed_memory should go


def _num_page_faults(keep: bool) -> int:
    run = subprocess.run([sys.executable, "-c", _SCRIPT.format(keep=keep)], capture_output=True, text=True, check=True)
    return int(run.stdout)
