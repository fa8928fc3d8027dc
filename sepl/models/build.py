"""From settings to a network of the family that they name."""

from collections.abc import Callable
from functools import partial

import torch
from torch import nn

from sepl.config import Family, ModelConfig
from sepl.data.imaging.photograph import Normalisation
from sepl.errors import ConfigError
from sepl.models.backbone.build import build_backbone
from sepl.models.backbone.normalisation import backbone_normalisation
from sepl.models.backbone.stages import prune_to_stages
from sepl.models.families.cgc import CgcHead
from sepl.models.families.cross_stitch import CrossStitchNetwork
from sepl.models.families.ctan import CtanHead
from sepl.models.families.hard_sharing import hard_sharing_head
from sepl.models.families.mmoe import MmoeHead
from sepl.models.families.mtan import MtanNetwork
from sepl.models.families.sepl import SeplHead, SeplNetwork
from sepl.models.families.single_task import SingleTaskNetwork
from sepl.models.families.soft_sharing import SoftSharingNetwork
from sepl.models.parts.fusion import build_fusion
from sepl.models.parts.group_adapters import GroupedHead
from sepl.models.parts.network import MultiTaskNetwork
from sepl.models.parts.trunk import TrunkNetwork
from sepl.tasks import TaskSplit, TaskTable, parse_task_groups

MakeBackbone = Callable[[], tuple[nn.Module, int]]
"""A backbone with initial weights, and the width of its features."""


def build_network(
    config: ModelConfig,
    tasks: TaskTable,
    image_size: int,
    *,
    initialise: bool = True,
    normalisation: Normalisation | None = None,
) -> MultiTaskNetwork:
    """The network that `config` names, on the CPU, in training mode, its images channels last.

    Its forward takes normalised images (B, 3, image_size, image_size) (see `sepl.models.pixels.to_input`) and gives
    (B, O) in the order of `tasks.outputs`: scaled values, logits for tasks of other kinds. `initialise=False` leaves
    `config.weights` aside, for a network whose state is loaded next; `normalisation` is then how the pixels were
    normalised that it was trained on, and else the backbone's own. Raises ConfigError for what cannot be built.
    """
    weights = config.weights if initialise else "none"
    make_backbone = partial(
        build_backbone,
        config.backbone,
        weights=weights,
        image_size=image_size,
        drop_path=config.drop_path,
        final_norm=config.final_norm,
    )
    network = _builder(config.family)(config, tasks, image_size, make_backbone)
    network.tasks = tasks
    network.normalisation = normalisation or backbone_normalisation(config.backbone, weights)
    network.to(memory_format=torch.channels_last)  # as stored pixels lie
    for module in network.modules():
        if isinstance(module, nn.Conv2d) and _is_deadly_channels_last(module):
            module.to(memory_format=torch.contiguous_format)
    return network


def _is_deadly_channels_last(layer: nn.Conv2d) -> bool:
    """Whether it ends or hangs the process: torch 2.15's backward pass on a CPU writes beyond its memory for a 1 × 1
    convolution with a stride and two to seven channels, such as FastViT's of the image."""
    return layer.kernel_size == (1, 1) and layer.stride != (1, 1) and layer.in_channels < 8


def _builder(family: Family) -> Callable[[ModelConfig, TaskTable, int, MakeBackbone], MultiTaskNetwork]:
    others = {
        "sepl": _build_sepl,
        "single_task": _build_single_task,
        "soft_sharing": _build_soft_sharing,
        "mtan": _build_mtan,
        "cross_stitch": _build_cross_stitch,
    }
    return others.get(family, _build_trunk)


def _build_sepl(config: ModelConfig, tasks: TaskTable, _: int, make_backbone: MakeBackbone) -> MultiTaskNetwork:
    backbone, num_features = make_backbone()
    head = _build_sepl_head(config, num_features, tasks)
    network = SeplNetwork(backbone, head, build_fusion(config.fusion, num_features))
    return _in_groups(network, config, tasks, num_features)


def _build_sepl_head(config: ModelConfig, num_features: int, tasks: TaskTable) -> SeplHead:
    priors = TaskSplit.parse(config.task_split, tasks).priors if config.num_stages == 2 else ()
    if config.known_share and not priors:
        raise ConfigError(
            f"known_share should stay 0 where no task is a prior (task_split), was {config.known_share:g}"
        )
    return SeplHead(
        num_features,
        kinds=[task.kind for task in tasks],
        num_outputs=_num_outputs(tasks),
        is_prior=[name in priors for name in tasks.names],
        num_experts=config.num_experts,
        hidden_width=config.hidden_width,
        propagation=config.propagation,
        binary_prior=config.binary_prior,
        gate_inputs=config.gate_inputs,
        prior_attention=config.prior_attention,
        gate_top_k=config.gate_top_k,
        load_balance=config.load_balance,
        takes_known=config.known_share > 0,
    )


