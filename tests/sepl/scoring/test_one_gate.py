"""What preparation refuses, scoring rejects, for the same reason; what it keeps is scored."""

import csv
import logging
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from bundles import bundle_content, encode
from fastapi.testclient import TestClient
from numpy.typing import NDArray

from sepl.bundle.format import compose_bundle
from sepl.config import ModelConfig, TrialConfig
from sepl.data.cohort.cohort import read_cohort
from sepl.data.dataset.dataset import PreparedDataset
from sepl.data.imaging.photograph import ImageSpec, examine_photograph
from sepl.data.imaging.quality import Limits, QualityThresholds, judge
from sepl.data.imaging.reasons import Refusal
from sepl.data.preparation.prepare import prepare
from sepl.errors import ImageError
from sepl.models.build import build_network
from sepl.scoring.compose import compose_content
from sepl.scoring.rows import Score
from sepl.scoring.scorer import Scorer
from sepl.simulation.cohort import simulate_patient
from serve.api import build_api
from serve.schemas import ServeSettings

SIDE = 300
COHORT = """\
name = "degraded"
table = "labels.csv"
images = "images"
[columns]
image = "image"
patient = "patient"
[photographs]
clahe = {clahe}
{section}
[tasks.age]
column = "age"
[tasks.sbp]
column = "sbp"
"""
Pixels = NDArray[np.uint8]


def _page_of_text(photograph: Pixels) -> Pixels:
    page = np.full_like(photograph, 255)
    for line in range(12, len(page), 12):
        cv2.putText(page, "the quick brown fox jumps over", (2, line), cv2.FONT_HERSHEY_SIMPLEX, 0.4, (20, 20, 20))
    return page


def _grey(photograph: Pixels) -> Pixels:
    return photograph.mean(axis=2, keepdims=True).repeat(3, axis=2).astype(np.uint8)


DEGRADED = {
    "as it was": lambda photograph: photograph,
    "a little dark": lambda photograph: (photograph * 0.6).astype(np.uint8),
    "dark": lambda photograph: (photograph * 0.2).astype(np.uint8),
    "burnt": lambda photograph: np.clip(photograph * 5.0, 0, 255).astype(np.uint8),
    "blurred": lambda photograph: cv2.GaussianBlur(photograph, (0, 0), 20),
    "grey": _grey,
    "cropped": lambda photograph: photograph[: len(photograph) // 6],
    "page of text": _page_of_text,
    "black": np.zeros_like,
}


def degraded() -> list[tuple[str, bytes]]:
    """Each degradation of three simulated photographs."""
    found = []
    for patient in range(3):
        photograph = read_picture(simulate_patient(patient, SIDE, 5).files[0])
        found += [(f"{name} {patient}.png", encode(change(photograph))) for name, change in DEGRADED.items()]
    return found


def refused_by_preparation(
    folder: Path, photographs: list[tuple[str, bytes]], section: str = "", *, clahe: bool = False
) -> dict[str, str]:
    """Reasons by name, of a cohort that also has enough good patients to be prepared."""
    write_cohort(folder, photographs, section, clahe=clahe)
    prepare(read_cohort(folder / "cohort.toml"), folder / "dataset", 64, num_workers=1, keep_patient_ids=True)
    with (folder / "dataset" / "rejected.csv").open(encoding="utf-8", newline="") as stream:
        return {row["image"]: row["reason"] for row in csv.DictReader(stream)}


def write_cohort(folder: Path, photographs: list[tuple[str, bytes]], section: str, *, clahe: bool) -> None:
    good = [(f"good {n}.jpg", simulate_patient(100 + n, SIDE, 5).files[0]) for n in range(30)]
    (folder / "images").mkdir(parents=True)
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["image", "patient", "age", "sbp"])
        for number, (name, data) in enumerate([*good, *photographs]):
            (folder / "images" / name).write_bytes(data)
            writer.writerow([name, f"P{number:03d}", 30 + number, 110 + number % 30])
    (folder / "cohort.toml").write_text(COHORT.format(clahe=str(clahe).lower(), section=section), encoding="utf-8")


def build_scorer(quality: QualityThresholds | None = None, clahe: bool = False, size: int = 64) -> Scorer:
    image = ImageSpec(size=size, clahe=clahe)
    bundle, _ = compose_bundle(**bundle_content(image_size=size, image=image, quality=quality))
    return Scorer(bundle, device="cpu")


def reasons_of(scores: list[Score]) -> dict[str, str]:
    assert {score.status for score in scores} <= {"ok", "rejected"}
    return {score.image: score.reason for score in scores if score.reason is not None}


