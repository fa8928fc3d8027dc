"""Scores photographs with a bundle: the one way that the command, the server and the tests all take.

    bytes ── decode, judge (threads) ──► pixels ── forward (calling thread) ──► outputs ── calibration ──► Score

Every photograph gives exactly one row, in order; one that cannot be read or is beyond the limits
of quality that the bundle's own photographs passed costs its own row.
Photographs of one patient are judged together, as in validation, calibration and test: by a network with fusion, else
by the mean of their outputs, or those of the worst grade for a task that says so. Each of them that can be scored has
the patient's values; one that cannot changes nothing for the others. A photograph without a patient is judged by
itself. No value depends on other patients.
"""

import logging
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
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
from sepl.bundle.members import load_network
from sepl.config import DeviceName
from sepl.device import pick_device
from sepl.execution.cores import num_cores
from sepl.memory import keep_freed_memory
from sepl.models.predict import join_patients, predict_told, represent_pixels
from sepl.scoring.judged import Judged, judge_photograph, score_judged
from sepl.scoring.known import NOTHING, Given, KnownValues, check_known, check_rows, join_known, network_told
from sepl.scoring.patients import (
    Piece,
    group_patients,
    in_pieces,
    order_by_patient,
    patient_keys,
    restore_order,
)
from sepl.scoring.readings import Photograph, Reading, read
from sepl.scoring.rows import Score
from sepl.scoring.told import join_told

_log = logging.getLogger(__name__)

