"""A head on coordinates along some directions, as the head on all features that says the same.

Axes: F feature, D direction.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from sepl.config import ModelConfig
from sepl.models.build import build_head
from sepl.tasks import TaskTable


def widen(state: Mapping[str, Tensor], basis_FD: Tensor, model: ModelConfig, tasks: TaskTable) -> dict[str, Tensor]:
    """The head's state on F features, from its state on the D coordinates `features_NF @ basis_FD`.

    Of a layer that reads features and more (a gate: features, then priors), what it makes of the rest stays.
    """
    num_features, num_directions = basis_FD.shape
    wide = build_head(model, num_features, tasks).state_dict()
    return {name: _widen(tensor, wide[name].shape, basis_FD, num_directions) for name, tensor in state.items()}


def _widen(tensor: Tensor, shape: torch.Size, basis_FD: Tensor, num_directions: int) -> Tensor:
    changed = [axis for axis, (old, new) in enumerate(zip(tensor.shape, shape, strict=True)) if old != new]
    if not changed:
        return tensor
    (axis,) = changed
    moved = tensor.movedim(axis, -1)
    along, beside = moved[..., :num_directions], moved[..., num_directions:]
    return torch.cat([along @ basis_FD.T, beside], dim=-1).movedim(-1, axis).contiguous()
