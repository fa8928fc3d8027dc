"""Laws of scoring: a row for every photograph, in order, the same alone or in company."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from bundles import TASKS, bundle_content, draw_fundus, encode
from dicoms import draw_fundus as draw_dicom_fundus
from dicoms import write_dicom
from hypothesis import given, settings
from hypothesis import strategies as st

from sepl.bundle.format import compose_bundle
from sepl.data.imaging.photograph import read_photograph
from sepl.errors import BundleError
from sepl.models.predict import predict_outputs
from sepl.scoring.readings import Photograph
from sepl.scoring.rows import STATUSES, Score
from sepl.scoring.scorer import Scorer

GOOD = [draw_fundus(seed) for seed in range(5)]
ANY = {
    "good": GOOD[0],
    "another": GOOD[1],
    "png": draw_fundus(2, suffix=".png"),
    "tiff": draw_fundus(3, suffix=".tiff"),
    "empty": b"",
    "text": b"this is no picture",
    "truncated": GOOD[0][: len(GOOD[0]) // 2],
    "header only": GOOD[0][:30],
    "black": encode(np.zeros((64, 64, 3))),
    "sky": encode(np.full((64, 64, 3), (90, 140, 220))),
}


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    bundle, _ = compose_bundle(**bundle_content())
    return Scorer(bundle, device="cpu", batch_size=4)


@pytest.fixture(scope="module")
def alone(scorer: Scorer) -> dict[str, Score]:
    return {name: scorer.score_bytes([(name, data)])[0] for name, data in ANY.items()}


@given(st.lists(st.sampled_from(sorted(ANY)), max_size=13))
@settings(max_examples=20, deadline=None)
def test_every_photograph_gives_one_row_in_its_place_and_keeps_its_score(
    scorer: Scorer, alone: dict[str, Score], names: list[str]
) -> None:
    scores = scorer.score_bytes([(name, ANY[name]) for name in names])

    assert [score.image for score in scores] == names
    for score in scores:
        assert_same_score(score, alone[score.image])


@given(st.integers(0, 2**32 - 1), st.integers(0, 2000))
@settings(max_examples=150, deadline=None)
def test_no_damage_to_a_file_raises(scorer: Scorer, seed: int, kept: int) -> None:
    rng = np.random.default_rng(seed)
    data = bytearray(GOOD[0][: min(kept, len(GOOD[0]))])
    for place in rng.integers(0, max(1, len(data)), 5):
        if data:
            data[place] = int(rng.integers(256))

    reading = scorer.read(Photograph("damaged", lambda: bytes(data)))

    assert reading.status in STATUSES
    assert (reading.reason is None) == (reading.status == "ok") == (reading.pixels is not None)


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [
        ("good", "ok", None),
        ("png", "ok", None),
        ("tiff", "ok", None),
        ("empty", "failed", "empty file"),
        ("text", "failed", "not an image"),
        ("truncated", "failed", "truncated"),
        ("black", "rejected", "no field of view"),
        ("sky", "rejected", "not gradeable: colour 0 below 0.3"),
    ],
)
def test_the_status_tells_what_happened(scorer: Scorer, name: str, status: str, reason: str | None) -> None:
    (score,) = scorer.score_bytes([(name, ANY[name])])

    assert score.status == status
    assert score.reason is None if reason is None else reason in str(score.reason)
    assert set(score.values) == (set(TASKS.names) if status == "ok" else set())
    assert score.bundle_id == scorer.bundle.bundle_id


def test_values_are_the_networks_outputs_in_units_with_their_intervals(scorer: Scorer) -> None:
    manifest = scorer.bundle.manifest
    pixels = read_photograph(GOOD[0], manifest.image)
    (sex, age, sbp, hba1c) = predict_outputs(scorer.network, [pixels[None]], device=torch.device("cpu"))[0].tolist()

    (score,) = scorer.score_bytes([("good", GOOD[0])])

    assert score.values["sex"].value == pytest.approx(1 / (1 + np.exp(-sex / 2.0)))
    assert (score.values["sex"].low, score.values["sex"].high) == (None, None)
    assert score.values["age"].value == pytest.approx(50 + 10 * age)
    assert score.values["sbp"].value == pytest.approx(120 + 20 * sbp)
    assert score.values["sbp"].high == pytest.approx(score.values["sbp"].value + 5)
    assert score.values["hba1c"].value == pytest.approx(6 + hba1c)
    assert score.values["hba1c"].low is None


def test_files_pixels_and_bytes_give_the_same_scores(scorer: Scorer, tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.jpg" for number in range(len(GOOD))]
    for path, data in zip(paths, GOOD, strict=True):
        path.write_bytes(data)
    names = [str(path) for path in paths]
    pixels_NHWC = np.stack([read_photograph(data, scorer.bundle.manifest.image) for data in GOOD])

    from_files = scorer.score_files(paths)
    from_bytes = scorer.score_bytes(list(zip(names, GOOD, strict=True)))
    from_pixels = scorer.score_pixels(names, pixels_NHWC)

    for one, two, three in zip(from_files, from_bytes, from_pixels, strict=True):
        assert_same_score(one, two)
        assert_same_score(two, three)


def test_an_absent_file_and_a_folder_cost_their_rows(scorer: Scorer, tmp_path: Path) -> None:
    (tmp_path / "good.jpg").write_bytes(GOOD[0])

    absent, folder, good = scorer.score_files([tmp_path / "absent.jpg", tmp_path, tmp_path / "good.jpg"])

    assert (absent.status, absent.reason) == ("failed", "file not found")
    assert folder.status == "failed"
    assert good.status == "ok"


def test_photographs_are_read_a_few_batches_ahead_and_no_further(scorer: Scorer) -> None:
    read: list[int] = []

    def reader(number: int):
        def read_one() -> bytes:
            read.append(number)
            return GOOD[number % len(GOOD)]

        return read_one

    batches = scorer.stream(Photograph(str(number), reader(number)) for number in range(100))
    next(batches)

    assert len(read) <= 3 * scorer.batch_size
    batches.close()


def test_weights_of_another_network_are_refused() -> None:
    bundle, _ = compose_bundle(**bundle_content())
    missing = dict(list(bundle.state.items())[1:])

    with pytest.raises(BundleError, match="weights should fit the bundle's own config"):
        Scorer(replace(bundle, state=missing), device="cpu")


def test_an_output_that_is_not_finite_fails_its_row() -> None:
    bundle, _ = compose_bundle(**bundle_content())
    broken = {
        name: tensor * torch.nan if tensor.is_floating_point() else tensor for name, tensor in bundle.state.items()
    }

    (score,) = Scorer(replace(bundle, state=broken), device="cpu").score_bytes([("good", GOOD[0])])

    assert (score.status, score.reason, score.values) == ("failed", "the model's output is not finite", {})


def assert_same_score(one: Score, two: Score) -> None:
    assert (one.image, one.status, one.reason) == (two.image, two.status, two.reason)
    assert one.values.keys() == two.values.keys()
    for name, prediction in one.values.items():
        assert prediction.value == pytest.approx(two.values[name].value, abs=1e-4, rel=1e-5)
        other = two.values[name]
        assert (prediction.low is None) == (other.low is None)
        if prediction.low is not None and other.low is not None:
            assert prediction.low == pytest.approx(other.low, abs=1e-4, rel=1e-5)


def test_a_model_of_mirrored_eyes_sees_a_left_one_as_a_right_one_and_asks_which_it_is() -> None:
    content = bundle_content()
    mirroring, _ = compose_bundle(**{**content, "image": content["image"].model_copy(update={"mirror_left": True})})
    scorer, plain = Scorer(mirroring, device="cpu"), Scorer(compose_bundle(**content)[0], device="cpu")
    dicom = write_dicom(draw_dicom_fundus(160, 160), header={"ImageLaterality": "L"})

    right, left = (scorer.read(Photograph("x", lambda: GOOD[0], eye)).pixels for eye in ("right", "left"))
    unknown = scorer.read(Photograph("x", lambda: GOOD[0]))
    told = scorer.read(Photograph("x.dcm", lambda: dicom)).pixels

    assert left is not None
    assert right is not None
    assert told is not None
    np.testing.assert_array_equal(right, plain.read(Photograph("x", lambda: GOOD[0])).pixels)
    np.testing.assert_array_equal(left, right[:, ::-1])
    np.testing.assert_array_equal(told, np.asarray(plain.read(Photograph("x.dcm", lambda: dicom)).pixels)[:, ::-1])
    assert (unknown.status, unknown.pixels) == ("failed", None)
    assert str(unknown.reason).startswith("eye not known")


def test_a_bundle_of_networks_that_were_all_normalised_as_for_imagenet_scores_as_it_was_trained() -> None:
    """Its manifest has said so from the first format on, whatever timm says of its backbone."""
    content = bundle_content()
    assert content["config"].model.backbone == "test_resnet"
    bundle, files = compose_bundle(**content)
    scorer = Scorer(bundle, device="cpu")
    pixels_BHWC = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)

    outputs_BK = scorer.outputs([pixels_BHWC])

    mean, std = (np.array(values, np.float32) for values in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    images_BHWC = (pixels_BHWC / np.float32(255) - mean) / std
    expected_BK = scorer.network(torch.from_numpy(images_BHWC).permute(0, 3, 1, 2))
    np.testing.assert_allclose(outputs_BK, expected_BK.detach().numpy(), atol=1e-5, rtol=1e-5)
    assert json.loads(files["bundle.json"])["image"]["mean"] == [0.485, 0.456, 0.406]
