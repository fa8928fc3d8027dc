"""Published weights that a Python package brings: read as plain tensors, known by their SHA-256, mapped by order."""

import hashlib
from collections.abc import Callable
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import cv2
import pytest
import timm
import torch
from safetensors.torch import save_file
from sklearn.datasets import load_sample_image
from torch import Tensor, nn

from sepl.errors import ConfigError
from sepl.models.backbone import build, packaged
from sepl.models.backbone.build import build_backbone
from sepl.models.backbone.normalisation import backbone_normalisation
from sepl.models.backbone.packaged import PACKAGES, WeightPackage, cached_file, is_installed
from sepl.models.backbone.weights import read_tensors
from sepl.models.pixels import to_input

NAME = "tf_efficientnet_lite0"
DISTRIBUTION = "some-pytorch-model"
FILE = "some_pytorch_model/models/some.pth"
PALACE = 698  # of ImageNet's 1,000 classes
INSTALLED = [name for name, package in PACKAGES.items() if is_installed(package)]

Install = Callable[[dict[str, Tensor]], WeightPackage]


@pytest.fixture(autouse=True)
def _nothing_read_before(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No weights of another test, no cache of the hub's but the one in this folder, and no hub."""
    monkeypatch.setattr(build, "_published", {})
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Installs a distribution as pip would, whose code must not run, with these tensors in its file."""

    def write(state: dict[str, Tensor]) -> WeightPackage:
        info = tmp_path / "site" / "some_pytorch_model-0.1.0.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {DISTRIBUTION}\nVersion: 0.1.0\n")
        path = tmp_path / "site" / FILE
        path.parent.mkdir(parents=True)
        (path.parent.parent / "__init__.py").write_text("raise AssertionError('the package was imported')\n")
        torch.save(state, path)
        package = WeightPackage(DISTRIBUTION, FILE, hashlib.sha256(path.read_bytes()).hexdigest())
        monkeypatch.setitem(PACKAGES, NAME, package)
        monkeypatch.syspath_prepend(tmp_path / "site")
        return package

    return write


def trained() -> tuple[Any, dict[str, Tensor]]:
    """A network of timm's, and its tensors in the same order under the names that such packages have."""
    model = timm.create_model(NAME)
    with torch.no_grad():
        for buffer in model.buffers():
            if buffer.is_floating_point():
                buffer.uniform_(0.5, 1.5)
    renamed = {
        f"_part{place}.{name.rpartition('.')[2]}": t for place, (name, t) in enumerate(model.state_dict().items())
    }
    classifier = list(renamed)[-2:]
    renamed |= {f"_fc.{name.rpartition('.')[2]}": renamed.pop(name) for name in classifier}
    return model, renamed


def load(name: str = NAME) -> nn.Module:
    return build_backbone(name, weights="pretrained", image_size=32, drop_path=0.0)[0].eval()


@pytest.mark.parametrize("name", [NAME, f"{NAME}.in1k"])
def test_packaged_tensors_become_timms_by_their_order(name: str, install: Install) -> None:
    model, state = trained()
    install(state)
    images = torch.randn(2, 3, 32, 32)

    features_BF = load(name)(images)

    model.eval()
    torch.testing.assert_close(features_BF, model.forward_head(model.forward_features(images), pre_logits=True))


def test_packaged_weights_are_read_once_a_process(install: Install, tmp_path: Path) -> None:
    install(trained()[1])
    first = load().state_dict()
    (tmp_path / "site" / FILE).write_bytes(b"")

    torch.testing.assert_close(load().state_dict(), first, atol=0, rtol=0)


def test_a_file_of_another_sha_is_refused(install: Install, tmp_path: Path) -> None:
    package = install(trained()[1])
    with (tmp_path / "site" / FILE).open("ab") as stream:
        stream.write(b"x")

    with pytest.raises(
        ConfigError, match=f"of package {DISTRIBUTION} should have SHA-256 {package.sha256}, had "
    ) as caught:
        load()

    assert "\n" not in str(caught.value)


def test_a_package_without_its_file_is_refused(install: Install, tmp_path: Path) -> None:
    install(trained()[1])
    (tmp_path / "site" / FILE).unlink()

    with pytest.raises(ConfigError, match=f"package {DISTRIBUTION} should hold {FILE}, has no such file: reinstall it"):
        load()


def test_a_tensor_that_misses_is_refused_rather_than_shifting_the_others(install: Install) -> None:
    state = trained()[1]
    del state["_part6.weight"]
    install(state)

    with pytest.raises(
        ConfigError, match=r"_part7\.weight \(32,\) stands where blocks\.0\.0\.conv_dw\.weight \(32, 1, 3, 3\)"
    ):
        load()


def test_a_tensor_that_misses_at_the_end_is_refused(install: Install) -> None:
    state = trained()[1]
    del state[[name for name in state if not name.startswith("_fc")][-1]]
    install(state)

    with pytest.raises(ConfigError, match="should be the backbone's 294 tensors in their order; there are 293"):
        load()


def test_tensors_of_one_shape_that_changed_places_are_refused(install: Install) -> None:
    state = trained()[1]
    names = list(state)
    names[1], names[2] = names[2], names[1]  # a norm's weight and bias
    install({name: state[name] for name in names})

    with pytest.raises(ConfigError, match=r"_part2\.bias \(32,\) stands where bn1\.weight"):
        load()


def test_what_the_hubs_cache_has_goes_before_the_package(install: Install, tmp_path: Path) -> None:
    model, state = trained()
    install(state)
    snapshot = tmp_path / "hub" / f"models--timm--{NAME}.in1k" / "snapshots" / ("0" * 40)
    snapshot.mkdir(parents=True)
    (snapshot.parents[1] / "refs").mkdir()
    (snapshot.parents[1] / "refs" / "main").write_text("0" * 40)
    cached = {name: tensor + 1 for name, tensor in model.state_dict().items()}
    save_file(cached, snapshot / "model.safetensors")

    stem = load().state_dict()["conv_stem.weight"]

    assert cached_file(NAME) == str(snapshot / "model.safetensors")
    torch.testing.assert_close(stem, cached["conv_stem.weight"], atol=0, rtol=0)


def test_without_a_hub_and_a_package_one_line_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PACKAGES, NAME, WeightPackage("no-such-pytorch-model", FILE, "0" * 64))

    with pytest.raises(
        ConfigError, match=r"had \(.*\): install the extra sepl\[weights\], or give a weight file or 'none'"
    ) as caught:
        load()

    assert "\n" not in str(caught.value)


