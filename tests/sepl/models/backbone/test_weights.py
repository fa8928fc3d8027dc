"""A backbone's initial weights from a file that training elsewhere wrote."""

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models.convnext import CNBlock

from sepl.errors import ConfigError
from sepl.models.backbone.build import build_backbone


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


@pytest.mark.parametrize("prefix", ["backbone.", "module.model.encoder."])
@pytest.mark.parametrize("name", ["test_vit", "test_resnet"])
def test_a_backbone_that_was_part_of_a_network_is_found_by_its_prefix(name: str, prefix: str, tmp_path: Path) -> None:
    options: dict[str, Any] = {"img_size": 32} if name == "test_vit" else {}
    trained = timm.create_model(name, num_classes=0, **options).eval()
    state = {f"{prefix}{key}": tensor for key, tensor in trained.state_dict().items()}
    path = write({"model": state | {"head.weight": torch.zeros(3, 3)}}, tmp_path / "trained.pth")
    images = torch.randn(2, 3, 32, 32)

    assert torch.equal(load(name, path)(images), trained(images))


def test_the_teacher_of_self_distillation_is_taken(tmp_path: Path) -> None:
    student, teacher = (timm.create_model("test_vit", num_classes=0, img_size=32).eval() for _ in range(2))
    below = [{f"backbone.{key}": value for key, value in net.state_dict().items()} for net in (student, teacher)]
    path = write({"student": below[0], "teacher": below[1]}, tmp_path / "trained.pth")
    images = torch.randn(2, 3, 32, 32)

    assert torch.equal(load("test_vit", path)(images), features(teacher, images))


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


@pytest.mark.parametrize("content", [[1, 2], torch.zeros(3), {"model": 5}, {1: torch.zeros(3)}, {"model": None}])
def test_a_file_without_named_tensors_is_refused(content: Any, tmp_path: Path) -> None:
    path = write(content, tmp_path / "weights.pth")

    with pytest.raises(ConfigError, match="cannot be read as plain tensors"):
        load("test_resnet", path)


def test_position_embeddings_of_another_shape_are_refused(tmp_path: Path) -> None:
    state = timm.create_model("test_vit", num_classes=0, img_size=64).state_dict()
    path = write({"model": state | {"pos_embed": torch.zeros(64)}}, tmp_path / "weights.pth")

    with pytest.raises(ConfigError, match="do not fit the backbone: size mismatch for pos_embed"):
        load("test_vit", path)


@pytest.mark.parametrize("content", [b"not weights at all", b"hello", b""])
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_file_of_other_bytes_is_refused(suffix: str, content: bytes, tmp_path: Path) -> None:
    path = tmp_path / f"weights{suffix}"
    path.write_bytes(content)

    with pytest.raises(ConfigError, match="cannot be read as plain tensors"):
        load("test_resnet", path)


@pytest.fixture(scope="module")
def masked_autoencoder() -> dict[str, Any]:
    """What RETFound's pre-training writes: timm's encoder at 64 px, a decoder, the mask token, parsed options."""
    encoder: Any = timm.create_model("test_vit", num_classes=0, img_size=64)
    decoder = {
        "mask_token": torch.randn(1, 1, 32),
        "decoder_pos_embed": torch.randn(1, 17, 32),
        "decoder_embed.weight": torch.randn(32, 64),
        "decoder_blocks.0.norm1.weight": torch.randn(32),
        "decoder_pred.bias": torch.randn(768),
    }
    options = argparse.Namespace(lr=1e-3, model="mae_vit", data_path="photographs")
    return {"model": {**encoder.state_dict(), **decoder}, "epoch": 800, "scaler": {"scale": 1024.0}, "args": options}


def test_a_masked_autoencoder_gives_its_encoder(masked_autoencoder: dict[str, Any], tmp_path: Path) -> None:
    path = write(masked_autoencoder, tmp_path / "retfound.pth")

    state = load("test_vit", path, image_size=64).state_dict()

    for name, tensor in state.items():
        assert torch.equal(tensor, masked_autoencoder["model"][name]), name


