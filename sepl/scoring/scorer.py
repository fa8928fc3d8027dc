"""Scores photographs with a bundle: the one way that the command, the server and the tests all take.

    bytes ── read_photograph, gate (threads) ──► pixels ── forward (calling thread) ──► outputs ── calibration ──► Score

Every photograph gives exactly one row, in order; one that cannot be read or is no fundus photograph costs its own row.
A photograph's values do not depend on the others of its batch.
"""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from sepl.bundle.format import ModelBundle
from sepl.data.dicom import is_dicom, read_facts
from sepl.data.images import read_photograph
from sepl.errors import BundleError, ConfigError, ImageError
from sepl.models.build import build_network
from sepl.models.predict import predict_outputs
from sepl.scoring.gate import reason_to_reject
from sepl.scoring.intervals import calibrated_values
from sepl.scoring.rows import Prediction, Score, Status

DeviceName = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True)
class Photograph:
    """A photograph still to be read; `read` gives its bytes, on a thread of the scorer."""

    name: str
    read: Callable[[], bytes]
    eye: str = ""
    """"left" or "right"; empty when nobody says. A DICOM file says it itself."""


@dataclass(frozen=True)
class Reading:
    """A photograph's pixels (size, size, 3), or None and why there are none."""

    name: str
    status: Status
    pixels: NDArray[np.uint8] | None = None
    reason: str | None = None


