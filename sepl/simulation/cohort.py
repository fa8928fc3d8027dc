"""A simulated cohort on disk: photographs of both eyes, a table of factors, `cohort.toml` and the reachable skill.

Every patient has a generator of their own, so that the same seed gives the same bytes however many processes draw, and
a larger cohort begins with the patients of the smaller one.
"""

import csv
import json
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np

from sepl.errors import ConfigError
from sepl.execution.cores import num_cores
from sepl.simulation.camera import CAMERAS, encode_jpeg
from sepl.simulation.channels import draw_channels
from sepl.simulation.factors import FACTORS, nhanes_factor_model
from sepl.simulation.fundus import EYES, draw_photograph
from sepl.simulation.reachable import Reachable, reachable_skill

_COLUMNS = ("image", "patient_id", "eye", *FACTORS)
_CHUNK = 8
"""Patients a process draws before it reports."""

TableRow = dict[str, str]


@dataclass(frozen=True)
class SimulatedPatient:
    """One person: table rows and JPEG files, right eye first."""

    rows: tuple[TableRow, ...]
    files: tuple[bytes, ...]


def simulate_patient(index: int, image_size: int, seed: int) -> SimulatedPatient:
    """Patient number `index` of the cohort that `seed` names; photographs are `image_size` pixels square."""
    people, missing, *eyes = (np.random.default_rng(child) for child in np.random.SeedSequence([seed, index]).spawn(4))
    model = nhanes_factor_model()
    factors = model.draw(1, people)
    channels_EC = draw_channels(factors, people)[0]
    camera = CAMERAS[people.integers(len(CAMERAS))]
    pigment = people.standard_normal()
    absent = model.draw_absent(missing)
    known = {name: "" if name in absent else _spell(name, float(factors[name][0])) for name in FACTORS}
    rows, files = [], []
    for eye, channels_C, rng in zip(EYES, channels_EC, eyes, strict=True):
        picture = draw_photograph(channels_C, eye, camera, pigment, image_size, rng)
        files.append(encode_jpeg(picture, camera))
        patient = f"P{index:06d}"
        rows.append({"image": f"{patient}_{eye}.jpg", "patient_id": patient, "eye": eye, **known})
    return SimulatedPatient(tuple(rows), tuple(files))


def _spell(name: str, value: float) -> str:
    return ("F", "M")[int(value)] if name == "sex" else f"{value:g}"


def simulate_cohort(
    out: Path, *, num_patients: int, image_size: int, seed: int, num_processes: int | None = None
) -> Iterator[str]:
    """Writes the cohort below `out` and yields the id of each patient once drawn.

    `cohort.toml` is written last. `num_processes` None uses every core that this process may use. Raises ConfigError
    for a folder that is not empty and for numbers out of range.
    """
    _check(out, num_patients, image_size, seed)
    images = out / "images"
    images.mkdir(parents=True)
    rows: list[TableRow] = []
    for chunk in _in_processes(images, num_patients, image_size, seed, num_processes or num_cores()):
        rows.extend(chunk)
        yield from dict.fromkeys(row["patient_id"] for row in chunk)
    with (out / "labels.csv").open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, _COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    reachable = reachable_skill()
    (out / "reachable.json").write_text(json.dumps(reachable.model_dump(mode="json"), indent=2) + "\n", "utf-8")
    (out / "cohort.toml").write_text(_cohort_toml(num_patients, seed, reachable), "utf-8")


def _check(out: Path, num_patients: int, image_size: int, seed: int) -> None:
    if num_patients < 1:
        raise ConfigError(f"num_patients should be at least 1, was {num_patients}")
    if not 32 <= image_size <= 4096:
        raise ConfigError(f"image_size should be 32 to 4096 pixels, was {image_size}")
    if seed < 0:
        raise ConfigError(f"seed should be 0 or more, was {seed}")
    if out.exists() and not (out.is_dir() and not any(out.iterdir())):
        raise ConfigError(f"out should be a new or empty folder, was {out} with files in it")


def _in_processes(images: Path, num_patients: int, image_size: int, seed: int, num: int) -> Iterator[list[TableRow]]:
    chunks = [range(start, min(start + _CHUNK, num_patients)) for start in range(0, num_patients, _CHUNK)]
    # Processes are spawned, not forked: the caller may hold threads (OpenCV, Ray) that a fork would break.
    with ProcessPoolExecutor(min(num, len(chunks)), mp_context=get_context("spawn")) as pool:
        futures = [pool.submit(_write_chunk, images, chunk, image_size, seed) for chunk in chunks]
        try:
            for future in futures:
                yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _write_chunk(images: Path, patients: range, image_size: int, seed: int) -> list[TableRow]:
    cv2.setNumThreads(1)  # the processes are the parallelism
    rows: list[TableRow] = []
    for index in patients:
        patient = simulate_patient(index, image_size, seed)
        for row, data in zip(patient.rows, patient.files, strict=True):
            (images / row["image"]).write_bytes(data)
        rows.extend(patient.rows)
    return rows


def _cohort_toml(num_patients: int, seed: int, reachable: Reachable) -> str:
    lines = [
        f'name = "simulated-{num_patients}-{seed}"',
        'table = "labels.csv"',
        'images = "images"',
        "",
        "[columns]",
        'image = "image"',
        'patient = "patient_id"',
        'eye = "eye"',
    ]
    for name in FACTORS:
        lines += ["", f"[tasks.{name}]", f'column = "{name}"']
        lines += ['positive = ["M"]'] if name == "sex" else []
        lines += [f"reachable_skill = {reachable.skills[name].reachable}"]
    return "\n".join(lines) + "\n"
