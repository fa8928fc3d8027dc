"""From photographs that the network has judged to their rows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import compress

import numpy as np
from numpy.typing import NDArray

from sepl.bundle.format import BundleManifest
from sepl.scoring.intervals import CalibratedValues
from sepl.scoring.known import NOTHING, Given, score_known
from sepl.scoring.readings import Reading
from sepl.scoring.rows import Levels, Prediction, Score
from sepl.tasks import TaskTable


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """A photograph whose patient is judged. Small, since it may wait for the rows before it."""

    reading: Reading
    """Without its pixels."""
    outputs_O: NDArray[np.float64] | None
    """Its patient's; None unless the status is ok."""
    num_photographs: int
    """That the outputs rest on."""
    given: Given = NOTHING
    """Of its patient."""
    told_O: NDArray[np.float64] | None = None
    """Its patient's outputs of a network that was told what is known; None: it was told nothing."""


def judge_photograph(
    reading: Reading,
    outputs: tuple[NDArray[np.float64], int] | None,
    given: Given,
    told_O: NDArray[np.float64] | None = None,
) -> Judged:
    """A photograph with its patient's outputs, if the network has finite ones, and what is known of that patient."""
    if outputs is not None:
        return Judged(reading, *outputs, given, told_O)
    if reading.status == "ok":
        reading = replace(reading, status="failed", reason="the model's output is not finite")
    return Judged(reading, None, 0)


def score_judged(judged: Sequence[Judged], manifest: BundleManifest) -> list[Score]:
    """The rows, in order."""
    outputs = [row.outputs_O for row in judged if row.outputs_O is not None]
    if not outputs:
        return [_score(row, manifest) for row in judged]
    told = [row.outputs_O if row.told_O is None else row.told_O for row in judged if row.outputs_O is not None]
    given = [row.given for row in judged if row.outputs_O is not None]
    scored = score_known(np.stack(outputs), given, manifest, np.stack(told))
    found = scored.found
    ends = (found.values_NT.tolist(), found.low_NT.tolist(), found.high_NT.tolist())
    levels = _levels_of(found, manifest.tasks)
    values = (
        [
            _prediction(*triple, levels[task.name][place] if task.is_graded else None)
            for task, triple in zip(manifest.tasks, zip(*row, strict=True), strict=True)
        ]
        for place, row in enumerate(zip(*ends, strict=True))
    )
    rows = zip(values, scored.known, scored.ignored, strict=True)
    return [_score(row, manifest, _NO_VALUES if row.outputs_O is None else next(rows)) for row in judged]


_Row = tuple[Sequence[Prediction], tuple[str, ...], str | None]
_NO_VALUES: _Row = ((), (), None)


def _score(row: Judged, manifest: BundleManifest, found: _Row = _NO_VALUES) -> Score:
    what = row.reading
    values, known, ignored = found
    by_task = dict(zip(manifest.tasks.names, values, strict=True)) if values else {}
    return Score(
        image=what.name,
        status=what.status,
        reason=what.reason,
        bundle_id=manifest.bundle_id,
        values=by_task,
        patient=what.patient,
        num_photographs=row.num_photographs,
        known=known,
        given_ignored=ignored,
    )


def _prediction(value: float, low: float, high: float, levels: Levels | None) -> Prediction:
    has_interval = low == low  # NaN is not itself
    return Prediction(value, low if has_interval else None, high if has_interval else None, levels)


def _levels_of(found: CalibratedValues, tasks: TaskTable) -> dict[str, list[Levels]]:
    """By graded task, of every row."""
    return {
        row.task.name: [
            Levels(
                level=row.task.levels[int(place)],
                level_set=None if row.in_set_NL is None else tuple(compress(row.task.levels, row.in_set_NL[number])),
                probabilities=dict(zip(row.task.levels, row.probabilities_NL[number].tolist(), strict=True)),
            )
            for number, place in enumerate(found.values_NT[:, tasks.index(row.task.name)])
        ]
        for row in found.levels
    }
