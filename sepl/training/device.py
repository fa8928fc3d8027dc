"""Where a network computes, and in which precision."""

import torch

from sepl.config import Precision
from sepl.errors import ConfigError


def pick_device(name: str = "auto") -> torch.device:
    """The device that a name means: 'auto' (a GPU when there is one), 'cpu', 'cuda' or 'cuda:INDEX'.

    Raises ConfigError for another name and for a GPU that is not there.
    """
    if name == "auto":
        return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")
    if name == "cpu":
        return torch.device("cpu")
    kind, _, index = name.partition(":")
    if kind != "cuda" or not (name == "cuda" or index.isdecimal()):
        raise ConfigError(f"device should be auto, cpu, cuda or cuda:INDEX, was {name!r}")
    num_gpus = torch.cuda.device_count()
    if int(index or 0) >= num_gpus:
        raise ConfigError(f"device {name} is not there: this machine has {num_gpus} GPUs that torch can use")
    return torch.device("cuda", int(index) if index else torch.cuda.current_device())


def autocast(precision: Precision, device: torch.device) -> torch.autocast:
    """The context of a forward pass: bfloat16 where `precision` asks for it or 'auto' finds a GPU that has it.

    bfloat16 has the range of float32, so that no loss scaling (and none of its host synchronisation) is needed.
    """
    is_automatic = precision == "auto" and device.type == "cuda" and torch.cuda.is_bf16_supported()
    is_enabled = precision == "bfloat16" or is_automatic
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=is_enabled)
