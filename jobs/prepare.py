"""Decode, check and split a cohort once: `python -m jobs.prepare --cohort cohort.toml --out URI --image-size PX`."""

from pathlib import Path

from jobs._command import run_command
from sepl.data.cohort import read_cohort
from sepl.data.prepare import prepare
from sepl.data.summary import describe_prepared


def main(cohort: Path, out: str, image_size: int, seed: int = 0, num_workers: int | None = None) -> None:
    """Prepare a dataset from a cohort: photographs are decoded exactly once, patients are split, nothing is lost.

    Args:
        cohort: cohort.toml, which names table, photographs, columns and tasks (docs/cohorts.md).
        out: Where the dataset goes: a local path, s3://… or gs://…; it appears whole or not at all.
        image_size: Side of the prepared square, in pixels.
        seed: Of the split of the patients into train, validation, calibration and test.
        num_workers: Photographs decoded at a time; one for each core unless given.
    """
    summary = prepare(read_cohort(cohort), out, image_size, seed=seed, num_workers=num_workers)
    print(describe_prepared(summary))
    print(f"dataset: {out}")


if __name__ == "__main__":
    run_command(main)
