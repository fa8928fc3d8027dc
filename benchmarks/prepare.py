"""What preparing costs: photographs a second and core, against the bare loop that decodes and resizes, and memory.

    bare       read the file, decode the JPEG at the reduced scale that still holds the working size, resize, RGB
    examine    what preparation does with a photograph: the same, and field of view, quality, digest and picture code
    prepare    the whole of `sepl.data.preparation.prepare.prepare`, from a checked cohort to a published dataset
    released   as the SePL authors' code: full decode, CLAHE at full size, resize to 256, centre crop of 224

Each fills every core with one process, and seconds are those that the cores were at work, so that what else the machine
does counts little. Promised: examine reaches 0.9 of bare and is at least 5 times as fast as the
released way; 20,000 photographs need no more memory than 2,000, at most 1.5 GiB. Preparing a whole cohort costs some
seconds more to start processes and to write tables and report, which a cohort of tens of thousands does not notice.

    python -m benchmarks.prepare --json out.json

Photographs of 3872×2592 are the real ones below $SEPL_REAL_DATA, turned so that no two are the same, else simulated.
"""

import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any

import cv2

from benchmarks.support.decoding import examine, plain_decode, reduction_for, released_decode
from benchmarks.support.memory import peak_bytes
from benchmarks.support.photographs import files_of, make_cohort
from benchmarks.support.report import benchmark_parser, report
from sepl.data.cohort.cohort import read_cohort
from sepl.data.preparation.prepare import prepare
from sepl.execution.cores import num_cores

IMAGE_SIZE = 224
_GIB = 2**30
_SMALL_PX = 128
"""Side of the photographs of the memory runs; what grows with the cohort is not their size."""


@dataclass(frozen=True)
class Work:
    """How much is done."""

    rounds: int
    """Of the interleaved loops."""
    sizes: dict[str, tuple[int, int, int]]
    """Width, height and number of photographs."""
    memory: tuple[int, ...]
    """Numbers of photographs prepared for the sake of memory."""


QUICK = Work(5, {"3872×2592": (3872, 2592, 60), "2048×1536": (2048, 1536, 240)}, (500, 2_000))
FULL = Work(9, {"3872×2592": (3872, 2592, 400), "2048×1536": (2048, 1536, 3_000)}, (2_000, 20_000))
_LOOP_FILES = 120
"""Photographs in one round of the loops without preparation, at most."""
_A_TIME = 5
"""Photographs that a contender does before it is the next one's turn."""


def main() -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--only", choices=("speed", "memory"), help="leave the other part out")
    options = parser.parse_args()
    work = QUICK if options.quick else FULL
    speed, memory = {}, {}
    with tempfile.TemporaryDirectory() as folder, _pool() as pool:
        if options.only != "memory":
            speed = {name: _speed(Path(folder), pool, *size, work.rounds) for name, size in work.sizes.items()}
        if options.only != "speed":
            memory = {str(number): _memory(Path(folder), number) for number in work.memory}
    ratio = min((entry["examine_over_bare"] for entry in speed.values()), default=None)
    report(
        options,
        name="prepare",
        ratio=ratio,
        against="photographs a second of what preparation does with each over the bare decode and resize, all cores "
        "busy, the lower of both sizes (promised: 0.9)",
        n=work.rounds,
        measured={"speed": speed, "memory_GiB_by_photographs": memory, "image_px": IMAGE_SIZE, "cores": num_cores()},
    )


def _pool() -> ProcessPoolExecutor:
    """A process for each core, which every loop below shares."""
    return ProcessPoolExecutor(
        num_cores(), mp_context=get_context("spawn"), initializer=cv2.setNumThreads, initargs=(1,)
    )


