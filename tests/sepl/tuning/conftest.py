"""For tests of studies: Optuna quiet, Ray without its token file, and a dataset of eight patients."""

from collections.abc import Iterator

import optuna
import pytest
from builders import build_dataset

from sepl.data.dataset.dataset import PreparedDataset


@pytest.fixture(autouse=True)
def _quiet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    yield
    optuna.logging.set_verbosity(verbosity)


@pytest.fixture(scope="session")
def small_dataset(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    """For tests that plan studies of it and train nothing."""
    return build_dataset(tmp_path_factory.mktemp("small"), num_patients=8)
