"""Decode, check and split a cohort once: `python -m jobs.prepare --cohort cohort.toml --out URI --image-size PX`."""

import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from tyro.conf import UseAppendAction

from jobs._command import run_command

if TYPE_CHECKING:
    from sepl.distributed.prepare import RayExecutor


def main(
    cohort: UseAppendAction[tuple[Path, ...]],
    out: str,
    image_size: int,
    seed: int = 0,
    num_workers: int | None = None,
    keep_patient_ids: bool = False,
    name: str | None = None,
    address: str | None = None,
) -> None:
    """Prepare a dataset from a cohort: photographs are decoded exactly once, patients are split, nothing is lost.

    A run that was stopped goes on where it was when the same command is given again. Over a dataset that stands there
    already, only photographs that are new or changed are decoded.

    Args:
        cohort: cohort.toml, which names table, photographs, columns and tasks (docs/cohorts.md). Given several times,
            the cohorts become one dataset of the union of their tasks.
        out: Where the dataset goes: a local path, s3://… or gs://…; it appears whole or not at all.
        image_size: Side of the prepared square, in pixels.
        seed: Of the split of the patients into train, validation and calibration; who is tested is fixed.
        num_workers: Photographs decoded at a time; one for each core unless given.
        keep_patient_ids: Publish patient ids and file names as they are, instead of pseudonyms by a secret key.
        name: Of the dataset; the cohort's name, or the cohorts' names joined by +, unless given.
        address: Of a running Ray cluster, auto or HOST:PORT; left out: this machine. Photographs and --out must be
            readable on all nodes of a cluster.
    """
    from sepl.data.cohort.cohort import read_cohort
    from sepl.data.cohort.union import join_cohorts
    from sepl.data.preparation.prepare import prepare
    from sepl.data.preparation.summary import describe_prepared

    checked = join_cohorts([read_cohort(path) for path in cohort], name)
    try:
        with _executor(address, num_workers) as executor:
            if executor is not None:
                executor.check_sight(checked, out)
            summary = prepare(
                checked,
                out,
                image_size,
                seed=seed,
                num_workers=num_workers,
                keep_patient_ids=keep_patient_ids,
                executor=executor,
            )
    except KeyboardInterrupt:
        print("what is done so far is kept; the same command goes on from there", file=sys.stderr)
        raise
    print(describe_prepared(summary))
    print(f"dataset: {out}")


def _executor(address: str | None, num_workers: int | None) -> "AbstractContextManager[RayExecutor | None]":
    if address in (None, "local"):
        return nullcontext(None)
    from sepl.distributed.prepare import ray_executor  # Ray takes seconds to load, and this machine needs none

    return ray_executor(address, num_workers)


if __name__ == "__main__":
    run_command(main)
