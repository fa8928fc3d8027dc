import numpy as np
import pytest

from sepl.data.cohort.findings import Finding, Findings, is_too_many


@pytest.mark.parametrize(
    ("num_wrong", "num_filled", "expected"), [(2, 2, False), (3, 3, True), (3, 15, False), (3, 14, True), (0, 0, False)]
)
def test_a_column_is_wrong_when_three_cells_and_a_fifth_are(num_wrong: int, num_filled: int, expected: bool) -> None:
    assert is_too_many(np.arange(20) < num_wrong, num_filled) == expected


def test_a_few_cells_are_noted_one_by_one_under_the_rows_of_the_table() -> None:
    where = np.isin(np.arange(20), [3, 7])

    findings = Findings()
    findings.note_cells("no number", where, "should be one", np.arange(2, 22), "age", "t.csv")

    assert findings.all() == tuple(Finding("no number", row, "age", "should be one", "t.csv") for row in (5, 9))


def test_many_cells_are_one_finding_of_the_column() -> None:
    findings = Findings()
    findings.note_cells("no number", np.arange(20) < 9, "should be one", np.arange(2, 22), "age", "t.csv")

    assert findings.all() == (Finding("no number", 0, "age", "should be one: 9 of 20 rows", "t.csv"),)


def test_findings_stand_in_the_order_in_which_they_were_noted() -> None:
    findings = Findings()
    findings.note("b", 2, "x", "d")
    findings.note_column("a", "y", "e", "t.csv")

    assert [(finding.kind, finding.row) for finding in findings.all()] == [("b", 2), ("a", 0)]
