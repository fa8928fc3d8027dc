"""The photographs of a cohort before anything is joined to them: from a table with a row each, or from a folder."""

import posixpath
import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sepl.data.cohort.findings import Finding, Findings, is_too_many
from sepl.data.cohort.settings import PATTERN_GROUPS, TableEntry
from sepl.data.file_names import in_one_form, printable
from sepl.data.imaging.files import files_below, is_other_picture, may_be_photograph, suffix_of
from sepl.data.tables.dates import read_visits
from sepl.data.tables.spellings import read_eyes
from sepl.data.tables.table import CohortTable
from sepl.data.tables.values import shared_texts
from sepl.errors import CohortError
from sepl.storage import Location

Texts = NDArray[np.object_]


@dataclass(frozen=True, eq=False)
class Listing:
    """Photographs (N): texts are empty where unknown."""

    place: str
    """Opens error messages: the table's path or the folder."""
    table: str
    """File name of the table, as findings name it; empty for a folder."""
    columns: dict[str, str]
    """The column that says patient, eye …; the role itself where none does."""
    images: Texts
    patients: Texts
    eyes: Texts
    visits: Texts
    sites: Texts
    cameras: Texts
    frames: NDArray[np.int64]
    rows: NDArray[np.int64]
    """For people: of the table, or the number in the sorted folder from 1."""
    positions: NDArray[np.int64]
    """Index into the table's rows; −1 for a folder."""

    def __len__(self) -> int:
        return len(self.images)

    def role(self, name: str) -> Texts:
        """The texts of image, patient, eye, visit, site or camera."""
        match name:
            case "image":
                return self.images
            case "patient":
                return self.patients
            case "eye":
                return self.eyes
            case "visit":
                return self.visits
            case "site":
                return self.sites
            case "camera":
                return self.cameras
        raise AssertionError(f"no role of a photograph: {name}")

    def with_role(self, name: str, texts: Texts) -> "Listing":
        return replace(self, **{f"{name}s": texts})

    def take(self, chosen: NDArray[Any]) -> "Listing":
        """Some photographs, by a mask or by indices."""
        return replace(
            self,
            images=self.images[chosen],
            patients=self.patients[chosen],
            eyes=self.eyes[chosen],
            visits=self.visits[chosen],
            sites=self.sites[chosen],
            cameras=self.cameras[chosen],
            frames=self.frames[chosen],
            rows=self.rows[chosen],
            positions=self.positions[chosen],
        )

    def finding(self, kind: str, index: int, role: str, detail: str) -> Finding:
        return Finding(kind, int(self.rows[index]), self.columns.get(role, role), detail, self.table)


def list_table(table: CohortTable, entry: TableEntry, findings: Findings) -> Listing:
    """The photographs that a table names, a row each."""
    roles = entry.roles()
    images = np.array([text.replace("\\", "/") for text in table.texts(roles["image"])], object)
    texts = {role: _role(table, entry, role, findings) for role in PATTERN_GROUPS}
    return Listing(
        place=str(table.path),
        table=table.name,
        columns=roles,
        images=images,
        **{f"{role}s": values for role, values in texts.items()},
        frames=np.zeros(len(images), np.int64),
        rows=table.rows,
        positions=np.arange(len(images), dtype=np.int64),
    )


def list_folder(folder: Location, findings: Findings) -> Listing:
    """The photographs below a folder, by name. Raises CohortError when there is none."""
    files = files_below(folder)
    names = sorted(name for name in files if may_be_photograph(name))
    if not names:
        raise CohortError(f"{folder.uri}: should hold photographs (JPEG, PNG, TIFF, DICOM), holds none")
    if others := Counter(filter(is_other_picture, map(suffix_of, files))):
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in sorted(others.items()))
        findings.note_column("files passed over", "image", f"{kinds}: pictures of a kind that is not read")
    empty = np.full(len(names), "", object)
    return Listing(
        place=folder.uri,
        table="",
        columns={},
        images=np.array(names, object),
        **{f"{role}s": empty for role in PATTERN_GROUPS},
        frames=np.zeros(len(names), np.int64),
        rows=np.arange(1, len(names) + 1, dtype=np.int64),
        positions=np.full(len(names), -1, np.int64),
    )


def find_files(listing: Listing, folder: Location) -> Listing:
    """The listing with each file's own name where the table writes its letters composed and the disk does not."""
    if all(str(image).isascii() for image in listing.images):
        return listing
    names = files_below(folder)
    own = {in_one_form(name): name for name in names if not name.isascii()}
    same = {*names}
    images = [
        image if image in same else own.get(in_one_form(_normal(image)), image) for image in map(str, listing.images)
    ]
    return replace(listing, images=np.array(images, object))


