"""Initial weights of a backbone, read once a process and shared between the networks that start from them."""

import argparse
import sys
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import timm.models
import torch
from torch import Tensor, nn

from sepl.errors import ConfigError
from sepl.models.backbone.torchvision_names import convnext_from_torchvision, is_torchvision_convnext

_SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")
# Where timm's model files keep what renames keys and resizes position embeddings; most use the first name.
_FILTERS = ("checkpoint_filter_fn", "_filter_fn", "pretrained_filter_fn", "_filter_torchvision_pretrained")
NUM_KEPT = 4
"""Files, and published weights, that a process keeps: a search has a handful of backbones, the largest of them 1 GB."""
_DECODER = ("decoder_", "mask_token")
"""What masked pre-training (He et al. 2022; RETFound) has beside the encoder."""
_TEACHER = "teacher"
"""Where self-distillation (DINO, DINOv2; RETFound's second release) keeps the network that is meant to be used."""


def is_weight_file(weights: str) -> bool:
    """Whether a config's `weights` names a file by its ending."""
    return weights.endswith(_SUFFIXES)


def load_weights(backbone: nn.Module, path: str) -> None:
    """Fills a timm backbone without classifier from a file that timm or torchvision training wrote.

    Read are .safetensors and torch files of plain tensors (nothing is unpickled beyond them but the list of options
    that training scripts put beside), bare or below 'state_dict', 'model' or 'teacher', of the backbone alone or of a
    network that has it as a part ('backbone.…', 'encoder.…'). The decoder of masked pre-training (RETFound) and a
    classifier, of any size, are left out; position embeddings are resized to the backbone's image size. Every tensor of
    the backbone must be in the file: ConfigError names what is missing or does not fit, rather than training on with a
    part at random.
    """
    state = _without_classifier(_convert(_part_for(backbone, read_tensors(path)), backbone), backbone)
    try:
        missing, _ = backbone.load_state_dict(state, strict=False)
    except RuntimeError as problem:
        raise ConfigError(f"weights {path} do not fit the backbone: {_first_mismatch(problem)}") from None
    lacking = [name for name in missing if not name.endswith("num_batches_tracked")]
    if lacking:
        shown = ", ".join(lacking[:4]) + (", …" if len(lacking) > 4 else "")
        raise ConfigError(f"weights {path} should hold all of the backbone; {len(lacking)} tensors miss: {shown}")


def read_tensors(path: str) -> dict[str, Tensor]:
    """The tensors of a weight file by name, a prefix of DataParallel removed; to be read, not written to.

    Raises ConfigError for a file that is absent or holds something else.
    """
    if not Path(path).is_file():
        raise ConfigError(f"weights should be 'none', 'pretrained' or a file of weights, found no file {path}")
    facts = Path(path).stat()
    return dict(_read(path, facts.st_mtime_ns, facts.st_size))


@lru_cache(maxsize=NUM_KEPT)
def _read(path: str, changed_ns: int, num_bytes: int) -> Mapping[str, Tensor]:  # noqa: ARG001 - the file they tell of
    try:
        # Pre-training scripts such as RETFound's save their parsed options beside the weights: names and plain values.
        with torch.serialization.safe_globals([argparse.Namespace]):
            state = timm.models.load_state_dict(path, use_ema=False, weights_only=True)
        state = state[_TEACHER] if isinstance(state.get(_TEACHER), dict) else state
    except Exception as problem:  # other bytes, and lists of tensors, fail in as many ways as there are to read them
        raise ConfigError(f"weights {path} cannot be read as plain tensors: {_first_line(problem)}") from None
    return {name: tensor for name, tensor in state.items() if isinstance(tensor, Tensor)}


def is_masked_pretraining(state: Mapping[str, Tensor]) -> bool:
    """Whether the tensors are of masked pre-training, whose decoder lies beside the encoder."""
    return any(name.startswith(_DECODER[0]) for name in state)


def _part_for(backbone: nn.Module, state: dict[str, Tensor]) -> dict[str, Tensor]:
    """What lies below the prefix that the backbone's names have in a larger network; all of it where they have none."""
    first = next(name for name, parameter in backbone.named_parameters() if parameter.ndim > 1)
    prefixes = [name.removesuffix(first) for name in state if name.endswith(f".{first}")]
    if first in state or not prefixes:
        return state
    prefix = min(prefixes, key=len)  # 'backbone.conv1.weight' rather than 'backbone.layer1.0.conv1.weight'
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def _convert(state: dict[str, Tensor], backbone: nn.Module) -> dict[str, Tensor]:
    if is_masked_pretraining(state):  # with a mask token alone, timm takes it for DINOv2's
        state = {name: tensor for name, tensor in state.items() if not name.startswith(_DECODER)}
    if is_torchvision_convnext(state):
        return convnext_from_torchvision(state)
    module = sys.modules[type(backbone).__module__]
    convert: Any = next((getattr(module, name) for name in _FILTERS if hasattr(module, name)), None)
    if convert is None:
        return state
    try:
        return convert(state, backbone)
    except TypeError:
        return convert(state)  # timm's older converters take the state alone
    except (LookupError, RuntimeError, ValueError, AttributeError):
        return state  # not this architecture's names: loading it then names what is missing


def _without_classifier(state: dict[str, Tensor], backbone: nn.Module) -> dict[str, Tensor]:
    config: Any = backbone.pretrained_cfg
    classifiers = config.get("classifier") or ()
    prefixes = tuple(f"{name}." for name in ([classifiers] if isinstance(classifiers, str) else classifiers))
    return {name: tensor for name, tensor in state.items() if not name.startswith(prefixes)}


def _first_mismatch(problem: RuntimeError) -> str:
    lines = [line.strip() for line in str(problem).splitlines()]
    return next((line for line in lines if line.startswith("size mismatch")), lines[0]).rstrip(".")


def _first_line(problem: Exception) -> str:
    return str(problem).strip().partition("\n")[0] or type(problem).__name__
