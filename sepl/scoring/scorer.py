"""Scores photographs with a bundle: the one way that the command, the server and the tests all take.

    bytes ── decode, judge (threads) ──► pixels ── forward (calling thread) ──► outputs ── calibration ──► Score

Every photograph gives exactly one row, in order; one that cannot be read or is beyond the limits
of quality that the bundle's own photographs passed costs its own row.
Photographs of one patient are judged together, as in validation, calibration and test: by a network with fusion, else
by the mean of their outputs. Each of them that can be scored has the patient's values; one that cannot changes nothing
for the others. A photograph without a patient is judged by itself. No value depends on other patients.
"""

import logging
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sepl.bundle.format import ModelBundle
from sepl.config import DeviceName
from sepl.device import pick_device
from sepl.errors import BundleError
from sepl.execution.cores import num_cores
from sepl.memory import keep_freed_memory
from sepl.models.build import build_network
from sepl.models.parts.network import MultiTaskNetwork
from sepl.models.predict import join_patients, predict_outputs, represent_pixels
from sepl.scoring.intervals import calibrated_values
from sepl.scoring.patients import (
    Piece,
    group_patients,
    in_pieces,
    order_by_patient,
    patient_keys,
    restore_order,
)
from sepl.scoring.readings import Photograph, Reading, read
from sepl.scoring.rows import Prediction, Score

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    """A photograph whose patient is judged. Small, since it may wait for the rows before it."""

    reading: Reading
    """Without its pixels."""
    outputs_T: NDArray[np.float64] | None
    """Its patient's; None unless the status is ok."""
    num_photographs: int
    """That the outputs rest on."""


@dataclass(frozen=True, eq=False)
class _Represented:
    """What is kept of a piece."""

    readings: list[Reading]
    """Without their pixels."""
    patients: list[int]
    """Of each reading, its place in the piece."""
    kept: Tensor | None
    """A row for each reading that is ok."""


