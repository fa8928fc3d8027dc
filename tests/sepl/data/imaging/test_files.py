"""A folder's files are listed once, under any name that a disk allows."""

import os
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from builders import build_cohort
from cohort_files import noted, read_files
from dicoms import draw_fundus, write_dicom

from sepl.data.cohort.cohort import read_cohort
from sepl.data.file_names import other_forms, printable
from sepl.data.imaging.files import files_below
from sepl.data.preparation.prepare import prepare
from sepl.errors import StorageError
from sepl.scoring.sources import find_photographs
from sepl.storage import resolve

PATTERN = 'name = "f"\nimages = "im"\n[photographs]\npattern = "(?P<patient>[^_/]+)_"\n[tasks.age]\n'
COMPOSED, DECOMPOSED = "Mu\u0308ller_1.jpg".replace("u\u0308", "ü"), "Mu\u0308ller_1.jpg"


def write(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / "im" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode("utf-8", "surrogateescape"))
    return folder


def listed(folder: Path) -> list[str]:
    return sorted(files_below(resolve(folder / "im")))


def test_a_link_that_leads_back_lists_nothing_twice(tmp_path):
    write(tmp_path, "P1_L.jpg", "deep/P2_L.jpg")
    (tmp_path / "im" / "loop").symlink_to(".")
    (tmp_path / "im" / "deep" / "up").symlink_to("..")
    (tmp_path / "im" / "again").symlink_to("deep")

    assert listed(tmp_path) == ["P1_L.jpg", "deep/P2_L.jpg"]
    assert read_files(tmp_path, cohort_toml=PATTERN).images == ("P1_L.jpg", "deep/P2_L.jpg")


def test_a_link_that_leads_elsewhere_is_followed(tmp_path):
    write(tmp_path, "a.jpg")
    write(tmp_path / "else", "b.jpg", "c/d.jpg")
    (tmp_path / "im" / "other").symlink_to(tmp_path / "else" / "im")
    (tmp_path / "im" / "one.jpg").symlink_to(tmp_path / "else" / "im" / "b.jpg")
    (tmp_path / "im" / "nowhere.jpg").symlink_to("absent.jpg")

    assert listed(tmp_path) == ["a.jpg", "one.jpg", "other/b.jpg", "other/c/d.jpg"]


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(StorageError, match="cannot list"):
        files_below(resolve(tmp_path / "im"))


@pytest.mark.parametrize("suffix", [".jfif", ".JPE", ".jpeg"])
def test_every_suffix_of_a_jpeg_is_listed(tmp_path, suffix):
    write(tmp_path, f"P1_L{suffix}")

    assert read_files(tmp_path, cohort_toml=PATTERN).images == (f"P1_L{suffix}",)


def test_pictures_that_are_not_read_are_counted(tmp_path):
    write(tmp_path, "P1_L.jpg", "P2_L.webp", "P3_L.WEBP", "P4_L.bmp", "readme.txt")

    cohort = read_files(tmp_path, cohort_toml=PATTERN)

    assert noted(cohort) == [("files passed over", "", 0, "image")]
    assert cohort.findings[0].detail == "1 .bmp, 2 .webp: pictures of a kind that is not read"


def test_a_name_that_is_no_utf8_is_shown_by_its_bytes():
    assert printable("P\udcff_\udc80.jpg") == "P\\xff_\\x80.jpg"
    assert printable("Müller \ud800") == "Müller \\ud800"


def rename_to_bytes(path: Path) -> None:
    os.rename(os.fsencode(path), os.fsencode(path.parent) + b"/\xff" + os.fsencode(path.name))  # noqa: PTH104


def test_a_photograph_whose_name_is_no_utf8_is_prepared(tmp_path):
    toml = build_cohort(tmp_path / "c", num_patients=4)
    for path in sorted((tmp_path / "c" / "images").iterdir())[:1]:
        rename_to_bytes(path)
    rows = (tmp_path / "c" / "labels.csv").read_text().splitlines()
    (tmp_path / "c" / "labels.csv").write_text(
        "\n".join([rows[0].split(",", 1)[1].replace("patient_id", "id"), *(row.split(",", 1)[1] for row in rows[1::2])])
    )
    text = toml.read_text()
    head, _, tail = text.partition("[columns]")
    tables = '[[tables]]\npath = "labels.csv"\nper = "patient"\npatient = "id"\n[photographs]\n'
    pattern = "pattern = '(?P<patient>P\\d+)_(?P<eye>left|right)'\n"
    toml.write_text(head.replace('table = "labels.csv"\n', "") + tables + pattern + tail[tail.index("[quality]") :])

    prepare(read_cohort(toml), tmp_path / "out", 32, num_workers=1, keep_patient_ids=True)

    images = pq.read_table(tmp_path / "out" / "labels.parquet")["image"].to_pylist()
    assert len(images) == 8
    assert sum(image.startswith("\\xffP") for image in images) == 1


def test_a_header_of_a_file_whose_name_is_no_utf8_is_read(tmp_path):
    write(tmp_path)
    (tmp_path / "im").mkdir()
    (tmp_path / "im" / "a.dcm").write_bytes(write_dicom(draw_fundus(24, 24), header={"PatientID": "P7"}))
    rename_to_bytes(tmp_path / "im" / "a.dcm")

    cohort = read_files(tmp_path, cohort_toml='name = "f"\nimages = "im"\n[tasks.age]\n')

    assert cohort.patients == ("P7",)


def test_a_photograph_whose_name_is_no_utf8_is_read_for_scoring(tmp_path):
    write(tmp_path, "a.jpg", "b.jpg")
    rename_to_bytes(tmp_path / "im" / "a.jpg")

    photographs = list(find_photographs(str(tmp_path / "im")))

    assert [photograph.name for photograph in photographs] == ["b.jpg", "\\xffa.jpg"]
    assert [photograph.read() for photograph in photographs] == [b"b.jpg", b"a.jpg"]


@pytest.mark.parametrize(("on_disk", "in_table"), [(DECOMPOSED, COMPOSED), (COMPOSED, DECOMPOSED)])
def test_a_table_may_write_a_name_composed_or_decomposed(tmp_path, on_disk, in_table):
    write(tmp_path, f"e/{on_disk}")
    table = f"image,patient,age\ne/{in_table},1,40\n./e/{on_disk},1,40\n"
    toml = 'name = "f"\ntable = "t.csv"\nimages = "im"\n[tasks.age]\ncolumn = "age"\n'

    cohort = read_files(tmp_path, cohort_toml=toml, t_csv=table)
    photograph = next(iter(find_photographs(str(tmp_path / "t.csv"), images=str(tmp_path / "im"))))

    assert other_forms(in_table) == [on_disk]
    assert len(cohort.images) == 1
    assert (tmp_path / "im" / cohort.images[0]).is_file()
    assert photograph.read() == f"e/{on_disk}".encode()


def test_two_files_that_differ_in_form_alone_stay_two(tmp_path):
    write(tmp_path, COMPOSED, DECOMPOSED)
    toml = 'name = "f"\ntable = "t.csv"\nimages = "im"\n[tasks.age]\ncolumn = "age"\n'

    cohort = read_files(tmp_path, cohort_toml=toml, t_csv=f"image,patient,age\n{COMPOSED},1,40\n{DECOMPOSED},2,50\n")

    assert cohort.images == (COMPOSED, DECOMPOSED)
    np.testing.assert_array_equal(cohort.labels_NT[:, 0], [40, 50])
