"""Draws a simulated cohort: photographs of both eyes and a table of the 15 factors.

python -m jobs.simulate --out DIR --num-patients 600 --image-size 256 --seed 0
"""

import sys
import time
from collections.abc import Iterator
from pathlib import Path

from rich.progress import Progress

from jobs._command import run_command
from sepl.data.simulate.cohort import simulate_cohort


def main(out: Path, num_patients: int = 600, image_size: int = 256, seed: int = 0) -> None:
    """Writes images/, labels.csv, reachable.json and cohort.toml below a new folder.

    Args:
        out: Folder to make; it may exist when it is empty.
        num_patients: People; each has two photographs.
        image_size: Side of the square photographs in pixels.
        seed: The same seed gives the same bytes.
    """
    start = time.perf_counter()
    drawn = simulate_cohort(out, num_patients=num_patients, image_size=image_size, seed=seed)
    num_done = 0
    for num_done in _shown(drawn, num_patients):
        pass
    seconds = time.perf_counter() - start
    print(f"{num_done} patients, {2 * num_done} photographs in {seconds:.1f} s: {out / 'cohort.toml'}")


def _shown(drawn: Iterator[int], num_patients: int) -> Iterator[int]:
    """A bar in a terminal, else a line for each tenth."""
    if sys.stdout.isatty():
        yield from _bar(drawn, num_patients)
        return
    told = 0
    for num_done in drawn:
        if num_done * 10 // num_patients > told:
            told = num_done * 10 // num_patients
            print(f"simulate: {num_done} of {num_patients} patients", flush=True)
        yield num_done


def _bar(drawn: Iterator[int], num_patients: int) -> Iterator[int]:
    with Progress() as progress:
        bar = progress.add_task("simulate", total=num_patients)
        for num_done in drawn:
            progress.update(bar, completed=num_done)
            yield num_done


if __name__ == "__main__":
    run_command(main)
