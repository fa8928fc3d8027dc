"""What every test gets: fixed seeds, laws without a clock, a skip where the machine lacks what a marker asks for."""

import os
import random
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

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
