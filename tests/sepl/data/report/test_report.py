import re

import numpy as np
import pytest
from builders import build_dataset
from prepared_tables import REJECTED, build_tables, some_labels, write_csv
from s3 import new_place, serve_s3

from sepl.data.imaging.quality import QualityThresholds
from sepl.data.preparation.thumbnails import encode_thumbnail
from sepl.data.report.counts import count_findings
from sepl.data.report.report import write_prepare_report
from sepl.storage import resolve
from sepl.tasks import BUILT_IN_TASKS, Task, TaskTable

SECTIONS = [
    "Refused photographs",
    "Findings",
    "Labels",
    "Missing labels",
    "Correlations of labels",
    "Balance of the cohort splits",
    "Quality",
    "Contact sheets",
]


def read_report(folder):
    return (folder / "prepare_report.html").read_text(encoding="utf-8")


def text_of(folder):
    """The report's text without script, style and tags."""
    return re.sub(r"(?s)<(script|style)\b.*?</\1>|<[^>]+>", " ", read_report(folder))


def test_a_dataset_as_prepared_has_all_sections_in_one_file(tmp_path):
    dataset = build_dataset(tmp_path, num_patients=24)

    write_prepare_report(dataset.folder, thresholds=QualityThresholds())

    page = read_report(dataset.folder)
    assert re.findall("<h2>(.*?)</h2>", page) == SECTIONS
    assert not re.search(r'(src|href)="(?!data:)', re.sub(r"(?s)<script\b.*?</script>", "", page))
    assert not re.search(r"<script[^>]+src", page)
    text = text_of(dataset.folder)
    assert "of 24 patients, kept at 32 pixels" in text
    assert "Diabetes" in text
    assert re.search(r"HbA1c\s+%\s+1\.5 to 22", text)
    for patient in ("P0000", "_left.png"):
        assert patient not in text


def test_the_same_dataset_gives_the_same_bytes(tmp_path):
    build_tables(tmp_path, ["train"] * 30 + ["test"] * 10, some_labels(40), camera=["A"] * 20 + ["B"] * 20)

    write_prepare_report(tmp_path)
    first = (tmp_path / "prepare_report.html").read_bytes()
    write_prepare_report(tmp_path)

    assert (tmp_path / "prepare_report.html").read_bytes() == first


def test_refused_photographs_are_counted_by_reason_and_shown(tmp_path):
    build_tables(tmp_path, ["train"] * 20, some_labels(20))
    (tmp_path / "thumbnails").mkdir()
    rows = []
    for number in range(30):
        name = f"thumbnails/row-{number:06d}.jpg"
        (tmp_path / name).write_bytes(encode_thumbnail(np.full((40, 40, 3), 5 * number, np.uint8)))
        rows.append(
            [number, "0" * 20, "not gradeable: sharpness", f"not gradeable: sharpness 0.{number:02d} below 0.3", name]
        )
    rows += [[40, "0" * 20, "file not found", "file not found", ""]] * 10
    write_csv(tmp_path / "rejected.csv", REJECTED, rows)

    write_prepare_report(tmp_path)

    text = text_of(tmp_path)
    assert re.search(r"not gradeable: sharpness\s+not gradeable: sharpness 0.00 below 0.3\s+30\s+50\.0 %", text)
    assert re.search(r"file not found\s+10\s+16\.7 %", text)
    assert "not gradeable: sharpness (12 of 30)" in text
    assert read_report(tmp_path).count('<img class="thumbnail"') == 12


def test_findings_are_counted_by_kind_and_column_with_their_first_rows(tmp_path):
    rows = [["implausible value", "labs.csv", row, "t-chol", f"{row} is below 30"] for row in range(7, 1207)]
    rows += [["a unit was guessed", "labs.csv", 0, "TG", "mmol/L"], ["implausible value", "labs.csv", 3, "TG", "0"]]
    write_csv(tmp_path / "findings.csv", ["kind", "table", "row", "column", "detail"], rows)

    first, *others = count_findings(tmp_path / "findings.csv")

    assert (first.kind, first.column, first.num, first.rows) == (
        "implausible value",
        "t-chol",
        1200,
        ["7", "8", "9", "10", "11"],
    )
    assert {(entry.kind, entry.column, tuple(entry.rows)) for entry in others} == {
        ("a unit was guessed", "TG", ()),
        ("implausible value", "TG", ("3",)),
    }
    build_tables(tmp_path, ["train"] * 20, some_labels(20))
    write_prepare_report(tmp_path)
    assert re.search(
        r"implausible value\s+labs.csv\s+t-chol\s+7 is below 30\s+7, 8, 9, 10, 11\s+1,200", text_of(tmp_path)
    )