_Outputs = dict[int, tuple[NDArray[np.float64], int]]
"""By patient: outputs (T,), and the number of photographs that they rest on."""


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
        self.network = load_network(bundle).to(self.device)
        if bundle.manifest.quality is None:
            _log.warning("bundle %s carries no limits of quality; the default ones apply", bundle.bundle_id)

    def check_known(self, names: Sequence[str]) -> None:
        """Raises ConfigError when the bundle cannot be told values of these tasks."""
        check_known(names, self.bundle.manifest)

    def score_bytes(
        self,
        photographs: Sequence[tuple[str, bytes]],
        patients: Sequence[str] = (),
        known: Sequence[KnownValues] = (),
    ) -> list[Score]:
        """Scores of encoded photographs, given with their names.

        `patients`, here and below, says whose each photograph is, in any order; empty, or none at all: each is a
        patient of its own. `known` has what is known of the patient of each photograph, by task in its unit. Raises
        ConfigError when they are not as many as photographs, or the bundle cannot take what is known.
        """
        told = self._told(patients, known, len(photographs))
        return self.score_photographs(
            [
                Photograph(name, partial(_same, data), "", key, row)
                for (name, data), (key, row) in zip(photographs, told, strict=True)
            ]
        )

    def score_files(
        self, paths: Sequence[Path], patients: Sequence[str] = (), known: Sequence[KnownValues] = ()
    ) -> list[Score]:
        """Scores of files; the names are the paths as given."""
        told = self._told(patients, known, len(paths))
        return self.score_photographs(
            [Photograph(str(path), path.read_bytes, "", *row) for path, row in zip(paths, told, strict=True)]
        )

    def score_pixels(
        self,
        names: Sequence[str],
        pixels_NHWC: NDArray[np.uint8],
        patients: Sequence[str] = (),
        known: Sequence[KnownValues] = (),
    ) -> list[Score]:
        """Scores of photographs of which the bundle's image spec already made pixels, as of a prepared dataset.

        Whether they can be graded was to be judged before, by their measures: pixels do not tell it any more.
        """
        rows = zip(names, pixels_NHWC, self._told(patients, known, len(names)), strict=True)
        return self.score_readings([Reading(name, "ok", pixels, None, *told) for name, pixels, told in rows])

    def _told(
        self, patients: Sequence[str], known: Sequence[KnownValues], num_photographs: int
    ) -> list[tuple[str, KnownValues]]:
        rows = check_rows(known, num_photographs, self.bundle.manifest)
        return list(zip(patient_keys(patients, num_photographs), rows, strict=True))

    def score_photographs(self, photographs: Sequence[Photograph]) -> list[Score]:
        """Scores of photographs that are still to be read, in order; a patient's may stand anywhere."""
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
        """Network outputs (N, O) of pixels (n, size, size, 3): scaled values, logits of binary and graded tasks.

        `patients` (N,) 0 … P−1 tells a network with fusion which photographs are one patient's: all of these get the
        patient's outputs. Without it each photograph is judged by itself.

        In full float32: a GPU's TF32 convolutions would make a value depend on the machine in its third digit.
        """
        return self._predict(shards, [None], patients)[0]

    def told_outputs(
        self,
        shards: Sequence[NDArray[np.uint8]],
        tables: Sequence[NDArray[np.floating]],
        patients: NDArray[np.int64] | None = None,
    ) -> list[NDArray[np.float32]]:
        """As `outputs` of a network that takes known values, once for each table (N, T) of what it is told.

        Tables are scaled, NaN where nothing is known, alike for the photographs of a patient.
        """
        return self._predict(shards, tables, patients)

    def _predict(
        self,
        shards: Sequence[NDArray[np.uint8]],
        tables: Sequence[NDArray[np.floating] | None],
        patients: NDArray[np.int64] | None,
    ) -> list[NDArray[np.float32]]:
        with _full_precision():
            return predict_told(
                self.network, shards, tables, device=self.device, batch_size=self.batch_size, patients=patients
            )

    def _judge(self, pieces: Iterable[Piece[Reading]]) -> Iterator[list[Judged]]:
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

    def _join(self, parts: Sequence[_Represented]) -> list[Judged]:
        """The outputs of patients whose photographs are all represented; what is not finite is nobody's."""
        readings = [reading for part in parts for reading in part.readings]
        patients = np.array([number for part in parts for number in part.patients], np.int64)
        is_used = np.array([reading.status == "ok" for reading in readings], bool)
        kept = [part.kept for part in parts if part.kept is not None]
        outputs: _Outputs = {}
        told: dict[int, NDArray[np.float64]] = {}
        given = self._given(readings, patients)
        if kept:
            kept_N = torch.cat(kept)
            is_finite_N = kept_N.isfinite().flatten(1).all(dim=1)
            is_used[is_used] = is_finite_N.cpu().numpy()
            outputs = self._outputs_of(kept_N[is_finite_N], patients[is_used])
            told = self._told_of(kept_N[is_finite_N], patients[is_used], outputs, given)
            outputs = {patient: row for patient, row in outputs.items() if _is_number(told.get(patient))}
        return [
            judge_photograph(
                reading, outputs.get(patient) if used else None, given.get(patient, NOTHING), told.get(patient)
            )
            for reading, patient, used in zip(readings, patients.tolist(), is_used.tolist(), strict=True)
        ]

    def _given(self, readings: Sequence[Reading], patient_N: NDArray[np.int64]) -> dict[int, Given]:
        """By patient, what is known: told with any of the photographs, those too that cannot be scored."""
        rows: dict[int, list[KnownValues]] = {}
        for reading, patient in zip(readings, patient_N.tolist(), strict=True):
            if reading.known:
                self.check_known(list(reading.known))
                rows.setdefault(patient, []).append(reading.known)
        return {patient: join_known(own, self.bundle.manifest) for patient, own in rows.items()}

    def _told_of(
        self, kept_N: Tensor, patient_N: NDArray[np.int64], outputs: "_Outputs", given: Mapping[int, Given]
    ) -> dict[int, NDArray[np.float64]]:
        """By patient of whom the network is told something: its outputs (O,) then."""
        known = {patient: given[patient] for patient in outputs if patient in given}
        if not self.network.takes_known or not known:
            return {}
        manifest = self.bundle.manifest
        told_PT = network_told(np.stack([outputs[patient][0] for patient in known]), list(known.values()), manifest)
        scaled = dict(zip(known, manifest.scaler.scale(told_PT), strict=True))
        with _full_precision(), torch.inference_mode():
            return join_told(self.network, kept_N, patient_N, scaled)

    def _outputs_of(self, kept_N: Tensor, patient_N: NDArray[np.int64]) -> "_Outputs":
        """By patient: outputs (O,), and the number of photographs that they rest on."""
        if not len(patient_N):
            return {}
        found_P, index_N, counts_P = np.unique(patient_N, return_inverse=True, return_counts=True)
        with _full_precision(), torch.inference_mode():
            outputs_PO = join_patients(self.network, kept_N, index_N)
        rows = zip(found_P.tolist(), outputs_PO, counts_P.tolist(), strict=True)
        # copies, since a row that waits should not keep the others
        return {patient: (row_O.copy(), count) for patient, row_O, count in rows if np.isfinite(row_O).all()}

    def _rows(self, judged: Sequence[Judged]) -> list[Score]:
        return score_judged(judged, self.bundle.manifest)


def _is_number(told_O: NDArray[np.float64] | None) -> bool:
    return told_O is None or bool(np.isfinite(told_O).all())


def _full_precision() -> AbstractContextManager[None]:
    return torch.backends.cudnn.flags(enabled=True, allow_tf32=False)


def _same(data: bytes) -> bytes:
    return data
