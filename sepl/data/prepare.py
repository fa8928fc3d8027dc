"""From a cohort to a published prepared dataset: every photograph is decoded exactly once.

Photographs stream: in memory are a few in flight and one shard a cohort split being filled, whatever the cohort's size.
The order of the table decides all that is written, so any number of workers gives the same bytes.
"""

import os
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from sepl.data.cohort import Cohort
from sepl.data.images import ImageSpec, read_photograph_file
from sepl.data.parallel import ordered_map
from sepl.data.patients import index_patients, mean_per_patient
from sepl.data.prepared import LABELS_FILE, MANIFEST_FILE, REJECTED_FILE, Manifest
from sepl.data.progress import track
from sepl.data.records import Kept, fingerprint_of, write_labels, write_rejected
from sepl.data.scaling import LabelScaler
from sepl.data.shards import Shard, ShardWriter
from sepl.data.splits import COHORT_SPLITS, cohort_splits
from sepl.errors import CohortError, ConfigError, ImageError, StorageError
from sepl.storage import Location, publish_folder, resolve, sha256_of_file


@dataclass(frozen=True)
class PrepareSummary:
    """What preparing a cohort gave."""

    manifest: Manifest
    rejected: dict[str, int]
    """Photographs by reason, most frequent first."""
    missing: dict[str, float]
    """Share of the kept photographs without a label, by task."""
    typical: dict[str, float]
    """Median of a regression task in its unit, share of ones of a binary task, over the kept photographs."""
    seconds: float
    photographs_per_second: float


def prepare(
    cohort: Cohort, out: str | Path, image_size: int, *, seed: int = 0, num_workers: int | None = None
) -> PrepareSummary:
    """Decodes, splits and publishes a cohort at `out`, a local path or a URI.

    `num_workers` is one for each core unless given. Raises CohortError when nothing can be read or a task has no label
    in the train split, StorageError when `out` holds a dataset already; nothing is published then.
    """
    start = time.monotonic()
    workers = _num_workers(num_workers)
    spec = ImageSpec.parse({"size": image_size, "field_of_view": cohort.field_of_view}, "image size")
    target = _free_place(out)
    splits = cohort_splits(cohort.patients, seed)
    _fit_scaler(cohort, np.flatnonzero(splits == "train"))  # a task without labels is told before hours of decoding
    with _staging(target) as folder:
        writer = ShardWriter(folder, spec.size)
        kept, rejected = _decode_all(cohort, splits, spec, workers, writer)
        manifest = _write_tables(folder, cohort, spec, seed, kept, rejected, writer.finish())
        publish_folder(folder, target, MANIFEST_FILE)
    return _summarise(manifest, cohort, kept, rejected, time.monotonic() - start)


def _decode_all(
    cohort: Cohort, splits: NDArray[np.str_], spec: ImageSpec, num_workers: int, writer: ShardWriter
) -> tuple[Kept, dict[int, str]]:
    """Fills the shards; what was kept, and the reason for each photograph that was not."""
    folder = cohort.images_folder.local_path()
    paths = [folder / image for image in cohort.images]
    kept: dict[int, tuple[str, int]] = {}
    rejected: dict[int, str] = {}
    with _one_opencv_thread():
        results = ordered_map(partial(_read, spec=spec), paths, num_workers)
        for index, result in enumerate(track(results, len(paths), "preparing photographs")):
            if isinstance(result, ImageError):
                rejected[index] = str(result)
            else:
                kept[index] = writer.add(str(splits[index]), result)
    if not kept:
        raise CohortError(
            f"{cohort.source}: no usable row, none of {len(paths)} photographs could be read; "
            f"the first, {paths[0]}: {rejected[0]}"
        )
    return _in_shard_order(kept, splits), rejected


def _read(path: Path, spec: ImageSpec) -> NDArray[np.uint8] | ImageError:
    try:
        return read_photograph_file(path, spec)
    except ImageError as problem:
        return problem


def _in_shard_order(kept: dict[int, tuple[str, int]], splits: NDArray[np.str_]) -> Kept:
    indices = sorted(kept, key=lambda index: COHORT_SPLITS.index(str(splits[index])))  # stable: table order within
    return Kept(np.array(indices, np.int64), splits[indices], [kept[index] for index in indices])


