"""A cohort of drawn pictures with grades: each eye's own grade of retinopathy, and of what it is a picture."""

import csv
from pathlib import Path

import cv2
import numpy as np
from builders import NO_LIMITS, draw_picture

from sepl.data.cohort.cohort import read_cohort
from sepl.data.dataset.dataset import PreparedDataset
from sepl.data.preparation.prepare import prepare

GRADES = ("none", "mild", "moderate", "severe")
CLASSES = ("nevus", "drusen", "scar")
GRADED_TOML = f"""\
name = "graded"
table = "labels.csv"
images = "images"

[columns]
image = "image"
patient = "patient"
eye = "eye"

{NO_LIMITS}
[tasks.age]
column = "age"
[tasks.retinopathy]
column = "grade"
kind = "ordinal"
label = "Retinopathy"
levels = ["none", "mild", "moderate", "severe"]
cells = {{ none = "R0", mild = ["R1", 1], moderate = "R2", severe = "R3" }}
missing = "ungradable"
patient = "worst"
[tasks.finding]
column = "finding"
kind = "categorical"
levels = ["nevus", "drusen", "scar"]
"""


def build_graded_cohort(folder: Path, num_patients: int = 40, image_size: int = 48, seed: int = 0) -> Path:
    """Writes a cohort of two pictures a patient and returns its cohort.toml.

    Red is the grade, blue the finding, green age; each eye has its own grade. A tenth of the cells of each is absent.
    """
    rng = np.random.default_rng(seed)
    (folder / "images").mkdir(parents=True, exist_ok=True)
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["image", "patient", "eye", "age", "grade", "finding"])
        for number in range(num_patients):
            age, finding = rng.random(), int(rng.integers(len(CLASSES)))
            for eye in ("left", "right"):
                grade = int(rng.integers(len(GRADES)))
                shades = grade / (len(GRADES) - 1), age, finding / (len(CLASSES) - 1)
                picture = draw_picture(image_size, shades, spot=False, rng=rng)
                cv2.imwrite(str(folder / "images" / f"{number}_{eye}.png"), picture[:, :, ::-1])
                cells = [f"R{grade}", CLASSES[finding].upper()]
                shown = [
                    absent if rng.random() < 0.1 else cell
                    for cell, absent in zip(cells, ("ungradable", ""), strict=True)
                ]
                writer.writerow([f"{number}_{eye}.png", f"P{number}", eye, f"{20 + 60 * age:.0f}", *shown])
    (folder / "cohort.toml").write_text(GRADED_TOML, encoding="utf-8")
    return folder / "cohort.toml"


def build_graded_dataset(folder: Path, num_patients: int = 40, image_size: int = 32, seed: int = 0) -> PreparedDataset:
    """A prepared dataset of `build_graded_cohort`, below `folder`."""
    cohort = read_cohort(build_graded_cohort(folder / "cohort", num_patients, image_size + 16, seed))
    prepare(cohort, folder / "dataset", image_size, num_workers=1, keep_patient_ids=True)
    return PreparedDataset.open(folder / "dataset")
