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

from sepl.data.cohort.cohort import Cohort, Finding
from sepl.data.dataset.shards import Shard
from sepl.data.imaging.photograph import ImageSpec
from sepl.data.imaging.quality import NAMES
from sepl.data.imaging.reasons import Refusal
from sepl.data.label_schema import QUALITY_PREFIX, label_schema
from sepl.data.patients.index import index_patients
from sepl.data.patients.pseudonyms import Pseudonyms
from sepl.data.patients.visit_days import days_since_first_visit
from sepl.data.preparation.facts import Facts


@dataclass(frozen=True, eq=False)
class Placement:
    """The photographs that were kept (K): indices into the cohort in the order of the shards, and where they stand."""

    indices: NDArray[np.int64]
    cohort_splits: NDArray[np.str_]
    shards: Sequence[str]
    rows: NDArray[np.int32]


@dataclass(frozen=True)
class Rejected:
    """A photograph that was not kept."""

    index: int
    refusal: Refusal
    thumbnail: str
    """File below the dataset; "" where there is none."""


def write_labels(path: Path, cohort: Cohort, placement: Placement, facts: Facts, pseudonyms: Pseudonyms) -> None:
    """Parquet by `sepl.data.label_schema`, a row for each photograph that was kept."""
    labels_KT = cohort.labels_NT[placement.indices]
    quality = facts.take(placement.indices).table
    columns: dict[str, object] = {
        "image": [image_key(pseudonyms, cohort, index) for index in placement.indices.tolist()],
        "patient": [pseudonyms.of(text, "patient") for text in _pick(cohort.patients, placement)],
        "eye": _pick(cohort.eyes, placement),
        "site": _pick(cohort.sites, placement),
        "camera": _pick(cohort.cameras, placement),
        "day": days_of(cohort, placement),
        "cohort_split": placement.cohort_splits.tolist(),
        "shard": list(placement.shards),
        "row": placement.rows,
        **{f"{QUALITY_PREFIX}{name}": quality[f"{QUALITY_PREFIX}{name}"].to_numpy() for name in NAMES},
        **{task.name: labels_KT[:, index] for index, task in enumerate(cohort.tasks)},
    }
    schema = label_schema(cohort.tasks, NAMES)
    arrays = [pa.array(columns[field.name], field.type, from_pandas=True) for field in schema]  # NaN becomes null
    pq.write_table(pa.table(arrays, schema=schema), path)


def days_of(cohort: Cohort, placement: Placement) -> NDArray[np.float64]:
    """(K,) days since the patient's first visit, refused photographs' visits counted too; NaN where unknown."""
    return days_since_first_visit(cohort.visits, cohort.patients)[placement.indices]


def _pick(values: Sequence[str], placement: Placement) -> list[str]:
    return [values[int(index)] for index in placement.indices]


def image_key(pseudonyms: Pseudonyms, cohort: Cohort, index: int) -> str:
    """What a prepared dataset calls a photograph: a pseudonym of its file and, beyond the first, its frame."""
    frame = int(cohort.frames[index])
    return pseudonyms.of(cohort.images[index] + (f"#{frame}" if frame else ""), "image")


def write_rejected(path: Path, cohort: Cohort, rejected: Iterable[Rejected], pseudonyms: Pseudonyms) -> None:
    """CSV: row of the cohort's table, the image's pseudonym, why (grouped, and in words), thumbnail if there is one; of
    several cohorts also whose row it is."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["row", "image", "kind", "reason", "thumbnail", *(["cohort"] if cohort.parts else [])])
        for entry in rejected:
            image = image_key(pseudonyms, cohort, entry.index)
            why = entry.refusal
            part = [cohort.parts[entry.index]] if cohort.parts else []
            writer.writerow([cohort.rows[entry.index], image, why.group, str(why), entry.thumbnail, *part])


def write_findings(path: Path, findings: Iterable[Finding]) -> None:
    """CSV of everything noticed that did not stop the run."""
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(["kind", "table", "row", "column", "detail"])
        writer.writerows([each.kind, each.table, each.row, each.column, each.detail] for each in findings)


def fingerprint_of(cohort: Cohort, spec: ImageSpec, placement: Placement, shards: Sequence[Shard]) -> str:
    """SHA-256 over what a model can learn from; names, pseudonyms, places and times are left out."""
    labels_KT = cohort.labels_NT[placement.indices]
    labels_KT = np.where(np.isnan(labels_KT), np.nan, labels_KT)  # one NaN, one spelling
    patients_K = index_patients([cohort.patients[index] for index in placement.indices])
    content = {
        "image": spec.model_dump(mode="json"),
        "tasks": cohort.tasks.model_dump(mode="json"),
        "patients": hashlib.sha256(patients_K.astype("<i8").tobytes()).hexdigest(),
        "cohort_splits": hashlib.sha256("\n".join(placement.cohort_splits.tolist()).encode()).hexdigest(),
        "labels": hashlib.sha256(np.ascontiguousarray(labels_KT, dtype="<f8").tobytes()).hexdigest(),
        "shards": [shard.sha256 for shard in shards],
    }
    days_K = days_of(cohort, placement)
    if np.isfinite(days_K).any():
        days_K = np.where(np.isnan(days_K), -1, days_K)
        content["days"] = hashlib.sha256(days_K.astype("<i4").tobytes()).hexdigest()
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
