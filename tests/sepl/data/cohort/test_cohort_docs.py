"""Every example of docs/cohorts.md: its files are written, its cohort is read, compared with the page, and prepared."""

import re
import shlex
from pathlib import Path

import cv2
import numpy as np
import openpyxl
import pytest
from builders import draw_picture
from dicoms import write_dicom
from s3 import new_place, serve_s3

from sepl.data import cohort
from sepl.data.cohort.cohort import Cohort, read_cohort
from sepl.data.preparation.prepare import prepare
from sepl.storage import resolve

PAGE = (Path(__file__).parents[4] / "docs" / "cohorts.md").read_text(encoding="utf-8")
_BLOCK = re.compile(r"^```(\w+) (.+?)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
EXAMPLES = {
    title.strip(): {info: text for _, info, text in _BLOCK.findall(body)}
    for title, body in re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    if "cohort.toml" in body and "```toml" in body
}
_COLUMNS = {"patient": "patients", "eye": "eyes", "visit": "visits", "site": "sites", "camera": "cameras"}


@pytest.fixture(scope="module")
def endpoint():
    with serve_s3() as address:
        yield address


def test_the_page_has_its_examples():
    assert len(EXAMPLES) == 9
    assert PAGE.count("```toml") == 9


@pytest.mark.parametrize("title", EXAMPLES)
def test_an_example_reads_as_the_page_says_and_can_be_prepared(title, tmp_path, endpoint):
    blocks = EXAMPLES[title]
    uri = new_place(endpoint)
    (resolve(uri) / "readme.txt").write_bytes(b"a place without files is no folder")
    write_tables(tmp_path, blocks, uri)
    write_photographs(tmp_path, blocks.get("photographs", ""))
    cohort = read_cohort(tmp_path / "cohort.toml")
    write_pictures(cohort)

    assert shown(cohort, blocks["reads as"]) == rows_of(blocks["reads as"])
    assert noticed(cohort) == rows_of(blocks.get("is noticed", ""), least_gap=2)
    summary = prepare(cohort, tmp_path / "out", 32, num_workers=1)
    kept = sum(summary.manifest.num_photographs.values())
    assert (kept, summary.rejected) == (len(cohort.images), {})


def write_tables(folder, blocks, uri):
    for info, text in blocks.items():
        name, _, how = info.partition(" ")
        path = folder / name
        if path.suffix == ".xlsx":
            write_workbook(path, how, text)
        elif path.suffix in (".csv", ".toml"):
            path.write_text(text.replace("s3://hospital/fundus", uri), encoding=how or "utf-8")


def write_workbook(path, title, text):
    book = openpyxl.Workbook()
    assert book.active is not None
    book.active.title = "notes"
    book.active.append(["another sheet"])
    sheet = book.create_sheet(title)
    for line in text.splitlines():
        sheet.append([float(cell) if re.fullmatch(r"[\d.]+", cell) else cell or None for cell in line.split(",")])
    book.save(path)


def write_photographs(folder, text):
    """The files that an example lists; what follows a name are elements of a DICOM header."""
    for index, line in enumerate(text.splitlines()):
        name, *elements = shlex.split(line)
        header = dict(element.split("=") for element in elements)
        frames = [picture(10 * index + frame) for frame in range(int(header.pop("frames", 1)))]
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(write_dicom(frames, header=header) if elements else jpeg(index))


def write_pictures(cohort: Cohort):
    """Photographs that the tables name and the page does not list."""
    for index, image in enumerate(cohort.images):
        place = cohort.images_folder / image
        if not place.exists():
            place.write_bytes(jpeg(index))


def picture(seed):
    """Different for each seed, so that none is another's copy."""
    return draw_picture(64, (0.4 + 0.1 * (seed % 5), 0.3, 0.2), bool(seed % 2), np.random.default_rng(seed))


def jpeg(seed):
    return cv2.imencode(".jpg", picture(seed)[:, :, ::-1])[1].tobytes()


def rows_of(text, least_gap=1):
    return [re.split(rf"\s{{{least_gap},}}", line.strip()) for line in text.splitlines()]


def shown(cohort: Cohort, text):
    """The cohort in the columns of a page's table, its heading first."""
    heading = rows_of(text)[0]
    columns = [column_of(cohort, name) for name in heading]
    return [heading, *map(list, zip(*columns, strict=True))]


def column_of(cohort: Cohort, name):
    if name == "image":
        return cohort.images
    if name in _COLUMNS:
        return [text or "-" for text in getattr(cohort, _COLUMNS[name])]
    labels = cohort.labels_NT[:, cohort.tasks.index(name)]
    return ["-" if np.isnan(label) else f"{label:.4g}" for label in labels]


def noticed(cohort: Cohort):
    found = [(each.kind, each.table or "-", f"row {each.row}", each.column) for each in cohort.findings]
    return [[part for part in parts if part] for parts in found]


def test_every_unit_is_on_the_page():
    from sepl.data.tables.units import QUANTITIES

    table = PAGE.partition("## Units")[2].partition("## What is read how")[0]
    for quantity in QUANTITIES.values():
        for unit in quantity.units:
            assert unit.name in table


def test_every_key_is_on_the_page():
    from sepl.data.cohort.settings import CohortSpec, PhotographOptions, TableEntry, TaskColumn
    from sepl.data.imaging.quality import QualityThresholds
    from sepl.data.patients.ids import IdOptions
    from sepl.data.patients.splits import SplitOptions

    table = PAGE.partition("## Every key")[2].partition("## Units")[0]
    for settings in (CohortSpec, IdOptions, TableEntry, TaskColumn, PhotographOptions, QualityThresholds, SplitOptions):
        for key in settings.model_fields:
            assert key in table, key


def test_every_kind_of_finding_is_on_the_page():
    """Those that the room's own code spells."""
    pattern = r"(?:Finding|finding|note_cells|note_column|note|_note|\.add\w*)\(\s*\"([^\"]+)\""
    kinds: set[str] = set()
    for path in Path(cohort.__path__[0]).glob("*.py"):
        kinds |= {*re.findall(pattern, path.read_text(encoding="utf-8"))}

    assert len(kinds) > 10
    assert not {kind for kind in kinds if f"`{kind}`" not in PAGE}
