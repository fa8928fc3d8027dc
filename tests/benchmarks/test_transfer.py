"""Weights that have seen pictures: arms that are alike but for them, and the rival that is no network."""

import csv
from pathlib import Path

import numpy as np
import pytest
from builders import build_dataset

from benchmarks.support.frozen import frozen_values
from benchmarks.support.odir import odir_dataset
from benchmarks.support.skills import skills_of_values
from benchmarks.transfer import PACKAGED, RANDOM, settings
from sepl.config import ModelConfig
from sepl.data.dataset.dataset import PreparedDataset
from sepl.errors import ConfigError
from sepl.simulation.cohort import simulate_patient

HEADER = [
    "image",
    "patient_id",
    "eye",
    "age",
    "sex",
    "diabetes",
    "glaucoma",
    "cataract",
    "amd",
    "hypertension",
    "myopia",
]


def write_odir(folder: Path, num_patients: int) -> None:
    (folder / "odir_dev" / "images").mkdir(parents=True)
    with (folder / "odir_dev" / "labels.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(HEADER)
        for patient in range(num_patients):
            for eye, file in zip(("left", "right"), simulate_patient(patient, 64, 0).files, strict=True):
                name = f"images/{patient}_{eye}.jpg"
                (folder / "odir_dev" / name).write_bytes(file)
                findings = [patient % modulus == 0 for modulus in (2, 3, 4, 5, 6, 7)]
                writer.writerow(
                    [name, patient, eye, 40 + patient % 30, ("Male", "Female")[patient % 2], *map(int, findings)]
                )


def test_arms_differ_in_their_weights_and_in_what_these_allow() -> None:
    packaged, random = settings("tf_efficientnet_lite1", 5).values()

    different = {name for name, value in packaged.to_params().items() if value != random.to_params()[name]}

    assert different == {"weights", "frozen_stages"}
    assert (packaged.model.weights, random.model.weights) == ("pretrained", "none")
    assert random.training.frozen_stages == 0
    assert list(settings("tf_efficientnet_lite1", 5)) == [PACKAGED, RANDOM]


def test_the_rival_reads_what_even_a_random_backbone_shows(tmp_path: Path) -> None:
    dataset = build_dataset(tmp_path, num_patients=80)
    values_PT = frozen_values(ModelConfig(backbone="test_resnet", task_split="none", propagation="none"), dataset)

    skills_T = skills_of_values(values_PT, dataset)[0]

    assert values_PT.shape == (dataset.photographs("test").num_patients, len(dataset.tasks))
    assert np.nanmax(skills_T) > 0.5


def test_the_real_cohort_is_written_as_the_docs_describe_it_and_a_tenth_is_every_tenth_patient(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_odir(tmp_path, num_patients=60)
    monkeypatch.setenv("SEPL_REAL_DATA", str(tmp_path))

    dataset = PreparedDataset.open(odir_dataset(tmp_path / "work", image_size=32, one_in=2))

    everyone = dataset.photographs("train", "validation", "calibration", "test")
    assert everyone.num_patients == 30
    assert dataset.tasks.names == (
        "age",
        "sex",
        "diabetes",
        "glaucoma",
        "cataract",
        "amd",
        "hypertension_dx",
        "myopia",
    )
    assert (everyone.labels_NT[:, 2] == 1).all()  # every second patient, as it was written


def test_without_the_photographs_one_line_names_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEPL_REAL_DATA", raising=False)

    with pytest.raises(ConfigError, match=r"SEPL_REAL_DATA should name a folder with odir_dev/labels\.csv"):
        odir_dataset(tmp_path, image_size=32)
