"""A timm model as an image encoder: photographs in, one feature vector each out.

Axes: B photograph, C channel, H height, W width, F feature.
"""

import logging
from difflib import get_close_matches
from typing import Any

import timm
import torch
from timm.layers.drop import DropPath
from torch import Tensor, nn

from sepl.errors import ConfigError
from sepl.models.backbone.packaged import cached_file, find_package, is_installed, load_packaged
from sepl.models.backbone.weights import NUM_KEPT, is_weight_file, load_weights

_log = logging.getLogger(__name__)

_FINAL_NORMS = ("head.norm", "fc_norm", "norm")
"""Where timm's models with a norm between blocks and classifier keep it."""
_published: dict[tuple[str, int], dict[str, Tensor]] = {}
"""timm's published weights by model and image size (position embeddings differ), as read before in this process."""


def build_backbone(
    name: str, *, weights: str, image_size: int, drop_path: float, final_norm: bool = True
) -> tuple[nn.Module, int]:
    """A timm model without classifier, forward (B, 3, image_size, image_size) -> (B, F), and its F.

    `weights` is 'none', 'pretrained' (what timm publishes for that name: of its cache or the hub, or as a package
    brought it) or a file; each is read once a process.
    timm's own pooling and final norm are kept: the released SePL loses ConvNeXt's final norm by replacing its
    classifier whole, so that its features come at whatever scale they have. `final_norm=False` does the same.

    A few models have no path for `drop_path` to drop, for want of shortcuts (lcnet, vgg, test_efficientnet) or because
    timm offers none (efficientvit): they are built without it, so that a search over backbones does not fail their
    trials, and a warning says so.

    Raises ConfigError for an unknown name, weights that cannot be had, an image size the model cannot take, and a final
    norm to leave out where there is none.
    """
    check_name(name)
    if weights not in ("none", "pretrained") and not is_weight_file(weights):
        raise ConfigError(
            f"weights should be 'none', 'pretrained' or the path of a .safetensors or .pth file, was {weights!r}"
        )
    backbone = _create_from(name, weights, image_size, drop_path)
    if drop_path > 0 and not _drops_paths(backbone):
        _log.warning("backbone %s has no path to drop in timm: drop_path %g has no effect on it", name, drop_path)
    if not final_norm:
        _drop_final_norm(backbone, name)
    return backbone, _measure_width(backbone, name, image_size)


def check_name(name: str) -> None:
    """Raises ConfigError unless timm has such a model, and weights under its tag."""
    if not timm.is_model(name):
        near = get_close_matches(name, timm.list_models(), n=5, cutoff=0.5)
        hint = f"near it: {', '.join(near)}" if near else "`timm.list_models()` lists them"
        raise ConfigError(f"backbone should be a timm model, was {name!r}; {hint}")
    try:
        timm.get_pretrained_cfg(name)
    except RuntimeError:
        model, _, tag = name.partition(".")
        tags = ", ".join(published.partition(".")[2] for published in timm.list_pretrained(f"{model}.*"))
        raise ConfigError(f"backbone {model}: the tag should be one of {tags or 'none'}, was {tag!r}") from None


def _create_from(name: str, weights: str, image_size: int, drop_path: float) -> nn.Module:
    if weights == "pretrained" and (name, image_size) in _published:
        backbone = _create(name, False, image_size, drop_path)
        backbone.load_state_dict(_published[name, image_size])
        return backbone
    if weights != "pretrained":
        backbone = _create(name, False, image_size, drop_path)
        if is_weight_file(weights):
            load_weights(backbone, weights)
    else:
        backbone = _create_published(name, image_size, drop_path)
        while len(_published) >= NUM_KEPT:
            _published.pop(next(iter(_published)))
        _published[name, image_size] = {key: value.clone() for key, value in backbone.state_dict().items()}
    return backbone


def _create_published(name: str, image_size: int, drop_path: float) -> nn.Module:
    """A package's backbone is of timm's cache or of the package, without asking a hub that may not answer."""
    package = find_package(name)
    if package is None or not is_installed(package):
        return _create(name, True, image_size, drop_path)
    backbone = _create(name, False, image_size, drop_path)
    cached = cached_file(name)
    if cached is None:
        load_packaged(backbone, package)
    else:
        load_weights(backbone, cached)
    return backbone


def _drop_final_norm(backbone: nn.Module, name: str) -> None:
    for place in _FINAL_NORMS:
        try:
            norm = backbone.get_submodule(place)
        except AttributeError:
            continue
        if not isinstance(norm, nn.Identity):
            backbone.set_submodule(place, nn.Identity())
            return
    raise ConfigError(f"final_norm should stay True for backbone {name}, which has none to leave out")


def _create(name: str, pretrained: bool, image_size: int, drop_path: float) -> nn.Module:
    options: dict[str, Any] = {"drop_path_rate": drop_path} if drop_path > 0 else {}
    if _has_fixed_size(name):
        options["img_size"] = image_size
    try:
        return timm.create_model(name, pretrained=pretrained, num_classes=0, **options)
    except TypeError as problem:
        if "drop_path_rate" in str(problem):  # how Python names an argument that a model does not take
            return _create(name, pretrained, image_size, drop_path=0.0)
        raise _cannot_take_size(name, image_size, problem) from problem
    except Exception as problem:  # downloading fails in as many ways as there are hub libraries
        if pretrained:
            install = "" if find_package(name) is None else "install the extra sepl[weights], or "
            raise ConfigError(
                f"weights 'pretrained' of backbone {name} cannot be had ({_first_line(problem)}): "
                f"{install}give a weight file or 'none'"
            ) from problem
        raise _cannot_take_size(name, image_size, problem) from problem


def _has_fixed_size(name: str) -> bool:
    """Transformers with position embeddings or windows are built for one size, and take it as `img_size`."""
    config = timm.get_pretrained_cfg(name)
    return bool(config and config.fixed_input_size)


def _drops_paths(backbone: nn.Module) -> bool:
    """Whether some residual branch is dropped; timm's mobile blocks carry the layer even without a shortcut."""
    return any(
        isinstance(layer, DropPath) and layer.drop_prob > 0
        for block in backbone.modules()
        if getattr(block, "has_skip", True)
        for layer in block.children()
    )


def _measure_width(backbone: nn.Module, name: str, image_size: int) -> int:
    """F by a dry run: timm's `num_features` is not what comes out where a layer follows the pooling (mobilenetv4)."""
    backbone.eval()  # a norm after pooling refuses a batch of one in training mode
    try:
        with torch.inference_mode():
            features_BF = backbone(torch.zeros(1, 3, image_size, image_size))
    except (RuntimeError, AssertionError, ValueError) as problem:
        raise _cannot_take_size(name, image_size, problem) from problem
    finally:
        backbone.train()
    if features_BF.ndim != 2:
        raise ConfigError(f"backbone should give one vector an image, {name} gave {tuple(features_BF.shape)}")
    return features_BF.shape[1]


def _cannot_take_size(name: str, image_size: int, problem: Exception) -> ConfigError:
    return ConfigError(f"backbone {name} cannot take images of {image_size} px: {_first_line(problem)}")


def _first_line(problem: Exception) -> str:
    return str(problem).strip().partition("\n")[0] or type(problem).__name__
