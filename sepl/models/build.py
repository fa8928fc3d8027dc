"""From settings to a network: backbone, then head."""

import torch
from torch import Tensor, nn

from sepl.config import ModelConfig
from sepl.models.backbone import build_backbone
from sepl.models.sepl import SeplHead
from sepl.tasks import TaskSplit, TaskTable


class Network(nn.Module):
    """A backbone, (B, 3, H, W) -> (B, F), and a head, (B, F) -> (B, K), for the `num_tasks` tasks of a table."""

    def __init__(self, backbone: nn.Module, head: nn.Module, num_tasks: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.head = head
        self.num_tasks = num_tasks

    def forward(self, images_BCHW: Tensor) -> Tensor:
        return self.head(self.backbone(images_BCHW))


def build_network(config: ModelConfig, tasks: TaskTable, image_size: int, *, initialise: bool = True) -> Network:
    """The network that `config` names, on the CPU, in training mode, its images channels last.

    Its forward takes normalised images (B, 3, image_size, image_size) (see `sepl.models.pixels.to_input`) and gives
    (B, K) in the order of `tasks`: scaled values, logits for binary tasks. `initialise=False` leaves
    `config.weights` aside, for a network whose state is loaded next. Raises ConfigError for what cannot be built.
    """
    backbone, num_features = build_backbone(
        config.backbone,
        weights=config.weights if initialise else "none",
        image_size=image_size,
        drop_path=config.drop_path,
    )
    head = _build_head(config, tasks, num_features)
    return Network(backbone, head, len(tasks)).to(memory_format=torch.channels_last)  # as stored pixels lie


def _build_head(config: ModelConfig, tasks: TaskTable, num_features: int) -> nn.Module:
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
