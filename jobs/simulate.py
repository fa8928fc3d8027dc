"""Draws a cohort to try things on: `python -m jobs.simulate --out DIR --num-patients 600 --image-size 256 --seed 0`."""

from pathlib import Path

from jobs._command import run_command
from sepl.execution.progress import track


def main(out: Path, num_patients: int = 600, image_size: int = 256, seed: int = 0) -> None:
    """Draw a cohort whose photographs show 15 cardiometabolic factors at known strength (docs/simulator.md).

    Writes images/, labels.csv, reachable.json and, last, cohort.toml, which jobs.prepare reads.

    Args:
        out: A new or empty folder.
        num_patients: People, each with a photograph of either eye.
        image_size: Side of the photographs, in pixels.
        seed: The same seed draws the same bytes, on any number of cores; a larger cohort begins with the smaller one.
    """
    from sepl.simulation.cohort import simulate_cohort

    drawn = simulate_cohort(out, num_patients=num_patients, image_size=image_size, seed=seed)
    for _ in track(drawn, num_patients, "simulated patients"):
        pass
    print(f"cohort: {out / 'cohort.toml'}")


if __name__ == "__main__":
    run_command(main)
