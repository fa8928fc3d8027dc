"""A run between two steps as a folder: safetensors for numbers, JSON for the rest, nothing pickled."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.optim import Optimizer

from sepl.errors import ConfigError, StorageError
from sepl.settings import Settings
from sepl.storage import resolve

PROGRESS_FILE = "progress.json"


class Progress(Settings):
    """How far a run is, and of what; written last, so that its presence means a whole checkpoint."""

    identity: dict[str, Any]
    """JSON values by name: the dataset's fingerprint, hyperparameters, …"""
    epoch: int
    """Epochs done."""
    steps_done: int = 0
    """Of the epoch that has begun."""
    best_epoch: int

    def check_is_of(self, identity: Mapping[str, Any], folder: Path) -> None:
        """Raises ConfigError, naming what differs, unless this is the run of that identity."""
        changed = [
            f"{name} should be {value!r}, was {self.identity.get(name)!r}"
            for name, value in identity.items()
            if value != self.identity.get(name)
        ]
        if changed:
            raise ConfigError(f"{folder} is of another run: {'; '.join(changed)}")


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """Everything that the steps to come depend on, on the CPU."""

    progress: Progress
    weights: dict[str, Tensor]
    best: dict[str, Tensor]
    """The best epoch's weights; empty without validation."""
    average: dict[str, Tensor]
    """The moving average of the weights; empty without one."""
    optimiser: dict[str, Tensor]
    objective: dict[str, Tensor]
    """What the objective remembers."""
    random: dict[str, Tensor]


_PARTS = tuple(field.name for field in fields(Checkpoint) if field.name != "progress")


def save_checkpoint(folder: Path, checkpoint: Checkpoint) -> None:
    """Writes the folder; one that was there is replaced, and is not whole until the end."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PROGRESS_FILE).unlink(missing_ok=True)
    for name in _PARTS:
        save_file(getattr(checkpoint, name), folder / f"{name}.safetensors")
    # At once: a process killed while it writes this one leaves no save that seems whole.
    resolve(folder / PROGRESS_FILE).write_bytes(checkpoint.progress.model_dump_json(indent=2).encode())


def load_checkpoint(folder: Path) -> Checkpoint:
    """What `save_checkpoint` wrote. Raises StorageError when the folder holds no whole checkpoint."""
    path = folder / PROGRESS_FILE
    if not path.is_file():
        raise StorageError(f"{folder} should hold a whole checkpoint, has no {PROGRESS_FILE}")
    progress = Progress.parse_json(path.read_bytes(), str(path), StorageError)
    return Checkpoint(progress, *(_load(folder / f"{name}.safetensors") for name in _PARTS))


def copy_to_cpu(state: Mapping[str, Tensor], into: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """Contiguous copies on the CPU, as safetensors wants them; `into`, copies made before, are written over."""
    copies = into or {name: torch.empty(tensor.shape, dtype=tensor.dtype) for name, tensor in state.items()}
    with torch.no_grad():
        for name, tensor in state.items():
            copies[name].copy_(tensor)
    return dict(copies)


def optimiser_tensors(optimiser: Optimizer) -> dict[str, Tensor]:
    """The optimiser's memory of each parameter, by the parameter's position and the kind of memory."""
    state = optimiser.state_dict()["state"]
    return copy_to_cpu({f"{index}.{kind}": tensor for index, kinds in state.items() for kind, tensor in kinds.items()})


def load_optimiser_tensors(optimiser: Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Gives an optimiser of the same parameters that memory back, each tensor laid out in memory as its parameter.

    The layout matters: a fused step walks through parameter and moments side by side in memory, and safetensors keeps
    no channels-last order.
    """
    parameters = [parameter for group in optimiser.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, kind = name.split(".")
        parameter = parameters[int(index)]
        if tensor.shape == parameter.shape:
            tensor = torch.empty_like(parameter, requires_grad=False).copy_(tensor)
        state.setdefault(int(index), {})[kind] = tensor
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})


def _load(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as problem:
        raise StorageError(f"{path} should be part of a whole checkpoint: {problem}") from None
