"""A column of a table as labels in a task's unit, with what was noticed on the way.

One wrong cell is absent and a finding. A column that is wrong as a whole (a fifth of it implausible, or its median in
another unit's range) is a CohortError, so that a wrong unit is never learned quietly.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sepl.data.cohort.findings import FEW, Findings, is_too_many
from sepl.data.cohort.settings import TaskColumn
from sepl.data.tables.levels import meanings_of, read_levels
from sepl.data.tables.sexes import read_sexes
from sepl.data.tables.table import CohortTable
from sepl.data.tables.units import FEET_AND_INCHES, Quantity, Unit, quantity_of
from sepl.data.tables.values import Code, Decimal, is_absent, is_undecided, key_of, read_codes, read_numbers
from sepl.errors import CohortError
from sepl.tasks import Task

_POSITIVE: tuple[Code, ...] = (
    1,
    "true",
    "yes",
    "y",
    "positive",
    "pos",
    "+",
    "ja",
    "oui",
    "si",
    "sí",
    "sim",
    "有",
    "예",
)
_NEGATIVE: tuple[Code, ...] = (
    0,
    "false",
    "no",
    "n",
    "negative",
    "neg",
    "nein",
    "non",
    "não",
    "nao",
    "无",
    "無",
    "아니오",
)
_FEWEST_FOR_A_MEDIAN = 5
_MOST_VALUES = 6
_OTHER_SIGN: dict[Decimal, Decimal] = {".": ",", ",": "."}


def read_labels(
    table: CohortTable,
    entry: TaskColumn,
    task: Task,
    *,
    missing: Sequence[Code] = (),
    decimal: Decimal | None = None,
    findings: Findings,
) -> NDArray[np.float64]:
    """The labels (R) of a table's rows in the task's unit, NaN where absent or wrong."""
    assert entry.column is not None
    if task.kind == "regression":
        return _read_measurements(table, entry, task, missing, decimal, findings)
    if task.is_graded:
        return _read_grades(table, entry, task, missing, findings)
    text = table.texts(entry.column)
    if task.name == "sex" and entry.positive is None:
        try:
            labels, wrong = read_sexes(text, missing, entry.male, entry.female)
        except ValueError as problem:
            raise CohortError(f"{table.path}, column {entry.column!r} {problem}") from None
        should = "a sex (M, F, male, female …)"
    else:
        positive, negative = (entry.positive, entry.negative) if entry.positive else (_POSITIVE, _NEGATIVE)
        labels, wrong = read_codes(text, positive, negative, missing)
        if entry.positive:
            _check_positive(table, entry.column, task, entry.positive, text[~is_absent(text, missing)], findings)
        should = f"one of {', '.join(str(code) for code in (*positive, *(negative or ())))}"
    _refuse(table, entry.column, wrong, int((~is_absent(text, missing)).sum()), should)
    findings.note_cells("unknown value", wrong, f"should be {should}", table.rows, entry.column, table.name)
    return labels


def _read_grades(
    table: CohortTable, entry: TaskColumn, task: Task, missing: Sequence[Code], findings: Findings
) -> NDArray[np.float64]:
    column, meanings = str(entry.column), meanings_of(task.levels, entry.cells)
    text = table.texts(column)
    both = [code for code in missing if key_of(code) in meanings]
    if both:
        raise CohortError(
            f"{table.path}, column {column!r}: {both[0]!r} should mean a level of [tasks.{task.name}] or be missing, "
            f"was both"
        )
    labels, wrong = read_levels(text, meanings, missing)
    should, unknown = f"one of {', '.join(task.levels)}", text[wrong]
    told = f"; say which level each means in cells of [tasks.{task.name}], or missing: {_frequent(unknown)}"
    _refuse(table, column, wrong, int((wrong | np.isfinite(labels)).sum()), should, told)
    counts = unknown.value_counts()
    common = [str(value) for value in counts.index[counts >= FEW]]
    for value in common:
        detail = f"{value!r} should be {should}"
        findings.note_cells("unknown value", np.asarray(text == value, bool), detail, table.rows, column, table.name)
    rest = wrong & ~np.asarray(text.isin(common), bool)
    findings.note_cells("unknown value", rest, f"should be {should}", table.rows, column, table.name)
    in_cells = {key_of(cell) for cell in text.unique()}
    for code in (code for codes in entry.cells.values() for code in codes if key_of(code) not in in_cells):
        detail = f"{code!r}, in cells of [tasks.{task.name}], stands in none"
        findings.note_column("unused value", column, detail, table.name)
    return labels


def _check_positive(
    table: CohortTable, column: str, task: Task, positive: Sequence[Code], filled: "pd.Series", findings: Findings
) -> None:
    """Notes codes that no cell has. CohortError when none occurs: all would be 0, for a slip of the pen."""
    in_cells = {key_of(cell) for cell in filled.unique()}
    unused = [code for code in positive if key_of(code) not in in_cells]
    if len(filled) and len(unused) == len(positive):
        raise CohortError(
            f"{table.path}, column {column!r}: positive of [tasks.{task.name}] should be a value that occurs, "
            f"{', '.join(map(repr, unused))} does not; the column has {_frequent(filled)}"
        )
    detail = f"positive of [tasks.{task.name}], stands in no cell"
    for code in unused if len(filled) else []:
        findings.note_column("unused value", column, f"{code!r}, {detail}", table.name)


def _frequent(filled: "pd.Series") -> str:
    """The values of several rows, most frequent first; what one or two rows say may tell who they are."""
    counts = filled.value_counts()
    common = [f"{value!r} ({count})" for value, count in counts[counts >= FEW].head(_MOST_VALUES).items()]
    num_others = len(counts) - len(common)
    others = [f"{num_others} other values" if common else f"{num_others} values, none in {FEW} rows or more"]
    return ", ".join(common + (others if num_others else []))


def _read_measurements(
    table: CohortTable,
    entry: TaskColumn,
    task: Task,
    missing: Sequence[Code],
    decimal: Decimal | None,
    findings: Findings,
) -> NDArray[np.float64]:
    column = str(entry.column)
    unit, quantity = entry.column_unit(task.name), quantity_of(task.name)
    text = table.texts(column)
    decimal = decimal or _decimal_by_range(table, column, task, unit, missing)
    numbers = read_numbers(text, decimal, missing, fallback=table.decimal, feet=unit is FEET_AND_INCHES)
    values = numbers.values if unit is None else unit.convert(numbers.values)
    low, high = _limits(task)
    implausible = np.isfinite(values) & ~((values >= low) & (values <= high))
    wrong = numbers.wrong | implausible
    if quantity is not None and unit is not None and not entry.trust_unit:
        _refuse_unit(table, column, task, quantity, unit, numbers.values, implausible)
    hint = _sentinel_hint(numbers.values[implausible], int(wrong.sum()))
    num_filled = int((wrong | np.isfinite(values)).sum())
    _refuse(table, column, wrong, num_filled, f"a number{range_of(task)}", hint)

    def note(kind: str, where: NDArray[np.bool_], detail: str) -> None:
        findings.note_cells(kind, where, detail, table.rows, column, table.name)

    note("not a number", numbers.wrong, "set to absent")
    note("implausible value", implausible, f"not{range_of(task)}, set to absent")
    note("censored value", numbers.censored & ~implausible, "below or above a limit; the limit is taken")
    return np.where(implausible, np.nan, values)


def _decimal_by_range(
    table: CohortTable, column: str, task: Task, unit: Unit | None, missing: Sequence[Code]
) -> Decimal | None:
    """The decimal sign of a column whose cells allow two: the one of which the values are plausible; None: they tell.

    A comma of a table that is parted by semicolons is a decimal one, as a point is of any other. CohortError where the
    other sign stands and the plausible range fits both readings or none.
    """
    text = table.texts(column)
    if not is_undecided(text, missing) or not text.str.contains(_OTHER_SIGN[table.decimal], regex=False).any():
        return None
    low, high = _limits(task)
    fitting: list[Decimal] = []
    for sign in _OTHER_SIGN:
        numbers = read_numbers(text, sign, missing)
        values = numbers.values if unit is None else unit.convert(numbers.values)
        values = values[np.isfinite(values)]
        if 2 * int(((values >= low) & (values <= high)).sum()) > len(values):
            fitting.append(sign)
    if len(fitting) == 1:
        return fitting[0]
    raise CohortError(
        f"{table.path}, column {column!r}: whether {_OTHER_SIGN[table.decimal]!r} stands before decimals or parts "
        "thousands cannot be told, every number has three digits behind it; say decimal of that table"
    )


def _limits(task: Task) -> tuple[float, float]:
    return -np.inf if task.low is None else task.low, np.inf if task.high is None else task.high


def _refuse(
    table: CohortTable, column: str, wrong: NDArray[np.bool_], num_filled: int, should: str, hint: str = ""
) -> None:
    if is_too_many(wrong, num_filled):
        first, count = int(wrong.argmax()), int(wrong.sum())
        raise CohortError(
            f"{table.place(column, first)} should be {should}; so should {count} of {num_filled} filled rows, "
            f"which are too many for slips{hint}"
        )


def _refuse_unit(
    table: CohortTable,
    column: str,
    task: Task,
    quantity: Quantity,
    unit: Unit,
    values: NDArray[np.float64],
    implausible: NDArray[np.bool_],
) -> None:
    """A column whose median, or the median of its many implausible values, fits another unit."""
    finite = odd = values[np.isfinite(values)]
    is_mixed = is_too_many(implausible, len(finite))
    is_enough = is_mixed or len(finite) >= _FEWEST_FOR_A_MEDIAN
    guesses = quantity.guess(finite, unit) if is_enough and not _is_one_value(finite) else ()
    if not guesses and is_mixed and not _is_one_value(values[implausible]):
        odd = values[implausible]
        guesses = quantity.guess(odd, unit)
    if guesses:
        fitting = " or ".join(guess.name for guess in guesses)
        raise CohortError(
            f"{table.path}, column {column!r}: {np.median(odd):.4g}, the median of {len(odd)} of its {len(finite)} "
            f"values, is no usual {task.label} in {unit.name} but would be in {fitting}; "
            f"say unit in [tasks.{task.name}], or trust_unit = true if {unit.name} is right"
        )


def _is_one_value(values: NDArray[np.float64]) -> bool:
    """Whether half of them are the same, as a code for absent is and measurements are not."""
    return bool(len(values)) and 2 * int(np.unique(values, return_counts=True)[1].max()) >= len(values)


def _sentinel_hint(implausible: NDArray[np.float64], num_wrong: int) -> str:
    if not len(implausible):
        return ""
    value, count = Counter(implausible.tolist()).most_common(1)[0]
    if count < FEW or count < num_wrong / 2:
        return ""
    return f"; {value:g} stands in {count} of them: if it means absent, say missing = [{value:g}]"


def range_of(task: Task) -> str:
    """As " from 50 to 300 mmHg"."""
    unit = f" {task.unit}" if task.unit else ""
    if task.low is None and task.high is None:
        return f" in{unit}" if unit else ""
    if task.high is None:
        return f" from {task.low:g}{unit}"
    if task.low is None:
        return f" up to {task.high:g}{unit}"
    return f" from {task.low:g} to {task.high:g}{unit}"