class Scorer:
    """A bundle's network on a device, ready to score.

    `read` may be called from several threads at once, `score_readings` and `outputs` from one at a time. Raises
    BundleError when the bundle's weights do not fit its own config, ConfigError for a GPU that is not there.
    """

    def __init__(self, bundle: ModelBundle, device: DeviceName = "auto", batch_size: int = 64) -> None:
        self.bundle = bundle
        self.batch_size = batch_size
        self.device = _pick_device(device)
        self.network = _load_network(bundle).to(self.device)

    def score_bytes(self, photographs: Sequence[tuple[str, bytes]]) -> list[Score]:
        """Scores of encoded photographs, given with their names."""
        sources = (Photograph(name, partial(_same, data)) for name, data in photographs)
        return [score for scores in self.stream(sources) for score in scores]

    def score_files(self, paths: Sequence[Path]) -> list[Score]:
        """Scores of files; the names are the paths as given."""
        sources = (Photograph(str(path), path.read_bytes) for path in paths)
        return [score for scores in self.stream(sources) for score in scores]

    def score_pixels(self, names: Sequence[str], pixels_NHWC: NDArray[np.uint8]) -> list[Score]:
        """Scores of photographs that `read_photograph` already made pixels of, by the bundle's image spec."""
        readings = [_gated(name, pixels) for name, pixels in zip(names, pixels_NHWC, strict=True)]
        return self.score_readings(readings)

    def stream(self, photographs: Iterable[Photograph]) -> Generator[list[Score], None, None]:
        """Scores in order, a batch at a time: the next batches are read by threads while one is in the network.

        At most three batches are in memory, however many photographs there are.
        """
        num_threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        remaining = iter(photographs)
        with ThreadPoolExecutor(num_threads, thread_name_prefix="read") as pool:

            def submit_batch() -> list[Future[Reading]]:
                return [pool.submit(self.read, photograph) for photograph in islice(remaining, self.batch_size)]

            ahead = deque(batch for _ in range(2) if (batch := submit_batch()))
            while ahead:
                readings = [future.result() for future in ahead.popleft()]
                if batch := submit_batch():
                    ahead.append(batch)
                yield self.score_readings(readings)

    def read(self, photograph: Photograph) -> Reading:
        """Reads, decodes and checks one photograph; never raises for what is wrong with the photograph."""
        try:
            pixels = self._read_pixels(photograph)
        except FileNotFoundError:
            return Reading(photograph.name, "failed", reason="file not found")
        except ImageError as problem:
            # pixels were there, but no retina among them
            status: Status = "rejected" if str(problem).startswith("no field of view") else "failed"
            return Reading(photograph.name, status, reason=str(problem))
        except OSError as problem:
            return Reading(photograph.name, "failed", reason=f"cannot be opened: {problem}")
        return _gated(photograph.name, pixels)

    def _read_pixels(self, photograph: Photograph) -> NDArray[np.uint8]:
        source, spec = photograph.read(), self.bundle.manifest.image
        eye = photograph.eye
        if spec.mirror_left and not eye:
            eye = read_facts(source).eye if is_dicom(source) else ""
            if not eye:
                raise ImageError("eye not known: this model sees left eyes mirrored, so it should be told")
        return read_photograph(source, spec, eye=eye)

    def score_readings(self, readings: Sequence[Reading]) -> list[Score]:
        """Scores of photographs that were read, in order, with one pass through the network."""
        predictions = iter(self._predict([reading.pixels for reading in readings if reading.pixels is not None]))
        return [self._score(reading, None if reading.pixels is None else next(predictions)) for reading in readings]

    def outputs(
        self, shards: Sequence[NDArray[np.uint8]], patients: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """Network outputs (N, T) of pixels (n, size, size, 3): scaled values, logits for binary tasks.

        `patients` (N,) 0 … P−1 tells a network with fusion which photographs are one patient's: all of these get the
        patient's outputs. Without it each photograph is judged by itself, as photographs to score are.

        In full float32: a GPU's TF32 convolutions would make a value depend on the machine in its third digit.
        """
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            return predict_outputs(
                self.network,
                shards,
                self.bundle.manifest.image,
                device=self.device,
                batch_size=self.batch_size,
                patients=patients,
            )

    def _score(self, reading: Reading, predictions: list[Prediction] | None) -> Score:
        bundle_id = self.bundle.bundle_id
        if predictions is None:
            return Score(reading.name, reading.status, reading.reason, bundle_id)
        if not all(np.isfinite(prediction.value) for prediction in predictions):
            return Score(reading.name, "failed", "the model's output is not finite", bundle_id)
        names = self.bundle.manifest.tasks.names
        return Score(reading.name, "ok", None, bundle_id, dict(zip(names, predictions, strict=True)))

    def _predict(self, pixels: Sequence[NDArray[np.uint8]]) -> list[list[Prediction]]:
        if not pixels:
            return []
        manifest = self.bundle.manifest
        found = calibrated_values(self.outputs([np.stack(pixels)]), manifest.tasks, manifest.scaler, manifest.intervals)
        rows = zip(found.values_NT.tolist(), found.low_NT.tolist(), found.high_NT.tolist(), strict=True)
        return [[_prediction(*triple) for triple in zip(*row, strict=True)] for row in rows]


def _prediction(value: float, low: float, high: float) -> Prediction:
    has_interval = low == low  # NaN is not itself
    return Prediction(value, low if has_interval else None, high if has_interval else None)


def _gated(name: str, pixels: NDArray[np.uint8]) -> Reading:
    reason = reason_to_reject(pixels)
    return Reading(name, "ok", pixels) if reason is None else Reading(name, "rejected", reason=reason)


def _load_network(bundle: ModelBundle) -> nn.Module:
    manifest = bundle.manifest
    network = build_network(manifest.config.model, manifest.tasks, manifest.image.size, initialise=False)
    try:
        network.load_state_dict(bundle.state)
    except RuntimeError as problem:
        first_lines = " ".join(str(problem).split()[:40])
        raise BundleError(
            f"{bundle.bundle_id}: weights should fit the bundle's own config, do not: {first_lines}"
        ) from None
    return network.eval()


def _pick_device(device: DeviceName) -> torch.device:
    has_gpu = torch.cuda.is_available()
    if device == "cuda" and not has_gpu:
        raise ConfigError("device should be auto or cpu on a machine without a GPU that torch can use, was 'cuda'")
    return torch.device("cuda" if has_gpu and device != "cpu" else "cpu")


def _same(data: bytes) -> bytes:
    return data
