"""The columns of a prepared dataset's label table, said once: a row a photograph, in the order of the shards.

| column | type | what |
|---|---|---|
| `image`, `patient` | text | pseudonyms, or names where the dataset keeps them |
| `eye`, `site`, `camera` | text | as the cohort tells; empty where it does not |
| `day` | integer | days since the patient's first visit, never a date; null where no date is known |
| `cohort_split` | text | train, validation, calibration or test |
| `shard`, `row` | text, integer | where the pixels stand |
| `quality_NAME` | number | the measures of the photograph |
| each task | number | the label in the unit of the field's metadata; null where absent |

The label of a graded task is the place, 0, 1, …, of its level in `levels` of the field's metadata, a JSON list.
"""

import json
from collections.abc import Sequence

import pyarrow as pa

from sepl.tasks import Task, TaskTable

PHOTOGRAPH_FIELDS = (
    pa.field("image", pa.string()),
    pa.field("patient", pa.string()),
    pa.field("eye", pa.string()),
    pa.field("site", pa.string()),
    pa.field("camera", pa.string()),
    pa.field("day", pa.int32()),
    pa.field("cohort_split", pa.string()),
    pa.field("shard", pa.string()),
    pa.field("row", pa.int32()),
)
QUALITY_PREFIX = "quality_"


def label_schema(tasks: TaskTable, measures: Sequence[str]) -> pa.Schema:
    """The schema of the label table with these tasks and measures of quality."""
    quality = [pa.field(f"{QUALITY_PREFIX}{name}", pa.float64()) for name in measures]
    return pa.schema([*PHOTOGRAPH_FIELDS, *quality, *map(_field_of, tasks)])


def reserved_names(measures: Sequence[str]) -> frozenset[str]:
    """The names of columns beside the tasks, which no task may take."""
    return frozenset({field.name for field in PHOTOGRAPH_FIELDS} | {f"{QUALITY_PREFIX}{name}" for name in measures})


def _field_of(task: Task) -> pa.Field:
    said = {"unit": task.unit, "kind": task.kind, "label": task.label}
    if task.is_graded:
        said["levels"] = json.dumps(task.levels, ensure_ascii=False)
    return pa.field(task.name, pa.float64(), metadata=said)