def _write_tables(
    folder: Path,
    cohort: Cohort,
    spec: ImageSpec,
    seed: int,
    kept: Kept,
    rejected: dict[int, str],
    shards: tuple[Shard, ...],
) -> Manifest:
    write_labels(folder / LABELS_FILE, cohort, kept)
    write_rejected(folder / REJECTED_FILE, cohort, rejected)
    patients = np.array(cohort.patients)[kept.indices]
    manifest = Manifest(
        name=cohort.name,
        image=spec,
        tasks=cohort.tasks,
        scaler=_fit_scaler(cohort, kept.indices[kept.cohort_splits == "train"]),
        shards=shards,
        tables={name: sha256_of_file(folder / name) for name in (LABELS_FILE, REJECTED_FILE)},
        num_patients={name: len(set(patients[kept.cohort_splits == name])) for name in COHORT_SPLITS},
        num_photographs={name: int((kept.cohort_splits == name).sum()) for name in COHORT_SPLITS},
        num_rejected=len(rejected),
        seed=seed,
        reachable_skill=cohort.reachable_skill,
        fingerprint=fingerprint_of(cohort, spec, kept, shards),
    )
    (folder / MANIFEST_FILE).write_text(manifest.model_dump_json(indent=1), encoding="utf-8")
    return manifest


def _fit_scaler(cohort: Cohort, train_indices: NDArray[np.int64]) -> LabelScaler:
    """The scaler of the train patients. Raises CohortError when there are none, or none with a label for a task."""
    patients = [cohort.patients[index] for index in train_indices]
    labels_PT = mean_per_patient(cohort.labels_NT[train_indices], index_patients(patients))
    unlabelled = [task.name for index, task in enumerate(cohort.tasks) if not np.isfinite(labels_PT[:, index]).any()]
    if unlabelled:
        raise CohortError(f"{cohort.source}: no train patient has a label for {', '.join(unlabelled)}")
    return LabelScaler.fit(labels_PT, cohort.tasks)


def _summarise(
    manifest: Manifest, cohort: Cohort, kept: Kept, rejected: dict[int, str], seconds: float
) -> PrepareSummary:
    reasons = Counter(reason.partition(":")[0] for reason in rejected.values())
    labels_NT = cohort.labels_NT[kept.indices]
    typical_T = np.where(cohort.tasks.is_binary, np.nanmean(labels_NT, axis=0), np.nanmedian(labels_NT, axis=0))
    return PrepareSummary(
        manifest=manifest,
        rejected=dict(reasons.most_common()),
        missing=dict(zip(cohort.tasks.names, np.isnan(labels_NT).mean(axis=0).tolist(), strict=True)),
        typical=dict(zip(cohort.tasks.names, typical_T.tolist(), strict=True)),
        seconds=seconds,
        photographs_per_second=len(cohort.images) / seconds,
    )


def _free_place(out: str | Path) -> Location:
    target = resolve(out)
    if (target / MANIFEST_FILE).exists():
        raise StorageError(f"{target.uri} already holds a prepared dataset; give another place or remove it first")
    if target.is_local and target.exists() and (not target.is_folder() or target.list_folder()):
        raise StorageError(f"{target.uri} should be a new or an empty folder, is neither; publishing would replace it")
    return target


def _num_workers(asked: int | None) -> int:
    if asked is None:
        # the cores this process may use, where the system tells (Linux)
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if asked < 1:
        raise ConfigError(f"num_workers should be 1 or more, was {asked}")
    return asked


@contextmanager
def _staging(target: Location) -> Iterator[Path]:
    """A folder to fill, gone afterwards: beside a local target, so that publication stays on one disk."""
    beside = target.local_path().parent if target.is_local else None
    if beside is not None:
        beside.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-preparing-", dir=beside) as folder:
        yield Path(folder)


@contextmanager
def _one_opencv_thread() -> Iterator[None]:
    """The photographs are the parallelism; OpenCV's own threads would fight over the same cores."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
