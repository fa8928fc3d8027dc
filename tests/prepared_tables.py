"""The tables of a prepared dataset, written by hand: what its report is made of."""

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sepl.data.dataset.dataset import Manifest
from sepl.data.dataset.scaling import LabelScaler
from sepl.data.dataset.shards import write_pixels
from sepl.data.imaging.photograph import ImageSpec
from sepl.data.patients.splits import COHORT_SPLITS
from sepl.storage import Location, resolve
from sepl.tasks import BUILT_IN_TASKS, Task, TaskTable

SIZE = 32
TASKS = TaskTable.of(
    [
        BUILT_IN_TASKS["sex"],
        BUILT_IN_TASKS["age"],
        BUILT_IN_TASKS["hba1c"],
        Task(name="calcium", kind="regression", unit="AU", label="Calcium <score>"),
    ]
)
REJECTED = ["row", "image", "kind", "reason", "thumbnail"]


def build_tables(
    folder: Path,
    splits: Sequence[str],
    labels: Mapping[str, NDArray[Any]],
    *,
    tasks: TaskTable = TASKS,
    shards: Location | None = None,
    **columns: Any,
) -> Manifest:
    """A prepared dataset of one photograph for each entry of `splits`, two to a patient, written by hand."""
    folder.mkdir(parents=True, exist_ok=True)
    num, place = len(splits), shards or resolve(folder)
    rng = np.random.default_rng(0)
    written, files, rows = [], [], []
    for name in COHORT_SPLITS:
        if count := splits.count(name):
            pixels = rng.integers(0, 255, (count, SIZE, SIZE, 3), np.uint8)
            shard = write_pixels(resolve(folder) / "pixels", pixels).as_shard(name)  # its name tells its content
            write_pixels(place / shard.file, pixels)
            written.append(shard)
            files += [written[-1].file] * count
            rows += range(count)
    table = {
        "image": [f"{number:020x}" for number in range(num)],
        "patient": [f"{number // 2:020d}" for number in range(num)],
        "eye": ["left"] * num,
        **columns,
        "cohort_split": sorted(splits, key=COHORT_SPLITS.index),
        "shard": files,
        "row": pa.array(rows, pa.int32()),
        **{task.name: pa.array(labels[task.name], pa.float64(), from_pandas=True) for task in tasks},
    }
    pq.write_table(pa.table(table), folder / "labels.parquet")
    write_csv(folder / "rejected.csv", REJECTED, [])
    manifest = Manifest(
        name="by hand",
        image=ImageSpec(size=SIZE),
        tasks=tasks,
        scaler=LabelScaler.fit(np.random.default_rng(0).random((9, len(tasks))), tasks),
        shards=tuple(written),
        tables={},
        num_patients={},
        num_photographs={},
        num_rejected=0,
        seed=0,
        fingerprint="ab" * 32,
    )
    (folder / "manifest.json").write_text(manifest.model_dump_json())
    return manifest


def some_labels(num: int, tasks: TaskTable = TASKS) -> dict[str, NDArray[Any]]:
    """Of `num` photographs, none absent."""
    rng = np.random.default_rng(1)
    return {task.name: rng.integers(0, 2, num) if task.kind == "binary" else rng.normal(60, 9, num) for task in tasks}


def write_csv(path: Path, heading: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as stream:
        csv.writer(stream).writerows([heading, *rows])
