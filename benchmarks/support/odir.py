"""The real photographs of docs/real_photographs.md as a prepared dataset: `odir_dev` below $SEPL_REAL_DATA."""

import csv
import os
from pathlib import Path

from sepl.data.cohort.cohort import read_cohort
from sepl.data.preparation.prepare import prepare
from sepl.errors import ConfigError

_FINDINGS = {
    "diabetes": "Diabetes",
    "glaucoma": "Glaucoma",
    "cataract": "Cataract",
    "amd": "Macular degeneration",
    "hypertension": "Hypertension",
    "myopia": "Myopia",
}


def odir_dataset(folder: Path, *, image_size: int, one_in: int = 1) -> str:
    """URI of a dataset below `folder`: the photographs of each `one_in`-th patient, prepared at `image_size`.

    Raises ConfigError where $SEPL_REAL_DATA names no folder with these photographs.
    """
    photographs = Path(os.environ.get("SEPL_REAL_DATA", "")) / "odir_dev"
    if not (photographs / "labels.csv").is_file():
        raise ConfigError(f"SEPL_REAL_DATA should name a folder with odir_dev/labels.csv, found no {photographs}")
    folder.mkdir(parents=True, exist_ok=True)
    _write_labels(photographs / "labels.csv", folder / "labels.csv", one_in)
    (folder / "cohort.toml").write_text(_cohort(photographs.resolve()), encoding="utf-8")
    prepared = str(folder / "prepared")
    prepare(read_cohort(folder / "cohort.toml"), prepared, image_size)
    return prepared


def _write_labels(source: Path, chosen: Path, one_in: int) -> None:
    with source.open(encoding="utf-8", newline="") as stream:
        header, *rows = csv.reader(stream)
    column = header.index("patient_id")
    kept = set(list(dict.fromkeys(row[column] for row in rows))[::one_in])
    with chosen.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([header, *(row for row in rows if row[column] in kept)])


def _cohort(photographs: Path) -> str:
    head = f"""\
name = "odir_dev"
table = "labels.csv"
images = "{photographs.as_posix()}"

[columns]
image = "image"
patient = "patient_id"
eye = "eye"

[tasks.age]
column = "age"

[tasks.sex]
column = "sex"
"""
    return head + "".join(
        f'\n[tasks.{_task(column)}]\ncolumn = "{column}"\nkind = "binary"\nlabel = "{label}"\n'
        for column, label in _FINDINGS.items()
    )


def _task(column: str) -> str:
    """Hypertension as found on the photograph is no measured blood pressure, which the built-in task derives from."""
    return "hypertension_dx" if column == "hypertension" else column
