"""Small real things for tests: cohorts of drawn pictures and datasets prepared from them."""

import csv
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from sepl.data.cohort.cohort import read_cohort
from sepl.data.dataset.dataset import PreparedDataset
from sepl.data.patients.splits import assign_cohort_splits
from sepl.data.preparation.prepare import prepare

NO_LIMITS = """\
[quality]
field_coverage = {}
sharpness = {}
exposure_low = {}
exposure_high = {}
colour = {}
colour_without_surround = {}
fundus_likeness = {}
"""
"""Of quality: what is drawn is no retina, and is kept."""

COHORT_TOML = f"""\
name = "drawn"
table = "labels.csv"
images = "images"

[columns]
image = "image"
patient = "patient_id"
eye = "eye"

{NO_LIMITS}
[tasks.sex]
column = "sex"
male = "M"
female = "F"
[tasks.age]
column = "age"
[tasks.sbp]
column = "sbp"
reachable_skill = 0.9
[tasks.hba1c]
column = "hba1c"
[tasks.diabetes]
column = "diabetes"
kind = "binary"
label = "Diabetes"
"""
"""Priors sex and age; targets sbp, hba1c and a task of the cohort's own."""

_SHARES = {"validation": 0.2, "calibration": 0.1, "test": 0.2}
"""Of the patients; the others train. The real shares would leave a small cohort one patient to calibrate with."""


def build_cohort(folder: Path, num_patients: int = 40, image_size: int = 48, seed: int = 0) -> Path:
    """Writes a cohort of two pictures a patient and returns its cohort.toml.

    Each picture is a bright disc on black. Its red level is age, its green systolic pressure, its blue HbA1c; a white
    spot in the middle is male; diabetes is HbA1c above 6.5. So a small network learns all five in few steps. A tenth of
    the HbA1c values are absent. From 4 patients up, seed 0 of preparation fills every cohort split.
    """
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["image", "patient_id", "eye", "sex", "age", "sbp", "hba1c", "diabetes"])
        for patient in _patients(num_patients):
            male, (age, sbp, hba1c) = rng.random() < 0.5, rng.random(3)
            percent = 4 + 6 * hba1c
            shown = "" if rng.random() < 0.1 else f"{percent:.2f}"
            labels = ["M" if male else "F", f"{20 + 60 * age:.0f}", f"{90 + 90 * sbp:.0f}", shown, int(percent > 6.5)]
            for eye in ("left", "right"):
                picture = draw_picture(image_size, (age, sbp, hba1c), male, rng)
                cv2.imwrite(str(folder / "images" / f"{patient}_{eye}.png"), picture[:, :, ::-1])
                writer.writerow([f"{patient}_{eye}.png", patient, eye, *labels])
    (folder / "cohort.toml").write_text(COHORT_TOML, encoding="utf-8")
    return folder / "cohort.toml"


def draw_picture(
    image_size: int, levels: tuple[float, float, float], spot: bool, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """A disc (size, size, 3) RGB of these colour levels (0 to 1) on black, with a little noise."""
    rows, columns = np.mgrid[:image_size, :image_size] - (image_size - 1) / 2
    radius = np.hypot(rows, columns) / (image_size / 2)
    picture = np.zeros((image_size, image_size, 3))
    picture[radius <= 0.97] = 70 + 150 * np.array(levels)
    if spot:
        picture[radius <= 0.35] = 255
    picture[radius <= 0.97] += rng.normal(0, 4, (int((radius <= 0.97).sum()), 3))
    return np.clip(picture, 0, 255).astype(np.uint8)


def build_dataset(folder: Path, num_patients: int = 40, image_size: int = 32, seed: int = 0) -> PreparedDataset:
    """A prepared dataset of `build_cohort`, below `folder`."""
    cohort = read_cohort(build_cohort(folder / "cohort", num_patients, image_size + 16, seed))
    prepare(cohort, folder / "dataset", image_size, num_workers=1, keep_patient_ids=True)
    return PreparedDataset.open(folder / "dataset")


def _patients(num_patients: int) -> list[str]:
    """Names that fall, with seed 0 of preparation, into the cohort splits in the shares of `_SHARES`."""
    room = {name: max(1, round(share * num_patients)) for name, share in _SHARES.items()}
    room["train"] = max(1, num_patients - sum(room.values()))
    names: list[str] = []
    number = 0
    while len(names) < num_patients:
        name, number = f"P{number:05d}", number + 1
        cohort_split = str(assign_cohort_splits([name], seed=0)[0])
        if room[cohort_split]:
            room[cohort_split] -= 1
            names.append(name)
    return names
