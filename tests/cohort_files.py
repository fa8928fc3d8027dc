"""Cohort files and their tables, written for a test."""

from pathlib import Path

from sepl.data.cohort.cohort import Cohort, read_cohort


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
