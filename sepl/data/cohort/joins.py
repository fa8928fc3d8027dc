"""Which row of a table belongs to which photograph. A photograph keeps exactly one row, whatever the tables hold."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sepl.data.cohort.findings import FEW, MOST_WRONG, Finding, Findings
from sepl.data.cohort.listing import Listing, Texts, role_texts
from sepl.data.cohort.settings import TableEntry
from sepl.data.tables.table import CohortTable
from sepl.errors import CohortError


@dataclass(frozen=True, eq=False)
class KeyedTable:
    """A table of visits or patients, one row for each of its keys."""

    table: CohortTable
    entry: TableEntry
    keys: dict[str, Texts]
    """By role: patient, and visit or eye where the entry names them (R)."""
    contested: dict[str, NDArray[np.bool_]]
    """By column: where rows of one key contradict each other, so that the value is not known (R)."""


def key_table(table: CohortTable, entry: TableEntry, findings: Findings) -> KeyedTable:
    """The table by its keys; rows without a patient (or, in a table of visits, a visit) are left out.

    Rows that repeat a key count once; where they contradict each other the value is absent. Raises CohortError when
    more than a fifth repeat one: then the table is not what `per` says.
    """
    roles = [role for role in ("patient", "visit", "eye") if role in entry.roles()]
    keys = {role: role_texts(table, role, entry.roles()[role], entry, findings) for role in roles}
    needed = [role for role in ("patient", "visit") if role in keys]
    for role in needed:
        column = entry.roles()[role]
        absent = np.flatnonzero(keys[role] == "")
        findings.add(*[Finding("row left out", int(table.rows[i]), column, f"no {role}", table.name) for i in absent])
    whole = np.logical_and.reduce([keys[role] != "" for role in needed])
    table, keys = table.take(whole), {role: texts[whole] for role, texts in keys.items()}
    return _one_row_a_key(KeyedTable(table, entry, keys, {}), findings)


def join_rows(listing: Listing, keyed: KeyedTable, findings: Findings) -> NDArray[np.int64]:
    """(N,) the row of the table that belongs to each photograph, −1 where none does.

    Raises CohortError when none belongs to any: the keys are then spelled differently.
    """
    photographs = pd.MultiIndex.from_arrays([listing.role(role) for role in keyed.keys])
    rows = pd.MultiIndex.from_arrays(list(keyed.keys.values()))
    row_N = rows.get_indexer(photographs).astype(np.int64)
    if keyed.entry.within_days is not None:
        row_N = _nearest_visit(listing, keyed, row_N, keyed.entry.within_days)
    by = " and ".join(keyed.keys)
    if len(listing) and not (row_N >= 0).any():
        hint = _zeros_hint(listing, keyed)
        raise CohortError(f"{keyed.table.path}: none of its {len(rows)} rows has the {by} of a photograph{hint}")
    without, unused = int((row_N < 0).sum()), len(rows) - len(np.unique(row_N[row_N >= 0]))
    column = keyed.entry.roles()["patient"]
    if without:
        detail = f"{without} of {len(listing)} photographs have no row of their {by}"
        findings.note_column("photographs without a row", column, detail, keyed.table.name)
    if unused:
        detail = f"{unused} of {len(rows)} rows have the {by} of no photograph"
        findings.note_column("rows without a photograph", column, detail, keyed.table.name)
    return row_N


def _nearest_visit(listing: Listing, keyed: KeyedTable, row_N: NDArray[np.int64], most_days: int) -> NDArray[np.int64]:
    """`row_N`, with the row of the nearest date where there was none; the earlier of two as near."""
    others = [role for role in keyed.keys if role != "visit"]
    left = _dated({role: listing.role(role) for role in keyed.keys}, "photograph")
    left = left[row_N[left["photograph"].to_numpy()] < 0]
    right = _dated(keyed.keys, "row")
    tolerance = pd.Timedelta(days=most_days)
    near = pd.merge_asof(left, right, on="date", by=others, direction="nearest", tolerance=tolerance)
    near = near[near["row"].notna()]
    row_N = row_N.copy()
    row_N[near["photograph"].to_numpy(np.int64)] = near["row"].to_numpy(np.int64)
    return row_N


def _dated(keys: dict[str, Texts], name: str) -> pd.DataFrame:
    """The keys with the visit as `date`, its index as `name`, in order of dates; visits that are no dates left out."""
    frame = pd.DataFrame({role: texts for role, texts in keys.items() if role != "visit"})
    frame["date"] = pd.to_datetime(pd.Series(keys["visit"], dtype=object), format="%Y-%m-%d", errors="coerce").astype(
        "datetime64[s]"
    )
    frame[name] = np.arange(len(frame))
    return frame[frame["date"].notna()].sort_values("date", kind="stable")


def _one_row_a_key(keyed: KeyedTable, findings: Findings) -> KeyedTable:
    table = keyed.table
    index = pd.MultiIndex.from_arrays(list(keyed.keys.values()))
    repeats = np.asarray(index.duplicated(keep="first"))
    by = " and ".join(keyed.keys)
    if repeats.sum() >= FEW and repeats.sum() > MOST_WRONG * len(repeats):
        raise CohortError(
            f"{table.path}: a table per {keyed.entry.per} should have one row for each {by}, "
            f"{int(repeats.sum())} of {len(repeats)} rows repeat one"
        )
    contested = _contested(table, index, repeats, findings) if repeats.any() else {}
    kept = ~repeats
    keys = {role: texts[kept] for role, texts in keyed.keys.items()}
    contested = {column: where[kept] for column, where in contested.items()}
    return KeyedTable(table.take(kept), keyed.entry, keys, contested)


def _contested(
    table: CohortTable, index: pd.MultiIndex, repeats: NDArray[np.bool_], findings: Findings
) -> dict[str, NDArray[np.bool_]]:
    first_of = index[~repeats].get_indexer(index[repeats])
    first, again = np.flatnonzero(~repeats)[first_of], np.flatnonzero(repeats)
    contested: dict[str, NDArray[np.bool_]] = {}
    for column in table.columns:
        text = table.texts(column).to_numpy(object)
        differ = text[first] != text[again]
        if differ.any():
            contested[column] = np.zeros(len(text), bool)
            contested[column][first[differ]] = True
    for one, other in zip(first, again, strict=True):
        detail = f"its key is that of row {table.rows[one]}; where both differ, the value is absent"
        findings.note("row repeated", int(table.rows[other]), "", detail, table.name)
    return contested


def _zeros_hint(listing: Listing, keyed: KeyedTable) -> str:
    """What to say where ids differ as spreadsheets make them: 007 becomes 7, and 7 becomes 7.0."""
    photographs, rows = set(map(str, listing.patients)), set(map(str, keyed.keys["patient"]))
    if photographs & rows or not {_bare(text) for text in photographs} & {_bare(text) for text in rows}:
        return ""
    return " (patients would match without leading zeros and a final .0; say ignore_zeros = true in [ids])"


def _bare(text: str) -> str:
    return text.removesuffix(".0").lstrip("0")
