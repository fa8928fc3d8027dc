"""What every test gets: fixed seeds, laws without a clock, a skip where the machine lacks what a marker asks for."""

import os
import random
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

# Before anything reads them: networks this small gain nothing from a second thread, and on a busy machine wait long for
# it; Ray would otherwise ask for a token, write one into the home folder, report usage to its makers, and start its
# workers at niceness 15, where two busy programs of the same session leave them next to nothing.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("RAY_AUTH_MODE", "disabled")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
os.environ.setdefault("RAY_worker_niceness", "0")

# a busy machine fails no law by being slow, and every run tries the same cases
settings.register_profile("sepl", deadline=None, derandomize=True)
settings.load_profile("sepl")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    random.seed(0)
    np.random.seed(0)
    torch = sys.modules.get("torch")
    if torch is not None:  # a test that needs no torch does not pay for importing it
        torch.manual_seed(0)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("real_data") and not Path(os.environ.get("SEPL_REAL_DATA", "/nowhere")).is_dir():
        pytest.skip("SEPL_REAL_DATA names no folder")
    if item.get_closest_marker("gpu"):
        import torch

        if not torch.cuda.is_available():
            pytest.skip("no CUDA device")
