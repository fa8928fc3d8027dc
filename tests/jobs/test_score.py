"""Offline scoring end to end: one row a photograph, as the scorer says."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest
from bundles import build_bundle, draw_fundus, planted_conditioning
from dicoms import write_dicom

from jobs import score
from sepl.bundle.format import read_bundle
from sepl.data.patients.ids import IdOptions
from sepl.errors import CohortError, ConfigError
from sepl.scoring.scorer import Scorer

NAMES = [f"{number:02}.jpg" for number in range(9)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("place")
    build_bundle(place / "bundle")
    build_bundle(place / "conditioned", conditioning=planted_conditioning())
    (place / "images").mkdir()
    for seed, name in enumerate(NAMES):
        (place / "images" / name).write_bytes(draw_fundus(seed) if seed != 4 else b"no picture")
    return place


def test_a_folder_is_scored_to_one_row_a_photograph(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = place / "folder.parquet"

    score.main(str(place / "bundle"), str(place / "images"), str(out), device="cpu", batch_size=4)

    rows = pq.read_table(out).to_pylist()
    assert [row["image"] for row in rows] == NAMES
    assert [row["status"] for row in rows] == ["failed" if number == 4 else "ok" for number in range(9)]
    assert "9 photographs in" in (told := capsys.readouterr().out)
    assert "8 ok, 0 rejected, 1 failed" in told


def test_the_rows_hold_what_the_scorer_says(place: Path) -> None:
    out = place / "again.parquet"
    scorer = Scorer(read_bundle(place / "bundle"), device="cpu")

    score.main(str(place / "bundle"), str(place / "images"), str(out), device="cpu", batch_size=3)

    expected = scorer.score_files([place / "images" / name for name in NAMES])
    for row, single in zip(pq.read_table(out).to_pylist(), expected, strict=True):
        assert row["bundle_id"] == single.bundle_id
        for task, prediction in single.values.items():
            assert row[task] == pytest.approx(prediction.value, rel=1e-5, abs=1e-5)
            assert (row[f"{task}_lo"] is None) == (prediction.low is None)


def test_a_table_is_scored_in_its_own_order(place: Path) -> None:
    (place / "table.csv").write_text("photo\n" + "\n".join([*reversed(NAMES), "absent.jpg"]) + "\n")
    out = place / "table.parquet"

    score.main(
        str(place / "bundle"), str(place / "table.csv"), str(out), image_column="photo", images=str(place / "images")
    )

    rows = pq.read_table(out).to_pylist()
    assert [row["image"] for row in rows] == [*reversed(NAMES), "absent.jpg"]
    assert (rows[-1]["status"], rows[-1]["reason"]) == ("failed", "file not found")


def test_a_wrong_input_leaves_no_file(place: Path) -> None:
    out = place / "never.parquet"

    with pytest.raises(CohortError, match="there is none"):
        score.main(str(place / "bundle"), str(place / "nowhere"), str(out))

    assert not out.exists()


def test_a_table_that_tells_patients_is_scored_by_patient_in_its_own_order(place: Path) -> None:
    whose = ["b", "a", "", "b", "a", "", "c", "b", "a"]  # 04.jpg is no picture
    scorer = Scorer(read_bundle(place / "bundle"), device="cpu")

    rows = _scored_by_patient(place, whose)

    assert [row["image"] for row in rows] == NAMES
    assert [row["patient"] for row in rows] == [key or None for key in whose]
    assert [row["num_photographs"] for row in rows] == [3, 2, 1, 3, 0, 1, 1, 3, 2]
    for row, expected in zip(rows, scorer.score_files([place / "images" / name for name in NAMES], whose), strict=True):
        assert row["status"] == expected.status
        for task, prediction in expected.values.items():
            assert row[task] == pytest.approx(prediction.value, rel=1e-5, abs=1e-5)


def test_rows_whose_patient_is_not_known_are_scored_as_if_each_were_alone(place: Path) -> None:
    whose = ["NA", "a", "NA", "NA", "a", "nan", "", "-", "a"]  # 04.jpg is no picture
    rows = _scored_by_patient(place, whose)

    alone = [index for index, key in enumerate(whose) if key != "a"]
    assert [rows[index]["num_photographs"] for index in alone] == [1] * len(alone)
    assert [rows[index]["patient"] for index in alone] == [None] * len(alone)
    assert [row["num_photographs"] for row in rows if row["patient"] == "a"] == [2, 0, 2]
    scorer = Scorer(read_bundle(place / "bundle"), device="cpu")
    for index in alone:
        (expected,) = scorer.score_files([place / "images" / NAMES[index]])
        assert rows[index]["status"] == expected.status == "ok"
        for task, prediction in expected.values.items():
            found = [rows[index][f"{task}{ending}"] for ending in ("", "_lo", "_hi")]
            for one, other in zip(found, (prediction.value, prediction.low, prediction.high), strict=True):
                assert one == (other if other is None else pytest.approx(other, rel=1e-5, abs=1e-5))


def test_ids_are_brought_together_as_the_options_of_a_cohort_say(place: Path) -> None:
    whose = ["P7", "p07", "NA", "q", "x", "P7.0", "p\u200b07", "0q", "NA"]  # 04.jpg is no picture

    apart = _scored_by_patient(place, whose)
    together = _scored_by_patient(place, whose, ignore_case=True, ignore_zeros=True, ignore_form=True)

    assert [row["num_photographs"] for row in apart] == [1, 1, 1, 1, 0, 1, 1, 1, 1]
    fold = IdOptions(ignore_case=True, ignore_zeros=True, ignore_form=True).fold
    ids = [None if key == "NA" else fold(key) for key in whose]
    assert [row["patient"] for row in together] == ids
    for row, key in zip(together, ids, strict=True):
        assert row["num_photographs"] == (row["status"] == "ok" and (ids.count(key) if key else 1))


def test_options_of_ids_are_refused_without_a_column_of_patients(place: Path) -> None:
    with pytest.raises(CohortError, match="ignore_case should be given with a patient column"):
        score.main(str(place / "bundle"), str(place / "images"), str(place / "no.parquet"), ignore_case=True)


def _scored_by_patient(place: Path, whose: list[str], **options: Any) -> list[dict[str, Any]]:
    """The rows of all photographs, of these patients."""
    lines = [f"{name},{key}" for name, key in zip(NAMES, whose, strict=True)]
    (place / "whose.csv").write_text("\n".join(["image,who", *lines, ""]))
    out = place / "whose.parquet"
    score.main(
        str(place / "bundle"),
        str(place / "whose.csv"),
        str(out),
        images=str(place / "images"),
        patient_column="who",
        device="cpu",
        batch_size=2,
        **options,
    )
    return pq.read_table(out).to_pylist()


def test_what_a_table_knows_of_its_patients_stands_in_their_rows_and_sharpens_the_others(place: Path) -> None:
    cells = ["732;m", "", "NA;w", "600;", "540;w", "999999;m", "660;w", "480;divers", "372;m"]
    lines = [f"{name};{cell if cell else ';'}" for name, cell in zip(NAMES, cells, strict=True)]
    (place / "known.csv").write_text("image;Alter;Geschlecht\n" + "\n".join(lines) + "\n")
    out = place / "known.parquet"

    score.main(
        str(place / "conditioned"),
        str(place / "known.csv"),
        str(out),
        images=str(place / "images"),
        known_column=("age=Alter:months", "sex=Geschlecht"),
        device="cpu",
        batch_size=4,
    )

    rows = pq.read_table(out).to_pylist()
    assert [row["known"] for row in rows] == [
        "sex+age", None, "sex", "age", None, "sex", "sex+age", "age", "sex+age"
    ]  # fmt: skip
    assert [row["given_ignored"] for row in rows if row["given_ignored"]] == ["age: is no plausible number"]
    assert (rows[0]["age"], rows[0]["age_lo"], rows[0]["age_hi"], rows[0]["sex"]) == (61.0, 61.0, 61.0, 1.0)
    scorer = Scorer(read_bundle(place / "conditioned"), device="cpu")
    expected = scorer.score_files([place / "images" / NAMES[0]], (), [{"age": 61.0, "sex": 1.0}])[0]
    assert rows[0]["sbp"] == pytest.approx(expected.values["sbp"].value, abs=1e-5)
    assert rows[0]["sbp_lo"] == pytest.approx(expected.values["sbp"].low, abs=1e-5)


def test_age_and_sex_are_taken_from_dicom_headers_where_the_table_does_not_know_them(place: Path) -> None:
    decoded = cv2.imdecode(np.frombuffer(draw_fundus(1, suffix=".png"), np.uint8), cv2.IMREAD_COLOR)
    picture = np.ascontiguousarray(np.asarray(decoded, np.uint8)[..., ::-1])
    for name, age, sex in (("a.dcm", "061Y", "F"), ("b.dcm", "048Y", "O")):
        (place / name).write_bytes(write_dicom(picture, header={"PatientAge": age, "PatientSex": sex}))
    (place / "dicom.csv").write_text("image,years\na.dcm,\nb.dcm,50\n")
    out = place / "dicom.parquet"

    score.main(
        str(place / "conditioned"),
        str(place / "dicom.csv"),
        str(out),
        known_column=("age=years",),
        known_from_dicom=True,
        device="cpu",
    )

    rows = pq.read_table(out).to_pylist()
    assert [(row["known"], row["age"]) for row in rows] == [("sex+age", 61.0), ("age", 50.0)]
    assert rows[0]["sex"] == 0.0


@pytest.mark.parametrize(
    ("known", "message"),
    [
        ("age", "should be TASK=COLUMN or TASK=COLUMN:UNIT, was 'age'"),
        ("shoe=size", "should be of sex, age, sbp, hba1c; was of 'shoe'"),
        ("age=photo:fortnights", "known column of age: unit should be one of y, months, days, was 'fortnights'"),
        ("age=nowhere", "known age column should be a column of"),
    ],
)
def test_a_wrong_known_column_is_told_in_one_line(place: Path, known: str, message: str) -> None:
    (place / "few.csv").write_text(f"image\n{NAMES[0]}\n")

    with pytest.raises((ConfigError, CohortError), match=message):
        score.main(str(place / "conditioned"), str(place / "few.csv"), str(place / "no.parquet"), known_column=(known,))


def test_known_values_are_refused_before_the_table_is_read_by_a_bundle_that_takes_none(place: Path) -> None:
    with pytest.raises(ConfigError, match="calibrate anew"):
        score.main(str(place / "bundle"), "nowhere.csv", str(place / "no.parquet"), known_column=("age=Alter",))


def test_known_columns_are_given_one_by_one_on_the_command_line(place: Path) -> None:
    (place / "one.csv").write_text(f"image,Alter,Geschlecht\n{NAMES[0]},61,M\n")
    command = ["--bundle", place / "conditioned", "--input", place / "one.csv", "--out", place / "one.parquet"]
    known = ["--known-column", "age=Alter", "--known-column", "sex=Geschlecht:M", "--images", place / "images"]

    done = subprocess.run([sys.executable, "-m", "jobs.score", *map(str, [*command, *known])], capture_output=True)

    assert done.returncode == 0, done.stderr
    row = pq.read_table(place / "one.parquet").to_pylist()[0]
    assert (row["known"], row["sex"]) == ("sex+age", 1.0)
