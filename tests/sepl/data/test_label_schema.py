import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from builders import build_dataset
from cohort_files import read_files

from sepl.data.imaging.quality import NAMES
from sepl.data.label_schema import PHOTOGRAPH_FIELDS, label_schema, reserved_names
from sepl.errors import CohortError
from sepl.tasks import CARDIOMETABOLIC_TASKS, Task, TaskTable


def test_every_column_but_the_tasks_is_reserved() -> None:
    tasks = TaskTable(root=CARDIOMETABOLIC_TASKS)

    schema = label_schema(tasks, NAMES)

    assert {*schema.names} == reserved_names(NAMES) | {*tasks.names}
    assert schema.field("sbp").metadata[b"unit"] == b"mmHg"


def test_a_dataset_has_the_columns_that_the_schema_says(tmp_path) -> None:
    dataset = build_dataset(tmp_path)

    written = pq.read_schema(dataset.folder / "labels.parquet")

    assert written.equals(label_schema(dataset.tasks, NAMES), check_metadata=True)


def test_a_column_of_places_names_its_levels() -> None:
    grade = Task(name="dr", kind="ordinal", unit="level", label="DR", levels=("keine", "früh"))

    schema = label_schema(TaskTable.of([grade, CARDIOMETABOLIC_TASKS[0]]), NAMES)

    assert json.loads(schema.field("dr").metadata[b"levels"]) == ["keine", "früh"]
    assert b"levels" not in schema.field("sex").metadata


@pytest.mark.parametrize("field", PHOTOGRAPH_FIELDS, ids=lambda field: field.name)
def test_no_task_may_take_the_name_of_a_column(tmp_path, field: pa.Field) -> None:
    toml = f'name = "c"\ntable = "t.csv"\n[tasks.{field.name}]\ncolumn = "x"\nkind = "binary"\n'

    with pytest.raises(CohortError, match=f"should not be named {field.name}"):
        read_files(tmp_path, cohort_toml=toml, t_csv="image,patient,x\na,1,1\n")
