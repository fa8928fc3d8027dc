"""The weighting that a trial's settings name.

TorchJD is loaded for those that are made of it alone: its solvers cost a process most of a second.
"""

import torch

from sepl.config import TrainingConfig
from sepl.errors import ConfigError
from sepl.models.parts.network import MultiTaskNetwork
from sepl.tasks import TaskTable
from sepl.training.weighting.base import Weighting
from sepl.training.weighting.losses_only import (
    DynamicWeightAverage,
    EqualWeighting,
    FamoWeighting,
    FixedWeighting,
    SmoothTchebycheffWeighting,
    UncertaintyWeighting,
)


def build_weighting(
    config: TrainingConfig, tasks: TaskTable, network: MultiTaskNetwork, device: torch.device
) -> Weighting:
    """The weighting of a run, on the device of its network.

    Raises ConfigError for a weight of no task, for a warm-up that the run ends in, and for a weighting of gradients
    where the network's tasks share no representation.
    """
    weighting = _build(config, tasks).to(device)
    if weighting.needs_shared_trunk and not network.has_shared_trunk:
        raise ConfigError(
            f"weighting {config.weighting} looks at gradients where all tasks share a representation, which this "
            "family has not; take equal, fixed, uncertainty_laplace, dwa, famo or stch"
        )
    return weighting


def constant_weights(config: TrainingConfig, tasks: TaskTable) -> list[float]:
    """Each task's weight where weights stay as they are. Raises ConfigError for weighting that is learned."""
    if config.weighting not in ("equal", "fixed"):
        raise ConfigError(f"weighting should be equal or fixed where weights stay as they are, was {config.weighting}")
    return _fixed_weights(config.task_weights, tasks)


def _build(config: TrainingConfig, tasks: TaskTable) -> Weighting:
    num_tasks = len(tasks)
    match config.weighting:
        case "equal":
            return EqualWeighting()
        case "fixed":
            return FixedWeighting(_fixed_weights(config.task_weights, tasks))
        case "uncertainty_gaussian":
            return UncertaintyWeighting(_are_entropies(tasks), "gaussian")
        case "uncertainty_laplace":
            return UncertaintyWeighting(_are_entropies(tasks), "laplace")
        case "dwa":
            return DynamicWeightAverage(num_tasks, config.dwa_temperature)
        case "famo":
            return FamoWeighting(num_tasks, config.famo_learning_rate)
        case "stch":
            _check_warmup(config)
            return SmoothTchebycheffWeighting(num_tasks, config.stch_smoothness, config.stch_warmup_epochs)
        case _:
            return _gradient_weighting(config)


def _are_entropies(tasks: TaskTable) -> list[bool]:
    return [task.kind != "regression" for task in tasks]


def _gradient_weighting(config: TrainingConfig) -> Weighting:
    from sepl.training.weighting.gradients import (  # with cvxpy's and SciPy's solvers
        GradientWeighting,
        gradient_methods,
    )

    return GradientWeighting(gradient_methods(cagrad_radius=config.cagrad_radius)[config.weighting])


def _check_warmup(config: TrainingConfig) -> None:
    if config.stch_warmup_epochs >= config.num_epochs:
        raise ConfigError(
            f"stch_warmup_epochs should be less than num_epochs ({config.num_epochs}), was "
            f"{config.stch_warmup_epochs}: the run would end before weighting begins"
        )


def _fixed_weights(weights: dict[str, float], tasks: TaskTable) -> list[float]:
    unknown = sorted(set(weights) - set(tasks.names))
    if unknown:
        raise ConfigError(
            f"task_weights should name tasks of the dataset ({', '.join(tasks.names)}), named {', '.join(unknown)}"
        )
    return [weights.get(name, 1.0) for name in tasks.names]
