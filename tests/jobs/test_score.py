"""Offline scoring end to end: one row a photograph, as the scorer says."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from bundles import build_bundle, draw_fundus

from jobs import score
from sepl.bundle.format import read_bundle
from sepl.data.patients.ids import IdOptions
from sepl.errors import CohortError
from sepl.scoring.scorer import Scorer

NAMES = [f"{number:02}.jpg" for number in range(9)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("place")
    build_bundle(place / "bundle")
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
    lines = [f"{name},{key}" for name, key in zip(NAMES, whose, strict=True)]
    (place / "patients.csv").write_text("image,who\n" + "\n".join(lines) + "\n")
    out = place / "patients.parquet"
    scorer = Scorer(read_bundle(place / "bundle"), device="cpu")

    score.main(
        str(place / "bundle"),
        str(place / "patients.csv"),
        str(out),
        images=str(place / "images"),
        patient_column="who",
        device="cpu",
        batch_size=2,
    )

    rows = pq.read_table(out).to_pylist()
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