def read_pattern(listing: Listing, pattern: str, findings: Findings) -> Listing:
    """Fills what no table says from the paths of the photographs."""
    matches = [re.search(pattern, str(image)) for image in listing.images]
    for role in re.compile(pattern).groupindex:
        texts = np.array([printable(match[role] or "") if match else "" for match in matches], object)
        if len(texts):
            texts = _spelled(texts, role)
        listing = fill_role(listing, role, texts)
    unmatched = sum(match is None for match in matches)
    if unmatched:
        detail = f"{unmatched} of {len(matches)} paths do not match the pattern"
        findings.note_column("pattern", listing.columns.get("image", "image"), detail, listing.table)
    return listing


def _spelled(texts: Texts, role: str) -> Texts:
    series = pd.Series(texts, dtype=object)
    if role == "eye":
        return read_eyes(series)[0]
    return read_visits(series)[0] if role == "visit" else shared_texts(series)


def fill_role(listing: Listing, role: str, texts: Texts) -> Listing:
    """The listing with these texts where it has none."""
    own = listing.role(role)
    return listing.with_role(role, np.where(own == "", texts, own))


def leave_out_incomplete(listing: Listing, findings: Findings, *, needs_eye: bool = False) -> NDArray[np.int64]:
    """Indices of the rows that name a photograph and its patient, each photograph once.

    With `needs_eye` also the eye, which scoring asks for as well where left eyes stand mirrored. Raises CohortError
    when a fifth of the rows lack one of these: then the file is wrong and not a row.
    """
    keep = np.ones(len(listing), bool)
    for role, why in {"image": "", "patient": "", **({"eye": "mirror_left needs"} if needs_eye else {})}.items():
        absent = keep & (listing.role(role) == "")
        if is_too_many(absent, len(listing)):
            column = f", column {listing.columns[role]!r}" if role in listing.columns else f", {role}"
            first, count = listing.rows[int(absent.argmax())], int(absent.sum())
            raise CohortError(
                f"{listing.place}{column}, row {first} should be filled, as {count} of {len(listing)} rows should"
                f"{f'; {why} it' if why else ''}"
            )
        detail = f"no {role}{f', which {why}' if why else ''}"
        findings.add(*[listing.finding("row left out", int(i), role, detail) for i in np.flatnonzero(absent)])
        keep &= ~absent
    return _without_repeats(listing, np.flatnonzero(keep), findings)


def _without_repeats(listing: Listing, chosen: NDArray[np.int64], findings: Findings) -> NDArray[np.int64]:
    """A photograph named twice for one patient counts once; named for two patients, it is nobody's."""
    names = np.array([printable(_normal(str(image))) for image in listing.images[chosen]], object)
    repeated = pd.DataFrame({"name": names, "frame": listing.frames[chosen]}).duplicated(keep=False).to_numpy()
    first: dict[tuple[str, int], int] = {}
    left_out: set[int] = set()
    for index in chosen[repeated].tolist():
        key = _normal(str(listing.images[index])), int(listing.frames[index])
        earlier = first.setdefault(key, index)
        if earlier == index:
            continue
        left_out.add(index)
        if listing.patients[index] == listing.patients[earlier]:
            detail = f"the photograph of row {listing.rows[earlier]} again"
        else:
            left_out.add(earlier)
            detail = f"the photograph of row {listing.rows[earlier]} under another patient; both rows are left out"
        findings.add(listing.finding("row left out", index, "image", detail))
    return chosen[~np.isin(chosen, list(left_out))]


def _normal(image: str) -> str:
    return posixpath.normpath(image) if "./" in image or "//" in image else image


def _role(table: CohortTable, entry: TableEntry, role: str, findings: Findings) -> Texts:
    return role_texts(table, role, entry.roles().get(role), entry, findings)


def role_texts(table: CohortTable, role: str, column: str | None, entry: TableEntry, findings: Findings) -> Texts:
    """What a table's column says of patient, eye, visit, site or camera, in one spelling; empty where it does not."""
    if column is None:
        return np.full(len(table.rows), "", object)
    text = table.texts(column)
    if role == "eye":
        eyes, wrong = read_eyes(text)
        findings.note_cells("unknown eye", wrong, "neither left nor right", table.rows, column, table.name)
        return eyes
    if role == "visit":
        visits, ambiguous = read_visits(text, entry.dates)
        if ambiguous.any():
            detail = f"{int(ambiguous.sum())} dates can be read day or month first and are kept as text; say dates"
            findings.note_column("ambiguous date", column, detail, table.name)
        return visits
    return shared_texts(text)
