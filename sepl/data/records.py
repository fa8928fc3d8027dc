"""What is written beside the shards: the label table, the lists of rejected photographs and of findings, the
fingerprint.
"""

import csv
import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sepl.data.cohort import Cohort, Finding
from sepl.data.facts import Facts
from sepl.data.images import ImageSpec
from sepl.data.patients import index_patients
from sepl.data.privacy import Pseudonyms
from sepl.data.quality import NAMES
from sepl.data.shards import Shard
from sepl.tasks import Task


@dataclass(frozen=True, eq=False)
class Kept:
    """The photographs that were kept (K): indices into the cohort in the order of the shards, and where they stand."""

    indices: NDArray[np.int64]
    cohort_splits: NDArray[np.str_]
    shards: Sequence[str]
    rows: NDArray[np.int32]


@dataclass(frozen=True)
class Rejected:
    """A photograph that was not kept."""

    index: int
    reason: str
    thumbnail: str
    """File below the dataset; "" where there is none."""


def write_labels(path: Path, cohort: Cohort, kept: Kept, facts: Facts, pseudonyms: Pseudonyms) -> None:
    """Parquet, a row a photograph in the order of the shards; each task's field carries its unit, kind and label.

    `image` and `patient` are pseudonyms, `shard` and `row` say where the pixels stand, `quality_…` are the measures.
    """

    def pick(values: Sequence[str]) -> list[str]:
        return [values[int(index)] for index in kept.indices]

    images = [image_key(pseudonyms, cohort, index) for index in kept.indices.tolist()]
    columns: list[tuple[pa.Field, object]] = [
        (pa.field("image", pa.string()), images),
        (pa.field("patient", pa.string()), [pseudonyms.of(text, "patient") for text in pick(cohort.patients)]),
        (pa.field("eye", pa.string()), pick(cohort.eyes)),
        (pa.field("site", pa.string()), pick(cohort.sites)),
        (pa.field("camera", pa.string()), pick(cohort.cameras)),
        (pa.field("cohort_split", pa.string()), kept.cohort_splits.tolist()),
        (pa.field("shard", pa.string()), list(kept.shards)),
        (pa.field("row", pa.int32()), kept.rows),
    ]
    quality = facts.take(kept.indices).table
    columns += [(pa.field(f"quality_{name}", pa.float64()), quality[f"quality_{name}"].to_numpy()) for name in NAMES]
    labels_KT = cohort.labels_NT[kept.indices]
    columns += [(_field_of(task), labels_KT[:, index]) for index, task in enumerate(cohort.tasks)]
    schema = pa.schema([field for field, _ in columns])
    arrays = [pa.array(values, field.type, from_pandas=True) for field, values in columns]  # NaN becomes null
    pq.write_table(pa.table(arrays, schema=schema), path)


def image_key(pseudonyms: Pseudonyms, cohort: Cohort, index: int) -> str:
    """What a prepared dataset calls a photograph: a pseudonym of its file and, beyond the first, its frame."""
    frame = int(cohort.frames[index])
    return pseudonyms.of(cohort.images[index] + (f"#{frame}" if frame else ""), "image")


def write_rejected(path: Path, cohort: Cohort, rejected: Iterable[Rejected], pseudonyms: Pseudonyms) -> None:
    """CSV of the row of the cohort's table, the image's pseudonym, the reason, and the thumbnail if there is one."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["row", "image", "reason", "thumbnail"])
        for entry in rejected:
            image = image_key(pseudonyms, cohort, entry.index)
            writer.writerow([cohort.rows[entry.index], image, entry.reason, entry.thumbnail])


def write_findings(path: Path, findings: Iterable[Finding]) -> None:
    """CSV of everything noticed that did not stop the run."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["kind", "table", "row", "column", "detail"])
        writer.writerows([found.kind, found.table, found.row, found.column, found.detail] for found in findings)


def fingerprint_of(cohort: Cohort, spec: ImageSpec, kept: Kept, shards: Sequence[Shard]) -> str:
    """SHA-256 over what a model can learn from; names, pseudonyms, places and times are left out."""
    labels_KT = cohort.labels_NT[kept.indices]
    labels_KT = np.where(np.isnan(labels_KT), np.nan, labels_KT)  # one NaN, one spelling
    patients_K = index_patients([cohort.patients[index] for index in kept.indices])
    content = {
        "image": spec.model_dump(mode="json"),
        "tasks": cohort.tasks.model_dump(mode="json"),
        "patients": hashlib.sha256(patients_K.astype("<i8").tobytes()).hexdigest(),
        "cohort_splits": hashlib.sha256("\n".join(kept.cohort_splits.tolist()).encode()).hexdigest(),
        "labels": hashlib.sha256(np.ascontiguousarray(labels_KT, dtype="<f8").tobytes()).hexdigest(),
        "shards": [shard.sha256 for shard in shards],
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _field_of(task: Task) -> pa.Field:
    return pa.field(task.name, pa.float64(), metadata={"unit": task.unit, "kind": task.kind, "label": task.label})