def test_nothing_refused_and_nothing_found_is_said(tmp_path):
    build_tables(tmp_path, ["train"] * 20, some_labels(20))

    write_prepare_report(tmp_path)

    text = text_of(tmp_path)
    assert "None: every photograph of the cohort was kept." in text
    assert re.search(r"Findings\s+None\.", text)
    assert "This dataset has no measures of quality." in text
    assert "All cameras (20 of 20)" in text


def test_labels_that_are_all_missing_in_a_split_or_everywhere_are_said_to_be(tmp_path):
    labels = some_labels(40)
    labels["hba1c"] = np.where(np.arange(40) < 30, labels["hba1c"], np.nan)
    labels["calcium"] = np.full(40, np.nan)
    build_tables(tmp_path, ["train"] * 30 + ["validation"] * 10, labels)

    write_prepare_report(tmp_path)

    text = text_of(tmp_path)
    assert re.search(r"HbA1c, %\s+[\d.]+ ± [\d.]+ \(15\)\s+no label\s+no label\s+no label", text)
    assert re.search(r"Calcium &lt;score&gt;\s+AU\s+any\s+0\s+–\s+100\.0 %", text)
    assert re.search(r"validation\s+5\s+25\.0 %\s+10 %\s+10", text)


@pytest.mark.parametrize("tasks", [TaskTable.of([BUILT_IN_TASKS["age"]]), TaskTable.of([BUILT_IN_TASKS["sex"]])])
def test_a_cohort_of_one_task_and_one_photograph_has_a_report(tmp_path, tasks):
    build_tables(tmp_path, ["train"], some_labels(1, tasks), tasks=tasks)

    write_prepare_report(tmp_path)

    assert "There is one task only." in text_of(tmp_path)


def test_many_tasks_and_many_cameras_are_kept_readable(tmp_path):
    tasks = TaskTable.of(Task(name=f"t{i}", kind="regression", unit="u", label=f"Task {i}") for i in range(40))
    cameras = [f"Camera {number % 20}" for number in range(200)]
    build_tables(tmp_path, ["train"] * 200, some_labels(200, tasks), tasks=tasks, camera=cameras, site=[""] * 200)

    write_prepare_report(tmp_path)

    page = read_report(tmp_path)
    assert page.count('<img class="sheet"') == 8
    assert "13 others (24 of 130)" in page
    assert re.search(r"cameras\s+20", text_of(tmp_path))


def test_names_from_outside_are_text_and_never_script(tmp_path):
    hostile = "</script><script>alert(1)</script>"
    tasks = TaskTable.of([Task(name="own", kind="regression", unit=hostile, label=hostile), BUILT_IN_TASKS["age"]])
    build_tables(tmp_path, ["train"] * 30, some_labels(30, tasks), tasks=tasks, camera=[hostile, "B"] * 15)
    write_csv(tmp_path / "rejected.csv", REJECTED, [[1, "", hostile, hostile, ""]])
    write_csv(tmp_path / "findings.csv", ["kind", "table", "row", "column", "detail"], [[hostile] * 5])

    write_prepare_report(tmp_path)

    assert "<script>alert" not in read_report(tmp_path)


def test_shards_in_an_object_store_and_a_manifest_in_hand_are_enough(tmp_path):
    with serve_s3() as endpoint:
        place = resolve(new_place(endpoint))
        manifest = build_tables(tmp_path, ["train"] * 30, some_labels(30), shards=place)
        (tmp_path / "manifest.json").unlink()

        write_prepare_report(tmp_path, manifest=manifest, shards=place)

    assert "All cameras (24 of 30)" in text_of(tmp_path)


def test_limits_of_quality_are_drawn_where_they_are_given(tmp_path):
    measures = {"quality_sharpness": np.random.default_rng(0).normal(2, 0.3, 40), "quality_colour": np.ones(40)}
    build_tables(tmp_path, ["train"] * 40, some_labels(40), **measures)
    red = '"color":"#c92a2a"'

    write_prepare_report(tmp_path)
    assert red not in read_report(tmp_path)

    write_prepare_report(tmp_path, thresholds=QualityThresholds.parse({"sharpness": {"low": 1, "high": 8}}, "x"))
    assert read_report(tmp_path).count(red) == 3