class Scorer:
    """A bundle's network on a device, ready to score.

    `read` may be called from several threads at once, everything else from one at a time. Raises BundleError when the
    bundle's weights do not fit its own config, ConfigError for a GPU that is not there.
    """

    def __init__(self, bundle: ModelBundle, device: DeviceName = "auto", batch_size: int = 64) -> None:
        self.bundle = bundle
        self.batch_size = batch_size
        self.device = pick_device(device)
        if self.device.type == "cpu":
            keep_freed_memory()
        self.network = _load_network(bundle).to(self.device)
        if bundle.manifest.quality is None:
            _log.warning("bundle %s carries no limits of quality; the default ones apply", bundle.bundle_id)

    def score_bytes(self, photographs: Sequence[tuple[str, bytes]], patients: Sequence[str] = ()) -> list[Score]:
        """Scores of encoded photographs, given with their names.

        `patients`, here and below, says whose each photograph is, in any order; empty, or none at all: each is a
        patient of its own. Raises ConfigError when they are not as many as photographs.
        """
        keys = patient_keys(patients, len(photographs))
        return self._score(
            [
                Photograph(name, partial(_same, data), "", key)
                for (name, data), key in zip(photographs, keys, strict=True)
            ]
        )

    def score_files(self, paths: Sequence[Path], patients: Sequence[str] = ()) -> list[Score]:
        """Scores of files; the names are the paths as given."""
        keys = patient_keys(patients, len(paths))
        return self._score(
            [Photograph(str(path), path.read_bytes, "", key) for path, key in zip(paths, keys, strict=True)]
        )

    def score_pixels(
        self, names: Sequence[str], pixels_NHWC: NDArray[np.uint8], patients: Sequence[str] = ()
    ) -> list[Score]:
        """Scores of photographs of which the bundle's image spec already made pixels, as of a prepared dataset.

        Whether they can be graded was to be judged before, by their measures: pixels do not tell it any more.
        """
        keys = patient_keys(patients, len(names))
        rows = zip(names, pixels_NHWC, keys, strict=True)
        return self.score_readings([Reading(name, "ok", pixels, None, key) for name, pixels, key in rows])

    def _score(self, photographs: Sequence[Photograph]) -> list[Score]:
        order = order_by_patient([photograph.patient for photograph in photographs])
        scores = self.stream((photographs[place] for place in order), order)
        return list(chain.from_iterable(scores))

    def stream(
        self, photographs: Iterable[Photograph], order: NDArray[np.int64] | None = None
    ) -> Generator[list[Score], None, None]:
        """Scores, a batch at a time: the next batches are read by threads while one is in the network.

        The pixels of at most three batches are in memory, however many photographs there are, or a patient has.

        Args:
            photographs: each patient's one after the other.
            order: (N,) the place of each photograph's row among the scores, for photographs that a patient's table does
                not have one after the other; a row waits until those before it are known. None: the rows come as the
                photographs do.

        Raises:
            ConfigError: a patient's photographs come one after the other, and then there are more.
        """
        pieces = in_pieces(group_patients(photographs), self.batch_size)
        with ThreadPoolExecutor(num_cores(), thread_name_prefix="read") as pool:
            judged = self._judge(self._read_ahead(pieces, pool))
            if order is not None:
                judged = restore_order(judged, order, self.batch_size)
            yield from map(self._rows, judged)

    def _read_ahead(self, pieces: Iterator[Piece[Photograph]], pool: ThreadPoolExecutor) -> Iterator[Piece[Reading]]:
        def submit(piece: Piece[Photograph]) -> Piece[Future[Reading]]:
            return Piece([[pool.submit(self.read, row) for row in rows] for rows in piece.patients], piece.goes_on)

        submitted = map(submit, pieces)
        ahead = deque(piece for _ in range(2) if (piece := next(submitted, None)))
        while ahead:
            piece = ahead.popleft()
            readings: Piece[Reading] = Piece([[row.result() for row in rows] for rows in piece.patients], piece.goes_on)
            if following := next(submitted, None):
                ahead.append(following)
            yield readings
            del piece, readings, following  # their pixels, before the next batch is read

    def read(self, photograph: Photograph) -> Reading:
        """Reads, decodes and checks one photograph as the bundle asks; never raises for what is wrong with it."""
        return read(photograph, self.bundle.manifest.image, self.bundle.manifest.quality_limits)

    def score_readings(self, readings: Sequence[Reading]) -> list[Score]:
        """Scores of photographs that were read, in order; a patient's may stand anywhere."""
        order = order_by_patient([reading.patient for reading in readings])
        patients = group_patients(readings[place] for place in order)
        judged = restore_order(self._judge(in_pieces(patients, self.batch_size)), order, len(readings))
        return list(chain.from_iterable(map(self._rows, judged)))

    def score_patients(self, patients: Sequence[Sequence[Reading]]) -> list[list[Score]]:
        """Scores of photographs that were read, by patient, whatever their keys."""
        judged = chain.from_iterable(map(self._rows, self._judge(in_pieces(patients, self.batch_size))))
        return [[next(judged) for _ in readings] for readings in patients]

    def outputs(
        self, shards: Sequence[NDArray[np.uint8]], patients: NDArray[np.int64] | None = None
    ) -> NDArray[np.float32]:
        """Network outputs (N, T) of pixels (n, size, size, 3): scaled values, logits for binary tasks.

        `patients` (N,) 0 … P−1 tells a network with fusion which photographs are one patient's: all of these get the
        patient's outputs. Without it each photograph is judged by itself.

        In full float32: a GPU's TF32 convolutions would make a value depend on the machine in its third digit.
        """
        with _full_precision():
            return predict_outputs(
                self.network,
                shards,
                device=self.device,
                batch_size=self.batch_size,
                patients=patients,
            )

    def _judge(self, pieces: Iterable[Piece[Reading]]) -> Iterator[list[_Judged]]:
        begun: list[_Represented] = []
        for piece in pieces:
            begun.append(self._represent(piece))
            goes_on = piece.goes_on
            del piece  # its pixels, before the next batch is read
            if not goes_on:
                yield self._join(begun)
                begun = []

    def _represent(self, piece: Piece[Reading]) -> _Represented:
        readings = [reading for rows in piece.patients for reading in rows]
        pixels = [reading.pixels for reading in readings if reading.pixels is not None]
        kept = None
        if pixels:
            with _full_precision(), torch.inference_mode():
                kept = represent_pixels(self.network, np.stack(pixels), self.device)
        numbers = [number for number, rows in enumerate(piece.patients) for _ in rows]
        return _Represented([replace(reading, pixels=None) for reading in readings], numbers, kept)

    def _join(self, parts: Sequence[_Represented]) -> list[_Judged]:
        """The outputs of patients whose photographs are all represented; what is not finite is nobody's."""
        readings = [reading for part in parts for reading in part.readings]
        patients = np.array([number for part in parts for number in part.patients], np.int64)
        is_used = np.array([reading.status == "ok" for reading in readings], bool)
        kept = [part.kept for part in parts if part.kept is not None]
        outputs: dict[int, tuple[NDArray[np.float64], int]] = {}
        if kept:
            kept_N = torch.cat(kept)
            is_finite_N = kept_N.isfinite().flatten(1).all(dim=1)
            is_used[is_used] = is_finite_N.cpu().numpy()
            outputs = self._outputs_of(kept_N[is_finite_N], patients[is_used])
        return [
            _judged(reading, outputs.get(patient) if used else None)
            for reading, patient, used in zip(readings, patients.tolist(), is_used.tolist(), strict=True)
        ]

    def _outputs_of(self, kept_N: Tensor, patient_N: NDArray[np.int64]) -> dict[int, tuple[NDArray[np.float64], int]]:
        """By patient: outputs (T,), and the number of photographs that they rest on."""
        if not len(patient_N):
            return {}
        found_P, index_N, counts_P = np.unique(patient_N, return_inverse=True, return_counts=True)
        with _full_precision(), torch.inference_mode():
            outputs_PT = join_patients(self.network, kept_N, index_N)
        rows = zip(found_P.tolist(), outputs_PT, counts_P.tolist(), strict=True)
        # copies, since a row that waits should not keep the others
        return {patient: (row_T.copy(), count) for patient, row_T, count in rows if np.isfinite(row_T).all()}

    def _rows(self, judged: Sequence[_Judged]) -> list[Score]:
        predictions = iter(self._predict([row.outputs_T for row in judged if row.outputs_T is not None]))
        names, bundle_id = self.bundle.manifest.tasks.names, self.bundle.bundle_id
        scores = []
        for row in judged:
            values = {} if row.outputs_T is None else dict(zip(names, next(predictions), strict=True))
            what = row.reading
            scores.append(
                Score(what.name, what.status, what.reason, bundle_id, values, what.patient, row.num_photographs)
            )
        return scores

    def _predict(self, outputs: Sequence[NDArray[np.float64]]) -> list[list[Prediction]]:
        if not outputs:
            return []
        manifest = self.bundle.manifest
        found = calibrated_values(np.stack(outputs), manifest.tasks, manifest.scaler, manifest.intervals)
        rows = zip(found.values_NT.tolist(), found.low_NT.tolist(), found.high_NT.tolist(), strict=True)
        return [[_prediction(*triple) for triple in zip(*row, strict=True)] for row in rows]


def _judged(reading: Reading, outputs: tuple[NDArray[np.float64], int] | None) -> _Judged:
    if outputs is not None:
        return _Judged(reading, *outputs)
    if reading.status == "ok":
        reading = replace(reading, status="failed", reason="the model's output is not finite")
    return _Judged(reading, None, 0)


def _prediction(value: float, low: float, high: float) -> Prediction:
    has_interval = low == low  # NaN is not itself
    return Prediction(value, low if has_interval else None, high if has_interval else None)


def _full_precision() -> AbstractContextManager[None]:
    return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)


def _load_network(bundle: ModelBundle) -> MultiTaskNetwork:
    manifest = bundle.manifest
    image = manifest.image
    network = build_network(
        manifest.config.model, manifest.tasks, image.size, initialise=False, normalisation=image.normalisation
    )
    try:
        network.load_state_dict(bundle.state)
    except RuntimeError as problem:
        first_lines = " ".join(str(problem).split()[:40])
        raise BundleError(
            f"{bundle.bundle_id}: weights should fit the bundle's own config, do not: {first_lines}"
        ) from None
    return network.eval()


def _same(data: bytes) -> bytes:
    return data