def test_a_backbone_that_no_package_has_is_not_promised_one() -> None:
    with pytest.raises(ConfigError, match=r"backbone test_resnet cannot be had \(.*\): give a weight file or 'none'"):
        load("test_resnet")


def test_another_tag_is_of_no_package() -> None:
    assert packaged.find_package(f"{NAME}.other") is None
    assert packaged.find_package("convnext_tiny") is None


@pytest.mark.parametrize("name", list(PACKAGES))
@pytest.mark.skipif(len(INSTALLED) < len(PACKAGES), reason="the extra `weights` is not installed")
def test_the_real_file_calls_a_chinese_palace_a_palace(name: str) -> None:
    """A photograph that scikit-learn brings; the classifier is the file's own, on our backbone's features."""
    package = PACKAGES[name]
    file = read_tensors(str(distribution(package.distribution).locate_file(package.file)))
    photograph = load_sample_image("china.jpg")[:, 106:533]
    pixels_HWC = torch.from_numpy(cv2.resize(photograph, (224, 224), interpolation=cv2.INTER_AREA))
    images = to_input(pixels_HWC[None], *backbone_normalisation(name, "pretrained"))

    with torch.inference_mode():
        classes_BK = load(name)(images) @ file["_fc.weight"].T + file["_fc.bias"]

    assert classes_BK[0].argmax() == PALACE