def _build_trunk(config: ModelConfig, tasks: TaskTable, _: int, make_backbone: MakeBackbone) -> MultiTaskNetwork:
    backbone, num_features = make_backbone()
    head = build_head(config, num_features, tasks)
    network = TrunkNetwork(backbone, head, len(tasks), build_fusion(config.fusion, num_features))
    return _in_groups(network, config, tasks, num_features)


def _in_groups(network: TrunkNetwork, config: ModelConfig, tasks: TaskTable, num_features: int) -> TrunkNetwork:
    if config.task_groups != "none":
        groups = parse_task_groups(config.task_groups, tasks)
        group_of_task = [next(g for g, group in enumerate(groups) if name in group) for name in tasks.names]
        network.head = GroupedHead(network.head, num_features, group_of_task, config.group_width, _num_outputs(tasks))
    return network


def build_head(config: ModelConfig, num_features: int, tasks: TaskTable) -> nn.Module:
    """What a family with one trunk has on the trunk's features, (B, F) → (B, O), without fusion and task groups.

    Raises ConfigError for a task split that the tasks do not allow.
    """
    if config.family == "sepl":
        return _build_sepl_head(config, num_features, tasks)
    num_tasks, num_outputs = len(tasks), _num_outputs(tasks)
    if config.family == "hard_sharing":
        return hard_sharing_head(num_features, tasks.num_outputs)
    if config.family == "mmoe":
        return MmoeHead(
            num_features,
            num_tasks,
            num_outputs,
            num_experts=config.num_experts,
            hidden_width=config.hidden_width,
            gate_top_k=config.gate_top_k,
            load_balance=config.load_balance,
        )
    if config.family == "ctan":
        return CtanHead(
            num_features,
            num_tasks,
            num_outputs,
            hidden_width=config.hidden_width,
            num_layers=config.num_layers,
            num_attention_heads=config.num_attention_heads,
            drop_path=config.drop_path,
        )
    assert config.family in ("cgc", "ple"), "every family has its builder"
    return CgcHead(
        num_features,
        num_tasks,
        num_outputs,
        num_experts=config.num_experts,
        num_task_experts=config.num_task_experts,
        hidden_width=config.hidden_width,
        num_levels=1 if config.family == "cgc" else config.num_layers,
    )


def _build_single_task(config: ModelConfig, tasks: TaskTable, _: int, make_backbone: MakeBackbone) -> MultiTaskNetwork:
    built = [make_backbone() for _ in tasks]
    num_features = built[0][1]
    fusion = build_fusion(config.fusion, num_features)
    return SingleTaskNetwork([backbone for backbone, _ in built], num_features, fusion, _num_outputs(tasks))


def _build_soft_sharing(config: ModelConfig, tasks: TaskTable, _: int, make_backbone: MakeBackbone) -> MultiTaskNetwork:
    backbone, num_features = make_backbone()
    fusion = build_fusion(config.fusion, num_features)
    return SoftSharingNetwork(backbone, num_features, len(tasks), config.sharing_strength, fusion, _num_outputs(tasks))


def _build_mtan(
    config: ModelConfig, tasks: TaskTable, image_size: int, make_backbone: MakeBackbone
) -> MultiTaskNetwork:
    backbone, _ = make_backbone()
    stages, shapes = prune_to_stages(backbone, config.backbone, image_size)
    fusion = build_fusion(config.fusion, shapes[-1][0])
    return MtanNetwork(backbone, stages, shapes, len(tasks), fusion, _num_outputs(tasks))


def _build_cross_stitch(
    config: ModelConfig, tasks: TaskTable, image_size: int, make_backbone: MakeBackbone
) -> MultiTaskNetwork:
    backbone, num_features = make_backbone()
    fusion = build_fusion(config.fusion, num_features)
    network = CrossStitchNetwork(backbone, num_features, len(tasks), fusion, _num_outputs(tasks))
    heard: list[nn.Module] = []
    hooks = [stitch.register_forward_hook(lambda stitch, *_: heard.append(stitch)) for stitch in network.stitches]
    try:
        with torch.inference_mode():
            network.eval()(torch.zeros(1, 3, image_size, image_size))
    except (AttributeError, TypeError, RuntimeError, ValueError, IndexError, AssertionError) as problem:
        raise _cannot_be_stitched(config, problem) from problem  # a layer or stage is used otherwise than by calling it
    if heard != list(network.stitches):
        raise _cannot_be_stitched(config, f"{len(heard)} of its {len(hooks)} stages are called one after the other")
    for hook in hooks:
        hook.remove()
    network.train()
    return network


def _num_outputs(tasks: TaskTable) -> list[int]:
    return [task.num_outputs for task in tasks]


def _cannot_be_stitched(config: ModelConfig, problem: object) -> ConfigError:
    return ConfigError(f"backbone {config.backbone} cannot be cross-stitched: {problem}")
