"""A backbone's initial weights from a file that training elsewhere wrote."""

import os
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from sepl.errors import ConfigError
from sepl.models.backbone import build_backbone


def load(name: str, path: Path, image_size: int = 32) -> nn.Module:
    return build_backbone(name, weights=str(path), image_size=image_size, drop_path=0.0)[0].eval()


def write(state: Any, path: Path) -> Path:
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)
    return path


def features(model: Any, images: Tensor) -> Tensor:
    """Pooled features of a timm model that has a classifier."""
    return model.forward_head(model.forward_features(images), pre_logits=True)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize("name", ["test_vit", "test_convnext", "test_resnet", "mobilenetv4_conv_small_035"])
def test_a_classifier_of_another_size_is_left_out_and_the_rest_loaded(name: str, suffix: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"img_size": 32} if name == "test_vit" else {}
    trained = timm.create_model(name, num_classes=5, **options).eval()
    path = write(trained.state_dict(), tmp_path / f"trained{suffix}")
    images = torch.randn(2, 3, 32, 32)

    backbone = load(name, path)

    torch.testing.assert_close(backbone(images), features(trained, images))


@pytest.mark.parametrize("key", ["model", "state_dict"])
def test_weights_kept_below_a_key_are_found(key: str, tmp_path: Path) -> None:
    trained = timm.create_model("test_resnet", num_classes=0).eval()
    state = {f"module.{name}": tensor for name, tensor in trained.state_dict().items()}
    path = write({key: state, "epoch": 3}, tmp_path / "trained.pth")
    images = torch.randn(2, 3, 32, 32)

    assert torch.equal(load("test_resnet", path)(images), trained(images))


def test_position_embeddings_are_resized_to_the_image_size(tmp_path: Path) -> None:
    trained: Any = timm.create_model("test_vit", num_classes=3, img_size=64)
    path = write(trained.state_dict(), tmp_path / "trained.safetensors")

    backbone: Any = load("test_vit", path, image_size=96)

    assert backbone.pos_embed.shape[1] > trained.pos_embed.shape[1]
    torch.testing.assert_close(backbone.pos_embed.mean(), trained.pos_embed.mean(), atol=2e-3, rtol=0.1)
    torch.testing.assert_close(backbone.blocks[0].attn.qkv.weight, trained.blocks[0].attn.qkv.weight)


def test_a_file_with_a_part_of_the_backbone_is_refused_by_what_it_lacks(tmp_path: Path) -> None:
    state = timm.create_model("test_resnet", num_classes=0).state_dict()
    del state["layer1.0.conv1.weight"]
    path = write(state, tmp_path / "part.safetensors")

    with pytest.raises(ConfigError, match=r"should hold all of the backbone; 1 tensors miss: layer1\.0\.conv1\.weight"):
        load("test_resnet", path)


@pytest.mark.parametrize("other", ["test_convnext", "test_vit", "resnet10t"])
def test_weights_of_another_architecture_are_refused(other: str, tmp_path: Path) -> None:
    path = write(timm.create_model(other, num_classes=0).state_dict(), tmp_path / "other.safetensors")

    with pytest.raises(ConfigError, match=r"should hold all of the backbone|do not fit the backbone: size mismatch"):
        load("test_resnet", path)


@pytest.mark.parametrize("name", ["test_vit", "test_convnext", "swin_tiny_patch4_window7_224"])
def test_weights_of_another_architecture_do_not_confuse_the_converters(name: str, tmp_path: Path) -> None:
    path = write(timm.create_model("test_resnet", num_classes=0).state_dict(), tmp_path / "other.safetensors")

    with pytest.raises(ConfigError, match=r"should hold all of the backbone|do not fit the backbone"):
        load(name, path)


def test_a_file_that_is_absent_is_named() -> None:
    with pytest.raises(ConfigError, match=r"found no file /nowhere/weights\.pth"):
        load("test_resnet", Path("/nowhere/weights.pth"))


class _MakesFolder:
    """Unpickling it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


def test_a_file_that_holds_more_than_tensors_is_not_unpickled(tmp_path: Path) -> None:
    state = timm.create_model("test_resnet", num_classes=0).state_dict()
    path = write({"model": state, "more": _MakesFolder(tmp_path / "made")}, tmp_path / "objects.pth")

    with pytest.raises(ConfigError, match="cannot be read as plain tensors"):
        load("test_resnet", path)

    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_file_of_other_bytes_is_refused(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(b"not weights at all")

    with pytest.raises(ConfigError, match="cannot be read as plain tensors"):
        load("test_resnet", path)
