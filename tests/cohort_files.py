"""Cohort files and their tables, written for a test."""

from pathlib import Path

from sepl.data.cohort.cohort import Cohort, read_cohort

HEADER = 'name = "c"\ntable = "labels.csv"\n[columns]\nimage = "image"\npatient = "patient"\neye = "eye"\n'
AGE = '[tasks.age]\ncolumn = "age"\n'
SEX = '[tasks.sex]\ncolumn = "sex"\nmale = "M"\nfemale = "F"\n'
TABLE = "image,patient,eye,age,sex\na.jpg,007,L,61,M\nb.jpg,007,R,61,M\nc.jpg,8,L,,F\n"


def write_files(folder: Path, **texts: str) -> Path:
    """Writes each text under its name (`labs_csv` becomes labs.csv) and returns the path of cohort.toml."""
    for name, text in texts.items():
        stem, _, suffix = name.rpartition("_")
        (folder / f"{stem}.{suffix}").write_text(text, encoding="utf-8")
    return folder / "cohort.toml"


def read_files(folder: Path, **texts: str) -> Cohort:
    """The cohort that these files describe."""
    return read_cohort(write_files(folder, **texts))


def noted(cohort: Cohort) -> list[tuple[str, str, int, str]]:
    """Kind, table, row and column of each finding."""
    return [(finding.kind, finding.table, finding.row, finding.column) for finding in cohort.findings]
