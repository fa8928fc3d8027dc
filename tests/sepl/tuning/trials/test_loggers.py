"""Where epochs are logged, and what is said when a service's package is missing."""

import importlib.util

import pytest

from sepl.errors import ConfigError
from sepl.tuning.trials.loggers import make_loggers
from sepl.tuning.trials.result_log import ResultLog
from sepl.tuning.trials.tensorboard import TensorBoardLog


def test_files_and_tensorboard_are_written_without_being_asked() -> None:
    assert [type(logger) for logger in make_loggers(None, "first")] == [ResultLog, TensorBoardLog]


@pytest.mark.parametrize("package", ["mlflow", "wandb"])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_package_that_is_missing_is_named(package: str) -> None:
    if importlib.util.find_spec(package) is not None:
        pytest.skip(f"{package} is installed")

    with pytest.raises(ConfigError, match=f"--log {package} needs a package that is not installed: pip install"):
        make_loggers(package, "first")
