"""A checkpoint of the released code becomes a bundle that says the same."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bundles import draw_fundus
from released import COLUMNS, Released, label_scales, released_network
from torch import Tensor

from jobs.import_release import main
from sepl.bundle.format import read_bundle
from sepl.data.imaging.photograph import IMAGENET
from sepl.errors import ConfigError
from sepl.scoring.readings import Photograph
from sepl.scoring.scorer import Scorer

NAMES = (
    *("sex", "age", "height", "weight", "bmi", "waist", "sbp", "dbp"),
    *("total_cholesterol", "glucose", "triglycerides", "hba1c", "bun", "creatinine", "uric_acid"),
)


@pytest.fixture(scope="module")
def network() -> Released:
    torch.manual_seed(7)
    return released_network()


@pytest.fixture
def files(network: Released, tmp_path: Path) -> tuple[Path, Path]:
    torch.save(network.state_dict(), tmp_path / "best_model.pth")
    (tmp_path / "scales.json").write_text(json.dumps(label_scales()))
    return tmp_path / "best_model.pth", tmp_path / "scales.json"


def test_the_bundles_outputs_are_those_of_the_released_equations(
    network: Released, files: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(*files, out=str(tmp_path / "bundle"))

    bundle = read_bundle(tmp_path / "bundle")
    images_BCHW = torch.randn(8, 3, 224, 224)
    with torch.inference_mode():
        expected_BT = network(images_BCHW)
        outputs_BT = Scorer(bundle, device="cpu").network(images_BCHW)
    assert capsys.readouterr().out.startswith(f"bundle: {tmp_path / 'bundle'} ({bundle.bundle_id})")
    assert bundle.manifest.tasks.names == NAMES
    assert bundle.manifest.image.normalisation == IMAGENET
    assert expected_BT.std(dim=0).min() > 1e-3  # the images make a difference to each output
    torch.testing.assert_close(outputs_BT, expected_BT, atol=1e-4, rtol=0)


def test_a_photograph_is_scored_in_the_units_of_the_scales(files: tuple[Path, Path], tmp_path: Path) -> None:
    main(*files, out=str(tmp_path / "bundle"), name="authors")
    scorer = Scorer(read_bundle(tmp_path / "bundle"), device="cpu")

    (score,) = scorer.score_bytes([("one", draw_fundus(size=256))])

    pixels_HWC = scorer.read(Photograph("one", lambda: draw_fundus(size=256))).pixels
    assert pixels_HWC is not None
    outputs_T = scorer.outputs([pixels_HWC[None]])[0]
    assert score.status == "ok"
    assert score.bundle_id.startswith("authors-")
    scales = label_scales()
    for name, output, column in zip(NAMES[1:], outputs_T[1:], COLUMNS, strict=True):
        value = output * scales[column]["scale"] + scales[column]["center"]
        task = scorer.bundle.manifest.tasks[name]
        found = score.values[name]
        assert found.value == pytest.approx(np.clip(value, task.low, task.high), rel=1e-5), name
        assert found.low is None
    assert score.values["sex"].value == pytest.approx(1 / (1 + np.exp(-outputs_T[0])), rel=1e-5)


def test_prefix_and_number_of_experts_are_read_from_the_checkpoint(tmp_path: Path) -> None:
    network = released_network(num_experts=2)
    state = {f"module.{name}": tensor for name, tensor in network.state_dict().items()}
    torch.save(state, tmp_path / "parallel.pth")
    (tmp_path / "scales.json").write_text(json.dumps(label_scales()))

    main(tmp_path / "parallel.pth", tmp_path / "scales.json", str(tmp_path / "bundle"))

    bundle = read_bundle(tmp_path / "bundle")
    images_BCHW = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        outputs_BT = Scorer(bundle, device="cpu").network(images_BCHW)
        torch.testing.assert_close(outputs_BT, network(images_BCHW), atol=1e-4, rtol=0)
    assert bundle.manifest.config.model.num_experts == 2


def _without(name: str) -> Callable[[dict[str, Tensor]], object]:
    return lambda state: state.pop(name)


def _with(name: str, tensor: Tensor) -> Callable[[dict[str, Tensor]], object]:
    return lambda state: state.update({name: tensor})


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_without("gating_tg.fc.weight"), r"should hold gating_tg\.fc\.weight, does not"),
        (_without("feature_extractor.cnn.features.3.1.block.5.bias"), r"in question: backbone\.stages\.1\.blocks\.1"),
        (_without("experts.0.img_fc.weight"), r"saved by the released SePL code, has no matrix experts\.0\.img"),
        (_with("more", torch.zeros(2)), "nothing else; in question: more"),
        (_with("age_head.weight", torch.zeros(2, 768)), r"in question: head\.prior_heads\.weight"),
        (_with("age_head.weight", torch.zeros(768)), "should hold the released network: Tensors must have same number"),
        (_with("experts.1.img_fc.weight", torch.zeros(3, 768)), "should hold the released network: stack expects"),
        (_with("experts.0.img_fc.weight", torch.zeros(9000, 768)), "hidden_width should be less than or equal to 8192"),
        (_with("experts.0.img_fc.weight", torch.tensor(1.0)), r"has no matrix experts\.0\.img_fc\.weight"),
        (_with("age_head.weight", torch.full((1, 768), torch.nan)), r"not all of age_head\.weight are finite"),
    ],
)
def test_a_checkpoint_of_another_network_is_refused_by_the_tensor(
    change: Callable[[dict[str, Tensor]], object], told: str, network: Released, tmp_path: Path
) -> None:
    state = dict(network.state_dict())
    change(state)
    torch.save(state, tmp_path / "other.pth")
    (tmp_path / "scales.json").write_text(json.dumps(label_scales()))

    with pytest.raises(ConfigError, match=told):
        main(tmp_path / "other.pth", tmp_path / "scales.json", str(tmp_path / "bundle"))

    assert not (tmp_path / "bundle").exists()


class _MakesFolder:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.mkdir, (self.folder,)


def test_nothing_in_a_checkpoint_is_run(tmp_path: Path) -> None:
    torch.save({"age_head.weight": _MakesFolder(tmp_path / "made")}, tmp_path / "evil.pth")
    (tmp_path / "scales.json").write_text(json.dumps(label_scales()))

    with pytest.raises(ConfigError, match="cannot be read as plain tensors"):
        main(tmp_path / "evil.pth", tmp_path / "scales.json", str(tmp_path / "bundle"))

    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda scales: scales.pop("TG"), "absent: TG; unknown: none"),
        (lambda scales: scales.update(ALT={"center": 1, "scale": 1}), "absent: none; unknown: ALT"),
        (lambda scales: scales.update(AGE={"center": 1, "scale": 0}), r"AGE: scale should be greater than 0, was 0"),
        (lambda scales: scales.update(AGE={"center": 1}), "AGE: scale is missing"),
        (lambda scales: scales.update(AGE=5), "AGE: value should be a valid dictionary or instance of Scale, was 5"),
        (lambda scales: scales.update(AGE=[1, 2]), r"AGE: value should be a valid dictionary .*, was \[1, 2\]"),
        (lambda scales: scales.update(age={"center": 1, "scale": 1}), "absent: none; unknown: age"),
    ],
)
def test_scales_of_other_columns_are_refused_by_name(
    change: Callable[[dict[str, Any]], object], told: str, files: tuple[Path, Path], tmp_path: Path
) -> None:
    scales: dict[str, Any] = label_scales()
    change(scales)
    files[1].write_text(json.dumps(scales))

    with pytest.raises(ConfigError, match=told):
        main(*files, out=str(tmp_path / "bundle"))


def test_pickled_scalers_are_refused(files: tuple[Path, Path], tmp_path: Path) -> None:
    (tmp_path / "scalers.pkl").write_bytes(pickle.dumps(label_scales()))

    with pytest.raises(ConfigError, match=r"scalers\.pkl: label scales should be a JSON file"):
        main(files[0], tmp_path / "scalers.pkl", str(tmp_path / "bundle"))
