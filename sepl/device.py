"""Where a network computes, in which precision, with which kernels."""

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ParamSpec, TypeVar

import torch

from sepl.config import Precision
from sepl.errors import ConfigError

_log = logging.getLogger(__name__)
_P = ParamSpec("_P")
_T = TypeVar("_T")


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


def warn_of_emulation(precision: Precision, device: torch.device) -> None:
    """Logs a warning when bfloat16 is asked of a CPU that has no instructions for it."""
    if precision != "bfloat16" or device.type != "cpu":
        return
    if not any(has for name, has in torch.cpu.get_capabilities().items() if name.endswith("bf16")):
        _log.warning("precision should be auto or float32 on this CPU: bfloat16 is emulated, many times slower")


@contextmanager
def deterministic_kernels(wanted: bool) -> Iterator[None]:
    """Until the end of the block, torch uses only kernels that repeat bit for bit, where that is `wanted`.

    An operation that a GPU cannot repeat then raises RuntimeError with its name. Else cuDNN may try out which of its
    convolutions is fastest for the shapes at hand. What was set before is set again afterwards.
    """
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark
    if wanted:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS asks for it; read when it is first used
    torch.use_deterministic_algorithms(wanted)
    torch.backends.cudnn.benchmark = not wanted
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.backends.cudnn.benchmark = before[1]


def compiled(function: Callable[_P, _T]) -> Callable[_P, _T]:
    """The function as fused kernels, which are kept on disk: a later trial, or process, only loads them.

    They lie where TORCHINDUCTOR_CACHE_DIR says, else in sepl/compiled below the user's cache folder: torch's own choice
    is a temporary folder, which ends with the machine's. What the process compiled before is forgotten: torch compiles
    the same code for 8 networks or shapes and then, without an error, no more. Another function that is still in use
    loads its kernels again.
    """
    torch.compiler.reset()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    os.environ.setdefault("TORCHINDUCTOR_CACHE_DIR", str(cache / "sepl" / "compiled"))
    return torch.compile(function, dynamic=False)
