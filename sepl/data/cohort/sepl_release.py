"""The layout of the SePL authors' release (Ko et al., MICCAI 2025) as an input kind: `layout = "sepl-release"`.

One CSV in ISO-8859-1, a row an eye: ID (0 or 1, which of the two photographs), subid, ODT (date of the visit), SEX,
AGE, measurements; and a folder of DICOM files for each visit, `<subid>_<YYYYMMDD>_<SEX>_<AGE>/`. The released code
reads the second file of a folder for either ID; here ID 0 is the first file by name and ID 1 the second.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from sepl.data.cohort.findings import Findings
from sepl.data.cohort.settings import CohortSpec, TableEntry, TaskColumn
from sepl.data.file_names import in_one_form
from sepl.data.imaging.files import files_below
from sepl.data.tables.dates import read_visits
from sepl.data.tables.table import CohortTable, Reading, read_table
from sepl.data.tables.values import key_of
from sepl.errors import CohortError
from sepl.storage import Location
from sepl.tasks import SEPL_RELEASE_COLUMNS

ENTRY = TableEntry(
    path="", per="photograph", image="photograph", patient="subid", visit="ODT", dates="mdy", encoding="iso-8859-1"
)
"""How the table is read once `photograph`, the path found for each row, stands in it."""

_FOLDER = re.compile(r"(?P<subid>.+)_(?P<date>\d{8})_(?P<sex>[^_]*)_(?P<age>[^_]*)")


@dataclass(frozen=True)
class _VisitFolder:
    sex: str
    age: str
    files: Sequence[str]
    """DICOM files by name, as paths below the image folder."""


def with_release_tasks(spec: CohortSpec) -> CohortSpec:
    """The settings with the fifteen factors in the authors' columns and units unless they name tasks of their own.

    SEX is M or F, also where all are one.
    """
    tasks = dict(spec.tasks) or {name: TaskColumn(column=column) for name, column in SEPL_RELEASE_COLUMNS.items()}
    sex = tasks.get("sex")
    if sex is not None and not (sex.male or sex.female or sex.positive):
        tasks["sex"] = sex.model_copy(update={"male": ("M",), "female": ("F",)})
    return spec.model_copy(update={"tasks": tasks})


def read_release(path: Path, folder: Location, findings: Findings) -> CohortTable:
    """The table with a column `photograph`; rows whose photograph is not there are left out.

    Raises CohortError when the table is not of this layout, or no row has a photograph.
    """
    table = read_table(path, Reading(encoding=ENTRY.encoding))
    table.check_header(("ID", "subid", "ODT", *SEPL_RELEASE_COLUMNS.values()))
    for column in ("ID", "subid", "ODT"):
        table.check(column, f'{path}: {column} of layout "sepl-release"')
    photographs = _Matcher(table, _visit_folders(folder), findings).photographs()
    if not any(photographs):
        raise CohortError(
            f"{path}: no row has a folder <subid>_<YYYYMMDD>_<SEX>_<AGE> with DICOM files in {folder.uri}"
        )
    table.frame["photograph"] = pd.Series(photographs, dtype=object)
    return table.take(np.array([bool(photograph) for photograph in photographs]))


def _visit_folders(folder: Location) -> dict[tuple[str, str], list[_VisitFolder]]:
    """By subid and ISO date; one visit has two folders where sex or age was corrected."""
    files: dict[str, list[str]] = defaultdict(list)
    for name in files_below(folder):
        parent, _, base = name.rpartition("/")
        if base.lower().endswith(".dcm") and not base.startswith("."):
            files[parent].append(name)
    visits: dict[tuple[str, str], list[_VisitFolder]] = defaultdict(list)
    for parent in sorted(files):
        if match := _FOLDER.fullmatch(parent.rpartition("/")[2]):
            date = match["date"]
            key = in_one_form(match["subid"]), f"{date[:4]}-{date[4:6]}-{date[6:]}"
            visits[key].append(_VisitFolder(match["sex"], match["age"], tuple(sorted(files[parent]))))
    return visits


class _Matcher:
    """Finds the photograph of each row and notes why one has none."""

    def __init__(
        self, table: CohortTable, folders: dict[tuple[str, str], list[_VisitFolder]], findings: Findings
    ) -> None:
        self._table, self._folders, self._findings = table, folders, findings
        self._numbers = [key_of(text) for text in table.texts("ID")]
        dates = read_visits(table.texts("ODT"), "mdy")[0]
        self._keys = list(zip(map(in_one_form, table.texts("subid")), map(str, dates), strict=True))
        self._sexes = self._texts("SEX")
        self._ages = self._texts("AGE")
        self._num_rows = Counter(self._keys)

    def photographs(self) -> list[str]:
        return [self._photograph(index) for index in range(len(self._keys))]

    def _texts(self, column: str) -> list[str]:
        return list(self._table.texts(column)) if column in self._table.columns else [""] * len(self._keys)

    def _photograph(self, index: int) -> str:
        folders = self._folders.get(self._keys[index], [])
        if not folders:
            return self._leave_out(index, "ODT", "no folder of this patient and date")
        exact = [folder for folder in folders if self._is_named_as(folder, index)]
        if not exact:
            self._note("table and folder differ", index, "AGE", "the folder's name says another sex or age")
        if len(exact or folders) > 1:
            return self._leave_out(index, "ODT", "more than one folder of this patient and date")
        return self._file_of((exact or folders)[0].files, index)

    def _file_of(self, files: Sequence[str], index: int) -> str:
        number = self._numbers[index]
        if number not in (0.0, 1.0):
            return self._leave_out(index, "ID", "should be 0 or 1")
        if len(files) > 2:
            self._note("photographs without a row", index, "ID", f"{len(files)} files in the folder, two are meant")
        if number < len(files):
            return files[int(number)]
        if self._num_rows[self._keys[index]] == 1:  # only this eye was photographed
            return files[0]
        return self._leave_out(index, "ID", "its folder holds one photograph, which is ID 0's")

    def _is_named_as(self, folder: _VisitFolder, index: int) -> bool:
        return (key_of(folder.sex), key_of(folder.age)) == (key_of(self._sexes[index]), key_of(self._ages[index]))

    def _note(self, kind: str, index: int, column: str, detail: str) -> None:
        self._findings.note(kind, int(self._table.rows[index]), column, detail, self._table.name)

    def _leave_out(self, index: int, column: str, detail: str) -> str:
        self._note("row left out", index, column, detail)
        return ""
