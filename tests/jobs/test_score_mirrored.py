"""Where left eyes stand mirrored, preparation and scoring say the same of photographs whose eye is not known."""

import csv
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from builders import build_cohort
from bundles import build_bundle

from jobs import score
from sepl.data.cohort.cohort import read_cohort
from sepl.data.dataset.dataset import PreparedDataset
from sepl.data.preparation.prepare import prepare
from sepl.errors import CohortError

UNKNOWN = {2: "OU", 5: ""}
"""Eyes of rows of the table; too few for the file to be wrong."""


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    path = build_cohort(tmp_path / "cohort", num_patients=8)
    path.write_text(path.read_text() + "[photographs]\nmirror_left = true\n")
    return path


def change_eyes(cohort: Path, eyes: dict[int, str]) -> list[str]:
    """Writes these eyes into the rows of the table; the names of all photographs."""
    table = cohort.parent / "labels.csv"
    rows = list(csv.reader(table.read_text().splitlines()))
    for index, eye in eyes.items():
        rows[index + 1][rows[0].index("eye")] = eye
    with table.open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    return [row[0] for row in rows[1:]]


def scored(cohort: Path, dataset: PreparedDataset, **options: Any) -> list[dict[str, Any]]:
    folder = cohort.parent
    if not (folder / "bundle").exists():
        build_bundle(folder / "bundle", image=dataset.image_spec, quality=dataset.manifest.quality)
    score.main(
        str(folder / "bundle"),
        str(folder / "labels.csv"),
        str(folder / "scores.parquet"),
        images=str(folder / "images"),
        device="cpu",
        **options,
    )
    return pq.read_table(folder / "scores.parquet").to_pylist()


def test_the_photographs_that_preparation_left_out_are_those_that_scoring_fails(cohort: Path) -> None:
    names = change_eyes(cohort, UNKNOWN)
    prepare(read_cohort(cohort), cohort.parent / "dataset", 32, num_workers=1, keep_patient_ids=True)
    dataset = PreparedDataset.open(cohort.parent / "dataset")

    rows = scored(cohort, dataset, eye_column="eye")

    prepared = set(pq.read_table(cohort.parent / "dataset" / "labels.parquet")["image"].to_pylist())
    left_out = [name for name in names if name not in prepared]
    assert left_out == [names[index] for index in UNKNOWN]
    assert [row["image"] for row in rows if row["status"] == "failed"] == left_out
    assert all(row["status"] == "ok" for row in rows if row["image"] in prepared)
    assert all(row["reason"].startswith("eye not known") for row in rows if row["status"] == "failed")


def test_no_eye_at_all_is_prepared_by_nobody_and_scored_by_nobody(cohort: Path) -> None:
    prepare(read_cohort(cohort), cohort.parent / "dataset", 32, num_workers=1, keep_patient_ids=True)
    dataset = PreparedDataset.open(cohort.parent / "dataset")
    names = change_eyes(cohort, dict.fromkeys(range(16), ""))

    with pytest.raises(CohortError, match=r"eye.*16 of 16 rows should; mirror_left needs it"):
        read_cohort(cohort)
    for options in ({"eye_column": "eye"}, {}):
        rows = scored(cohort, dataset, **options)
        assert [(row["image"], row["status"]) for row in rows] == [(name, "failed") for name in names]
        assert all(row["reason"].startswith("eye not known") for row in rows)
