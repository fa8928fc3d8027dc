"""Scores as a Parquet table.

    image · patient · status · reason · num_photographs · known · given_ignored · per task value, `_lo`, `_hi` ·
    bundle_id

Every value column carries its task's unit, kind and label in its field metadata, so that a number keeps its unit.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from sepl.bundle.format import BundleManifest
from sepl.errors import ConfigError
from sepl.scoring.rows import Score, Status
from sepl.storage import resolve
from sepl.tasks import Task

ROWS_PER_GROUP = 4096


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
    for name in manifest.tasks.names:
        found = [score.values.get(name) for score in scores]
        columns[name] = [None if prediction is None else prediction.value for prediction in found]
        columns[f"{name}_lo"] = [None if prediction is None else prediction.low for prediction in found]
        columns[f"{name}_hi"] = [None if prediction is None else prediction.high for prediction in found]
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


def _fields_of(task: Task) -> list[pa.Field]:
    about = {"unit": task.unit, "kind": task.kind, "label": task.label}
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
