"""What is written beside the shards: the label table, the list of rejected photographs, the fingerprint."""

import csv
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sepl.data.cohort import Cohort
from sepl.data.images import ImageSpec
from sepl.data.shards import Shard
from sepl.tasks import Task


@dataclass(frozen=True, eq=False)
class Kept:
    """The photographs that were read: indices into the cohort, and where their pixels stand."""

    indices: NDArray[np.int64]
    cohort_splits: NDArray[np.str_]
    places: Sequence[tuple[str, int]]


def write_labels(path: Path, cohort: Cohort, kept: Kept) -> None:
    """Parquet, a row a photograph in the order of the shards; each task's field carries its unit, kind and label.

    `shard` and `row` say where the pixels stand.
    """

    def pick(values: tuple[str, ...]) -> list[str]:
        return [values[index] for index in kept.indices]

    columns: list[tuple[pa.Field, object]] = [
        (pa.field("image", pa.string()), pick(cohort.images)),
        (pa.field("patient", pa.string()), pick(cohort.patients)),
        (pa.field("eye", pa.string()), pick(cohort.eyes)),
        (pa.field("cohort_split", pa.string()), kept.cohort_splits.tolist()),
        (pa.field("shard", pa.string()), [file for file, _ in kept.places]),
        (pa.field("row", pa.int32()), [row for _, row in kept.places]),
    ]
    labels_NT = cohort.labels_NT[kept.indices]
    columns += [(_field_of(task), labels_NT[:, index]) for index, task in enumerate(cohort.tasks)]
    schema = pa.schema([field for field, _ in columns])
    arrays = [pa.array(values, field.type, from_pandas=True) for field, values in columns]  # NaN becomes null
    pq.write_table(pa.table(arrays, schema=schema), path)


def write_rejected(path: Path, cohort: Cohort, rejected: dict[int, str]) -> None:
    """CSV of image, row of the cohort's table, reason."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["image", "row", "reason"])
        writer.writerows([cohort.images[index], cohort.rows[index], reason] for index, reason in rejected.items())


def fingerprint_of(cohort: Cohort, spec: ImageSpec, kept: Kept, shards: Sequence[Shard]) -> str:
    """SHA-256 over what a model can learn from; names, places and times are left out."""
    labels_NT = np.where(np.isnan(cohort.labels_NT), np.nan, cohort.labels_NT)[kept.indices]  # one NaN, one spelling
    content = {
        "image": spec.model_dump(mode="json"),
        "tasks": cohort.tasks.model_dump(mode="json"),
        "patients": [cohort.patients[index] for index in kept.indices],
        "cohort_splits": kept.cohort_splits.tolist(),
        "labels": hashlib.sha256(np.ascontiguousarray(labels_NT, dtype="<f8").tobytes()).hexdigest(),
        "shards": [shard.sha256 for shard in shards],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _field_of(task: Task) -> pa.Field:
    return pa.field(task.name, pa.float64(), metadata={"unit": task.unit, "kind": task.kind, "label": task.label})
