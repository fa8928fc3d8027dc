from pathlib import Path

import cv2
import numpy as np
import pytest
from prepared_tables import SIZE, build_tables, some_labels

from sepl.data.report.contact_sheets import SHEET_PHOTOGRAPHS, ContactSheet, contact_sheets
from sepl.data.report.counts import PreparedLabels
from sepl.storage import resolve


def sheets_of(folder: Path, cameras: list[str] | None) -> list[ContactSheet]:
    labels = PreparedLabels(folder / "labels.parquet")
    return list(contact_sheets(labels, labels.groups("camera") if cameras else None, resolve(folder), SIZE))


def shape_of(sheet: ContactSheet) -> tuple[int, ...]:
    picture = cv2.imdecode(np.frombuffer(sheet.jpeg, np.uint8), cv2.IMREAD_COLOR)
    assert picture is not None
    return picture.shape


def test_each_camera_has_a_sheet_of_its_own_photographs(tmp_path: Path) -> None:
    cameras = ["A"] * 30 + ["B"] * 10
    build_tables(tmp_path, ["train"] * 40, some_labels(40), camera=cameras)

    sheets = {sheet.camera: sheet for sheet in sheets_of(tmp_path, cameras)}

    assert {name: (sheet.num_shown, sheet.num_photographs) for name, sheet in sheets.items()} == {
        "A": (SHEET_PHOTOGRAPHS, 30),
        "B": (10, 10),
    }


def test_without_cameras_there_is_one_sheet_over_all_shards(tmp_path: Path) -> None:
    build_tables(tmp_path, ["train"] * 20 + ["test"] * 20, some_labels(40))

    (sheet,) = sheets_of(tmp_path, None)

    assert (sheet.camera, sheet.num_shown, sheet.num_photographs) == ("", SHEET_PHOTOGRAPHS, 40)


@pytest.mark.parametrize(("num", "rows"), [(1, 1), (8, 1), (9, 2), (24, 3)])
def test_a_sheet_is_as_wide_as_eight_and_as_high_as_its_rows(tmp_path: Path, num: int, rows: int) -> None:
    build_tables(tmp_path, ["train"] * num, some_labels(num))

    (sheet,) = sheets_of(tmp_path, None)

    assert shape_of(sheet) == (rows * 132 - 4, 8 * 132 - 4, 3)
