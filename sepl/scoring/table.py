"""Scores as a Parquet table.

    image · patient · status · reason · num_photographs · known · given_ignored · per task value, `_lo`, `_hi` ·
    bundle_id

An ordinal or categorical task has the name of its level, `_set` (the levels of its set joined by |) and `_p_LEVEL`
(each level's probability) instead.
Every value column carries its task's unit, kind and label in its field metadata, so that a number keeps its unit.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from sepl.bundle.format import BundleManifest
from sepl.errors import ConfigError
from sepl.scoring.rows import Prediction, Score, Status
from sepl.storage import resolve
from sepl.tasks import Task

ROWS_PER_GROUP = 4096
SET_JOINER = "|"


def score_schema(manifest: BundleManifest) -> pa.Schema:
    """The columns of a bundle's scores; ConfigError when a task's name is another column's."""
    fields = [
        pa.field("image", pa.string(), nullable=False),
        pa.field("patient", pa.string(), metadata={"about": "as given; null: nobody said, judged alone"}),
        pa.field("status", pa.string(), nullable=False),
        pa.field("reason", pa.string()),
        pa.field(
            "num_photographs",
            pa.int64(),
            nullable=False,
            metadata={"about": "of the patient, that the row's values rest on; 0 without values"},
        ),
    ]
    fields += [
        pa.field(
            "known", pa.string(), metadata={"about": "tasks whose value was given or follows from it, joined by +"}
        ),
        pa.field("given_ignored", pa.string(), metadata={"about": "which given values were not believed, and why"}),
    ]
    for task in manifest.tasks:
        fields += _fields_of(task)
    fields.append(pa.field("bundle_id", pa.string(), nullable=False))
    twice = sorted(name for name, count in Counter(field.name for field in fields).items() if count > 1)
    if twice:
        raise ConfigError(f"a task's name should be no other column of the scores, was {', '.join(twice)}")
    about = {"bundle_id": manifest.bundle_id, "interval_confidence": str(manifest.intervals.confidence)}
    return pa.schema(fields, metadata=about)


def score_table(scores: Sequence[Score], manifest: BundleManifest) -> pa.Table:
    """The scores as an Arrow table; nulls where a photograph has no value or a task no interval."""
    columns: dict[str, list[object]] = {
        "image": [score.image for score in scores],
        "patient": [score.patient or None for score in scores],
        "status": [score.status for score in scores],
        "reason": [score.reason for score in scores],
        "num_photographs": [score.num_photographs for score in scores],
        "known": ["+".join(score.known) or None for score in scores],
        "given_ignored": [score.given_ignored for score in scores],
        "bundle_id": [score.bundle_id for score in scores],
    }
    for task in manifest.tasks:
        found = [score.values.get(task.name) for score in scores]
        columns |= _level_cells(task, found) if task.is_graded else _cells(task.name, found)
    schema = score_schema(manifest)
    return pa.table([pa.array(columns[field.name], field.type) for field in schema], schema=schema)


def write_scores(batches: Iterable[Sequence[Score]], manifest: BundleManifest, target_uri: str) -> Counter[Status]:
    """Writes batches of scores as they come; the file appears when all are written, or not at all.

    Memory does not grow with the number of rows. Returns how many rows have each status. Raises StorageError when the
    target cannot be written.
    """
    counts: Counter[Status] = Counter()
    with (
        resolve(target_uri).staged() as path,
        pq.ParquetWriter(path, score_schema(manifest), compression="zstd") as writer,
    ):
        for scores in _regrouped(batches):
            writer.write_table(score_table(scores, manifest))
            counts.update(score.status for score in scores)
    return counts


def level_columns(task: Task) -> tuple[str, ...]:
    """The column of each level's probability, in the order of the levels: their names with _ for what is no letter or
    digit; with their places too where two were the same in a program that knows no capitals, or nothing were left."""
    names = [re.sub(r"\W+", "_", level).strip("_") for level in task.levels]
    if not all(names) or len({name.casefold() for name in names}) < len(names):
        names = [f"{name}_{place}".strip("_") for place, name in enumerate(names)]
    return tuple(f"{task.name}_p_{name}" for name in names)


def _cells(name: str, found: Sequence[Prediction | None]) -> dict[str, list[object]]:
    return {
        name: [None if prediction is None else prediction.value for prediction in found],
        f"{name}_lo": [None if prediction is None else prediction.low for prediction in found],
        f"{name}_hi": [None if prediction is None else prediction.high for prediction in found],
    }


def _level_cells(task: Task, found: Sequence[Prediction | None]) -> dict[str, list[object]]:
    levels = [None if prediction is None else prediction.levels for prediction in found]
    sets = [None if row is None else row.level_set for row in levels]
    columns: dict[str, list[object]] = {
        task.name: [None if row is None else row.level for row in levels],
        f"{task.name}_set": [None if names is None else SET_JOINER.join(names) for names in sets],
    }
    for level, column in zip(task.levels, level_columns(task), strict=True):
        columns[column] = [None if row is None else row.probabilities[level] for row in levels]
    return columns


def _fields_of(task: Task) -> list[pa.Field]:
    about = {"unit": task.unit, "kind": task.kind, "label": task.label}
    if task.is_graded:
        names = {"levels": json.dumps(task.levels, ensure_ascii=False)}
        return [
            *(pa.field(name, pa.string(), metadata=about | names) for name in (task.name, f"{task.name}_set")),
            *(
                pa.field(column, pa.float64(), metadata=about | {"unit": "probability", "level": level})
                for level, column in zip(task.levels, level_columns(task), strict=True)
            ),
        ]
    names = (task.name, f"{task.name}_lo", f"{task.name}_hi")
    return [pa.field(name, pa.float64(), metadata=about) for name in names]


def _regrouped(batches: Iterable[Sequence[Score]]) -> Iterator[list[Score]]:
    """Whole row groups: thousands of groups of one batch each would make a slow file."""
    gathered: list[Score] = []
    for scores in batches:
        gathered.extend(scores)
        if len(gathered) >= ROWS_PER_GROUP:
            yield gathered
            gathered = []
    if gathered:
        yield gathered
