"""Where the epochs of trials are logged beside the database: files, TensorBoard, and a tracking service if asked."""

import os
from typing import Any

from ray.tune import Callback

from sepl.errors import ConfigError
from sepl.tuning.trials.result_log import ResultLog
from sepl.tuning.trials.tensorboard import tensorboard_log


def make_loggers(log: str | None, study: str) -> list[Callback]:
    """For a study that is logged to `mlflow` or `wandb` too. Raises ConfigError when that is not set up."""
    service = [] if log is None else [_mlflow(study) if log == "mlflow" else _wandb(study)]
    return [ResultLog(), *tensorboard_log(), *service]


def _mlflow(study: str) -> Callback:
    """At MLFLOW_TRACKING_URI, else where mlflow keeps its runs; an experiment of the study's name."""
    from ray.air.integrations.mlflow import MLflowLoggerCallback

    try:
        return MLflowLoggerCallback(experiment_name=study)
    except ImportError:
        raise ConfigError(_missing("mlflow")) from None


def _wandb(study: str) -> Callback:
    """The project is WANDB_PROJECT or `sepl`, the group the study."""
    from ray.air.integrations.wandb import WandbLoggerCallback

    try:
        callback: Any = WandbLoggerCallback(project=os.environ.get("WANDB_PROJECT", "sepl"), group=study)
    except (ImportError, RuntimeError):
        raise ConfigError(_missing("wandb")) from None
    return callback


def _missing(package: str) -> str:
    return f"--log {package} needs a package that is not installed: pip install {package}"