def _speed(
    folder: Path, pool: ProcessPoolExecutor, width: int, height: int, number: int, rounds: int
) -> dict[str, Any]:
    """Photographs by second of a core of every contender, and the ratios that matter."""
    real = _real_photographs() if (width, height) == (3872, 2592) else []
    cohort_file = make_cohort(folder / f"{width}x{height}", number, width, height, real)
    files = files_of(cohort_file)
    bare = partial(plain_decode, size=IMAGE_SIZE, reduction=reduction_for(files[0], IMAGE_SIZE))
    ways = {"bare": bare, "examine": partial(examine, size=IMAGE_SIZE)}
    slow = {**ways, "released": partial(released_decode, size=IMAGE_SIZE)}
    loops = _in_all(pool, partial(_in_turn, ways, rounds), files[:_LOOP_FILES])
    slower = _in_all(pool, partial(_in_turn, slow, 1), files[: _LOOP_FILES // 3])
    bare_seconds, prepare_seconds = [], []
    for _ in range(max(1, rounds // 3)):
        bare_seconds.append(sum(_in_all(pool, partial(_in_turn, {"bare": bare}, 1), files)["bare"]))
        prepare_seconds.append(_prepare(cohort_file))
    shutil.rmtree(cohort_file.parent)
    each = {name: sum(seconds) / (rounds * len(files[:_LOOP_FILES])) for name, seconds in loops.items()}
    over_released = median(_ratios(slower["released"], slower["examine"]))
    each |= {"released": each["examine"] * over_released, "prepare": median(prepare_seconds) / number}
    return {
        "per_second_of_a_core": {name: 1 / seconds for name, seconds in each.items()},
        "examine_over_bare": median(_ratios(loops["bare"], loops["examine"])),
        "examine_over_released": over_released,
        "prepare_over_bare": median(_ratios(bare_seconds, prepare_seconds)),
        "num_photographs": number,
        "num_real": len(real),
    }


Way = Callable[[Sequence[Path]], None]


def _in_all(
    pool: ProcessPoolExecutor, function: Callable[[Sequence[Path]], dict[str, list[float]]], files: Sequence[Path]
) -> dict[str, list[float]]:
    """Every core does its share of the files at the same time; what all of them measured."""
    shares = [files[core :: num_cores()] for core in range(num_cores())]
    results = list(pool.map(function, shares))
    return {name: [seconds for result in results for seconds in result[name]] for name in results[0]}


def _in_turn(ways: Mapping[str, Way], rounds: int, files: Sequence[Path]) -> dict[str, list[float]]:
    """Core seconds of each way over each few files, in turn, so that a machine's drift meets all alike."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():
        way(files[:_A_TIME])
    for _ in range(rounds):
        for start in range(0, len(files), _A_TIME):
            for name, way in ways.items():
                before = time.process_time()
                way(files[start : start + _A_TIME])
                seconds[name].append(time.process_time() - before)
    return seconds


def _ratios(above: Sequence[float], below: Sequence[float]) -> list[float]:
    """Of the rounds: what disturbs a round disturbs both of its times."""
    return [one / other for one, other in zip(above, below, strict=True)]


def _prepare(cohort_file: Path) -> float:
    """Core seconds of preparing a cohort, with those of the processes that it starts."""
    start = _own_core_seconds()
    out = cohort_file.parent / "prepared"
    shutil.rmtree(out, ignore_errors=True)
    summary = prepare(read_cohort(cohort_file), out, IMAGE_SIZE)
    assert not summary.unchanged, "a dataset that stands is not prepared again"
    return _own_core_seconds() - start


def _own_core_seconds() -> float:
    """Of this process and of the children that have ended."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def _memory(folder: Path, number: int) -> float:
    """GiB that preparing so many small photographs needs."""
    cohort_file = make_cohort(folder / f"memory-{number}", number, _SMALL_PX, _SMALL_PX)
    peak = peak_bytes(partial(_prepare, cohort_file))
    shutil.rmtree(cohort_file.parent)
    return peak / _GIB


def _real_photographs() -> list[Path]:
    folder = os.environ.get("SEPL_REAL_DATA")
    return sorted((Path(folder) / "fundus_fullres").glob("*.jpg")) if folder else []


if __name__ == "__main__":
    main()