def test_a_masked_autoencoders_position_embeddings_are_resized(
    masked_autoencoder: dict[str, Any], tmp_path: Path
) -> None:
    """A smooth field of positions stays the field it was, on a finer grid."""
    rows, columns = torch.meshgrid(torch.linspace(-1, 1, 4), torch.linspace(-1, 1, 4), indexing="ij")
    field_CHW = torch.stack([rows, columns] * 32)
    first = masked_autoencoder["model"]["pos_embed"][:, :1]
    embedded = torch.cat([first, field_CHW.flatten(1).T[None]], dim=1)
    path = write(
        {**masked_autoencoder, "model": {**masked_autoencoder["model"], "pos_embed": embedded}}, tmp_path / "vit.pth"
    )

    backbone: Any = load("test_vit", path, image_size=128)

    positions = backbone.pos_embed.detach()
    assert positions.shape == (1, 65, 64)
    assert torch.equal(positions[:, :1], first)
    found_HWC = positions[0, 1:].unflatten(0, (8, 8))
    spacing = 2 / 3 / 2  # of the coarse grid, halved
    for axis in range(2):
        steps = found_HWC[..., axis].diff(dim=axis)[2:5, 2:5]  # inside, where nothing is made up
        torch.testing.assert_close(steps, torch.full_like(steps, spacing), atol=0.03, rtol=0)


def test_torchvisions_convnext_gives_the_same_features(tmp_path: Path) -> None:
    trained = torchvision.models.convnext_tiny().eval()
    with torch.no_grad():
        for block in trained.modules():
            if isinstance(block, CNBlock):
                block.layer_scale.uniform_(0.5, 1.5)  # as it starts, a block does next to nothing
    path = write(trained.state_dict(), tmp_path / "torchvision.pth")
    images = torch.randn(2, 3, 64, 64)

    backbone = load("convnext_tiny", path)

    features = trained.classifier[:2](trained.avgpool(trained.features(images)))
    torch.testing.assert_close(backbone(images), features, atol=1e-4, rtol=1e-4)


def test_a_file_is_read_once_a_process_and_again_when_it_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (timm.create_model("test_resnet", num_classes=0).state_dict() for _ in range(2))
    path = write(first, tmp_path / "trained.pth")
    times_read: list[str] = []
    torch_load = torch.load
    monkeypatch.setattr(
        torch, "load", lambda *args, **named: (times_read.append(args[0]), torch_load(*args, **named))[1]
    )

    networks = [load("test_resnet", path), load("test_resnet", path)]
    with torch.no_grad():
        next(networks[0].parameters()).zero_()  # training one leaves the others alone
    again = load("test_resnet", path)
    write(second, path)
    os.utime(path, (1, 1))
    changed = load("test_resnet", path)

    assert len(times_read) == 2
    torch.testing.assert_close(again.state_dict(), first, atol=0, rtol=0)
    torch.testing.assert_close(changed.state_dict(), second, atol=0, rtol=0)


PUBLISHED = """
import sys
import torch
from huggingface_hub import constants
from safetensors.torch import load_file
from sepl.models.backbone.build import build_backbone

build = lambda: build_backbone("test_resnet", weights="pretrained", image_size=32, drop_path=0.0)[0].state_dict()
first = build()
expected = load_file(sys.argv[1])
assert all(torch.equal(first[name], expected[name]) for name in first)
open(sys.argv[1], "wb").close()  # the second network cannot read it again
second = build()
assert all(torch.equal(first[name], second[name]) for name in first)
"""


@pytest.mark.slow
def test_published_weights_come_from_the_hubs_cache_and_are_read_once(tmp_path: Path) -> None:
    """The folder that HF_HOME names, as the hub's own client lays it out; nothing is downloaded."""
    published = timm.get_pretrained_cfg("test_resnet")
    assert published is not None
    repository = tmp_path / "hub" / f"models--{str(published.hf_hub_id).replace('/', '--')}"
    snapshot = repository / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("0" * 40)
    write(timm.create_model("test_resnet", num_classes=1000).state_dict(), snapshot / "model.safetensors")
    environment = {**os.environ, "HF_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"}

    done = subprocess.run(
        [sys.executable, "-c", PUBLISHED, str(snapshot / "model.safetensors")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
