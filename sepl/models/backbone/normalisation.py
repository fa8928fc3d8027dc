"""How pixels were normalised for the weights that a backbone starts from: what a network on it has to do as well."""

import timm

from sepl.data.imaging.photograph import IMAGENET, Normalisation
from sepl.models.backbone.torchvision_names import is_torchvision_convnext
from sepl.models.backbone.weights import is_masked_pretraining, is_weight_file, read_tensors


def backbone_normalisation(name: str, weights: str = "none") -> Normalisation:
    """timm's own numbers for the model, tag included, whatever its weights, so that these can be swapped.

    Except for a file whose tensors tell that torchvision, or masked pre-training (He et al.'s code, RETFound's), wrote
    it: both normalise as for ImageNet, also where timm's weights of that name do not. Raises ConfigError for such a
    file that cannot be read.
    """
    if is_weight_file(weights) and _tells_imagenet(weights):
        return IMAGENET
    config = timm.get_pretrained_cfg(name)
    return IMAGENET if config is None else Normalisation(_three(config.mean), _three(config.std))


def _tells_imagenet(path: str) -> bool:
    state = read_tensors(path)
    return is_torchvision_convnext(state) or is_masked_pretraining(state)


def _three(values: tuple[float, ...]) -> tuple[float, float, float]:
    red, green, blue = (float(value) for value in values)
    return red, green, blue
