"""Cohorts that benchmarks make for themselves."""

from pathlib import Path

from sepl.data.cohort.cohort import read_cohort
from sepl.data.preparation.prepare import prepare
from sepl.simulation.cohort import simulate_cohort


def simulated_dataset(folder: Path, num_patients: int, *, image_size: int, seed: int) -> str:
    """URI of a dataset below `folder`: a simulated cohort of 128 px photographs, prepared at `image_size`."""
    for _ in simulate_cohort(folder / "cohort", num_patients=num_patients, image_size=128, seed=seed):
        pass
    prepared = str(folder / "prepared")
    prepare(read_cohort(folder / "cohort" / "cohort.toml"), prepared, image_size)
    return prepared