@pytest.mark.parametrize("clahe", [False, True])
def test_preparation_and_scoring_refuse_the_same_for_the_same_reasons(tmp_path: Path, clahe: bool) -> None:
    photographs = degraded()
    refused = refused_by_preparation(tmp_path, photographs, clahe=clahe)

    scores = build_scorer(QualityThresholds(), clahe=clahe).score_bytes(photographs)

    assert reasons_of(scores) == refused
    assert {name.rpartition(" ")[0] for name in refused} == set(DEGRADED) - {"as it was", "a little dark"}


def test_the_server_rejects_what_offline_scoring_rejects() -> None:
    photographs, scorer = degraded()[: len(DEGRADED)], build_scorer(QualityThresholds(sharpness=Limits(low=1.5)))
    offline = scorer.score_bytes(photographs)

    class Direct:
        async def score(
            self,
            photographs: Sequence[tuple[str, bytes]],
            patients: Sequence[str],
            known: Sequence[Mapping[str, float]] = (),
        ) -> list[Score]:
            return scorer.score_bytes(photographs, patients, known)

    with TestClient(build_api(Direct(), scorer.bundle, ServeSettings(bundle="b"), None)) as client:
        files = [("files", (name, data, "image/png")) for name, data in photographs]
        rows = client.post("/v1/score", files=files).json()["scores"]

    assert [(row["status"], row["reason"]) for row in rows] == [(score.status, score.reason) for score in offline]
    assert "rejected" in {row["status"] for row in rows}


def test_a_cohorts_own_limits_are_those_of_the_bundle_made_of_it(tmp_path: Path) -> None:
    photographs = degraded()
    refused = refused_by_preparation(
        tmp_path, photographs, "[quality]\nexposure_low = {high = 0.05}\nsharpness = {}\ncolour = {}\n"
    )
    dataset = PreparedDataset.open(tmp_path / "dataset")
    config = TrialConfig(model=ModelConfig(backbone="test_resnet", family="hard_sharing"))
    network = build_network(config.model, dataset.tasks, 64)
    content = compose_content(config, dataset, network.state_dict(), bundle_content()["provenance"])
    scorer = Scorer(compose_bundle(**content)[0], device="cpu")

    assert scorer.bundle.manifest.quality == read_cohort(tmp_path / "cohort.toml").quality
    assert reasons_of(scorer.score_bytes(photographs)) == refused
    assert reasons_of(build_scorer().score_bytes(photographs)) != refused


def test_a_bundle_without_limits_takes_the_default_ones_and_says_so(caplog: pytest.LogCaptureFixture) -> None:
    photographs = degraded()
    with caplog.at_level(logging.WARNING):
        without = build_scorer(None)
        told = list(caplog.messages)
        default = build_scorer(QualityThresholds())

    assert told == [f"bundle {without.bundle.bundle_id} carries no limits of quality; the default ones apply"]
    assert caplog.messages == told
    rows = [replace(score, bundle_id="") for score in without.score_bytes(photographs)]
    assert rows == [replace(score, bundle_id="") for score in default.score_bytes(photographs)]


def test_the_size_that_a_network_sees_does_not_decide() -> None:
    photographs = degraded()
    small, large = (build_scorer(QualityThresholds(), size=size) for size in (32, 128))

    verdicts = [{score.image: score.status for score in scorer.score_bytes(photographs)} for scorer in (small, large)]

    assert verdicts[0] == verdicts[1]


REAL = {
    "dark": lambda pixels: (pixels * 0.2).astype(np.uint8),
    "burnt": lambda pixels: np.clip(pixels * 4.0, 0, 255).astype(np.uint8),
    "blurred": lambda pixels: cv2.GaussianBlur(pixels, (0, 0), pixels.shape[0] / 30),
}


@pytest.mark.real_data
@pytest.mark.parametrize("name", REAL)
def test_of_real_photographs_made_worse_none_that_preparation_refuses_is_scored(name: str) -> None:
    paths = sorted((Path(os.environ["SEPL_REAL_DATA"]) / "odir_dev" / "images").glob("*.jpg"))[::22][:80]
    photographs = [(path.name, encode(REAL[name](read_picture(path.read_bytes())))) for path in paths]
    refused = {image for image, data in photographs if verdict(data, QualityThresholds())}

    scored = {score.image for score in build_scorer(QualityThresholds()).score_bytes(photographs) if score.values}

    assert len(refused) > 0.1 * len(photographs)
    assert scored == {image for image, _ in photographs} - refused


def read_picture(data: bytes) -> Pixels:
    picture_BGR = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert picture_BGR is not None
    return np.asarray(picture_BGR[..., ::-1], np.uint8)


def verdict(data: bytes, limits: QualityThresholds) -> Refusal | None:
    try:
        return judge(examine_photograph(data, ImageSpec(size=64)).quality, limits)
    except ImageError as problem:
        return Refusal.of(problem)
