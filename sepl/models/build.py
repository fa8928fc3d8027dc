"""From settings to a network of the family that they name."""

import torch
from torch import nn

from sepl.config import ModelConfig
from sepl.models.backbone import build_backbone
from sepl.models.hard_sharing import hard_sharing_head
from sepl.models.network import MultiTaskNetwork
from sepl.models.sepl import SeplHead
from sepl.models.trunk import TrunkNetwork
from sepl.tasks import TaskSplit, TaskTable


def build_network(
    config: ModelConfig, tasks: TaskTable, image_size: int, *, initialise: bool = True
) -> MultiTaskNetwork:
    """The network that `config` names, on the CPU, in training mode, its images channels last.

    Its forward takes normalised images (B, 3, image_size, image_size) (see `sepl.models.pixels.to_input`) and gives
    (B, T) in the order of `tasks`: scaled values, logits for binary tasks. `initialise=False` leaves
    `config.weights` aside, for a network whose state is loaded next. Raises ConfigError for what cannot be built.
    """
    backbone, num_features = build_backbone(
        config.backbone,
        weights=config.weights if initialise else "none",
        image_size=image_size,
        drop_path=config.drop_path,
    )
    head = _build_head(config, tasks, num_features)
    network = TrunkNetwork(backbone, head, len(tasks))
    return network.to(memory_format=torch.channels_last)  # as stored pixels lie


def _build_head(config: ModelConfig, tasks: TaskTable, num_features: int) -> nn.Module:
    if config.family == "hard_sharing":
        return hard_sharing_head(num_features, len(tasks))
    split = TaskSplit.parse(config.task_split, tasks)
    return SeplHead(
        num_features,
        is_binary=tasks.is_binary,
        is_prior=[name in split.priors for name in tasks.names],
        num_experts=config.num_experts,
        hidden_width=config.hidden_width,
        propagation=config.propagation,
        binary_prior=config.binary_prior,
    )
