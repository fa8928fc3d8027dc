import numpy as np
import pytest
from cohort_files import noted, read_files

from sepl.errors import CohortError


def read(folder, task, cells, **options):
    head = f'name = "c"\ntable = "t.csv"\n{options.get("top", "")}\n'
    toml = f'{head}[tasks.{task}]\ncolumn = "x"\n{options.get("more", "")}'
    rows = "".join(f'{index}.jpg;{index};"{cell}"\n' for index, cell in enumerate(cells))
    return read_files(folder, cohort_toml=toml, t_csv="image;patient;x\n" + rows)


def labels(*arguments, **options):
    return read(*arguments, **options).labels_NT[:, 0]


def test_units_are_converted(tmp_path):
    found = labels(tmp_path, "glucose", ["5,0", "5,55", "10"], more='unit = "mmol/L"')

    np.testing.assert_allclose(found, [90.08, 99.99, 180.16], atol=0.01)


def test_feet_and_inches_are_converted(tmp_path):
    found = labels(tmp_path, "height", ['5\'11""', "6'", "5 ft 2 in"], more='unit = "ft+in"')

    np.testing.assert_allclose(found, [180.34, 182.88, 157.48])


@pytest.mark.parametrize(
    ("task", "cells", "unit"),
    [
        ("glucose", ["5,0", "5,5", "4,9", "6,1", "7,0"], "mmol/L"),
        ("bun", ["5,0", "5,5", "4,9", "6,1", "5,2"], "mmol/L"),
        ("bun", ["30", "35", "28", "31", "40"], "mg/dL urea"),
        ("height", ["67", "70", "64", "62", "72"], "in"),
        ("weight", ["165", "180", "150", "210", "190"], "lb"),
        ("dbp", ["10", "11", "9,5", "10,5", "12"], "kPa"),
        ("hba1c", ["38", "40", "36", "45", "60"], "mmol/mol"),
        ("creatinine", ["75", "80", "66", "90", "101"], "µmol/L"),
    ],
)
def test_a_column_in_another_unit_is_refused_with_the_guess(tmp_path, task, cells, unit):
    with pytest.raises(
        CohortError, match=rf"t.csv, column 'x': .* would be in {unit}[ ;].*say unit in \[tasks.{task}\]"
    ):
        read(tmp_path, task, cells)

    assert np.isfinite(labels(tmp_path, task, cells, more=f'unit = "{unit}"')).all()


def test_a_column_half_in_another_unit_is_refused_with_the_guess(tmp_path):
    cells = ["95", "100", "110", "90", "88", "5,1", "5,5", "4,9"]

    with pytest.raises(CohortError, match=r"column 'x': 5.1, the median of 3 of its 8 values, .* would be in mmol/L"):
        read(tmp_path, "glucose", cells)


def test_a_unit_that_looks_wrong_can_be_trusted(tmp_path):
    cells = ["45", "50", "60", "52", "48"]

    with pytest.raises(CohortError, match="would be in mg/dL urea"):
        read(tmp_path, "bun", cells)
    assert labels(tmp_path, "bun", cells, more="trust_unit = true").tolist() == [45, 50, 60, 52, 48]


def test_codes_for_absent_are_declared_by_column_table_or_cohort(tmp_path):
    np.testing.assert_array_equal(labels(tmp_path, "age", ["1", "61", "1,0"], more="missing = 1"), [np.nan, 61, np.nan])
    np.testing.assert_array_equal(labels(tmp_path, "age", ["-9", "61"], top="missing = [-9, 999]"), [np.nan, 61])
    toml = (
        'name = "c"\n[[tables]]\npath = "t.csv"\nper = "photograph"\nimage = "image"\npatient = "patient"\n'
        'missing = ["none taken"]\n[tasks.age]\ncolumn = "x"\n'
    )
    cohort = read_files(tmp_path, cohort_toml=toml, t_csv="image,patient,x\na,1,None taken\nb,2,61\n")

    np.testing.assert_array_equal(cohort.labels_NT[:, 0], [np.nan, 61])
    assert cohort.findings == ()


def test_a_code_that_was_not_declared_is_recognised(tmp_path):
    with pytest.raises(CohortError, match=r"4 of 6 filled rows.*; -9 stands in 4 of them: .* say missing = \[-9\]"):
        read(tmp_path, "age", ["-9", "61", "-9", "-9", "70", "-9"])


def test_a_code_that_another_unit_would_explain_is_still_a_code(tmp_path):
    with pytest.raises(
        CohortError, match=r"999 stands in 3 of them: .* say missing = \[999\]"
    ):  # months, it would be 83
        read(tmp_path, "age", ["61", "999", "999", "70", "999", "64"])


def test_censored_values_are_their_limit_and_a_finding(tmp_path):
    cohort = read(tmp_path, "creatinine", ["<0,5", "0,9", "1,1", "1,0", "0,8", "1"])

    assert cohort.labels_NT[:, 0].tolist() == [0.5, 0.9, 1.1, 1.0, 0.8, 1.0]
    assert noted(cohort) == [("censored value", "t.csv", 2, "x")]


def test_many_like_findings_are_one(tmp_path):
    cohort = read(tmp_path, "hba1c", [">14", ">14", ">14", "5", "6"], more="trust_unit = true")

    assert noted(cohort) == [("censored value", "t.csv", 0, "x")]
    assert cohort.findings[0].detail.endswith("3 of 5 rows")


def test_neither_errors_nor_findings_repeat_a_cells_text(tmp_path):
    cohort = read(tmp_path, "age", ["Anna Muster", "61", "62"])

    assert "Anna" not in str(cohort.findings)
    with pytest.raises(CohortError) as caught:
        read(tmp_path, "age", ["Anna Muster", "Bert Muster", "Cleo Muster"])
    assert "Muster" not in str(caught.value)


@pytest.mark.parametrize(("cells", "expected"), [(["1", "2", "2"], [1, 0, 0]), (["m", "w", "m"], [1, 0, 1])])
def test_sexes_are_read(tmp_path, cells, expected):
    assert labels(tmp_path, "sex", cells).tolist() == expected


def test_open_codes_of_sex_are_refused(tmp_path):
    with pytest.raises(CohortError, match=r"t.csv, column 'x' holds 0, 1 and 2; say which"):
        read(tmp_path, "sex", ["0", "1", "2"])


def test_a_decimal_sign_can_be_declared(tmp_path):
    toml = (
        'name = "c"\n[[tables]]\npath = "t.csv"\nper = "photograph"\nimage = "image"\npatient = "patient"\n'
        'decimal = ","\n[tasks.iop]\ncolumn = "x"\nkind = "regression"\nunit = "mmHg"\n'
    )
    cohort = read_files(tmp_path, cohort_toml=toml, t_csv="image|patient|x\na|1|12,345\n")

    assert cohort.labels_NT.tolist() == [[12.345]]
