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


def semicolons(folder, task, cells, **options):
    head = f'name = "c"\ntable = "t.csv"\n[tasks.{task}]\ncolumn = "x"\n{options.get("more", "")}'
    rows = "".join(f"{index}.jpg;{index};{cell}\n" for index, cell in enumerate(cells))
    return read_files(folder, cohort_toml=head, t_csv="image;patient;x\n" + rows).labels_NT[:, 0]


LENGTH = 'kind = "regression"\nunit = "mm"\n'


def test_three_decimals_behind_a_point_are_not_silently_thousands(tmp_path):
    with pytest.raises(CohortError, match=r"t.csv, column 'x': whether '.' stands before decimals .* say decimal"):
        semicolons(tmp_path, "length", ["22.500", "22.637", "24.007"], more=LENGTH)


def test_the_plausible_range_tells_decimals_from_thousands(tmp_path):
    bounded = f"{LENGTH}low = 15\nhigh = 40"

    assert semicolons(tmp_path, "length", ["22.500", "22.637"], more=bounded).tolist() == [22.5, 22.637]
    counts = 'kind = "regression"\nunit = "1/µL"\nlow = 500\nhigh = 90000'
    assert semicolons(tmp_path, "cells", ["22.500", "22.637"], more=counts).tolist() == [22500, 22637]


def test_one_cell_that_can_be_read_one_way_tells_for_all(tmp_path):
    assert semicolons(tmp_path, "length", ["22.500", "22.6"], more=LENGTH).tolist() == [22.5, 22.6]
    assert semicolons(tmp_path, "length", ["22.500", "950"], more=LENGTH).tolist() == [22500, 950]
    assert semicolons(tmp_path, "length", ["22,500", "23,100"], more=LENGTH).tolist() == [22.5, 23.1]


BINARY = 'kind = "binary"\npositive = {}\n'


def test_a_positive_value_that_no_cell_has_is_an_error_that_names_those_that_occur(tmp_path):
    cells = ["Glaucoma"] * 3 + ["Healthy"] * 4 + ["Anna Muster"]

    with pytest.raises(CohortError) as caught:
        read(tmp_path, "glaucoma", cells, more=BINARY.format('["Glaucomatous"]'))

    assert "positive of [tasks.glaucoma] should be a value that occurs, 'Glaucomatous' does not" in str(caught.value)
    assert "'Healthy' (4), 'Glaucoma' (3), 1 other values" in str(caught.value)
    assert "Muster" not in str(caught.value)


def test_one_of_several_positive_values_that_does_not_occur_is_a_finding(tmp_path):
    cohort = read(tmp_path, "glaucoma", ["mild", "none", "severe"], more=BINARY.format('["mild", "serious"]'))

    assert noted(cohort) == [("unused value", "t.csv", 0, "x")]
    assert "'serious'" in cohort.findings[0].detail


def test_a_column_without_any_value_has_no_positive_one_and_is_absent(tmp_path):
    assert np.isnan(labels(tmp_path, "glaucoma", ["", "NA"], more=BINARY.format('["ill"]'))).all()


@pytest.mark.parametrize(
    "error",
    [
        *("#NUM!", "#NAME?", "#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#N/A", "#SPILL!", "#CALC!", "#GETTING_DATA"),
        *("#ZAHL!", "#BEZUG!", "#WERT!", "#NV", "#NOM?", "#NOMBRE!", "#¡NUM!", "#¡DIV/0!", "#¿NOMBRE?", "#N/D"),
        *("Err:502", "#num!"),
    ],
)
def test_the_errors_of_a_spreadsheet_are_absent(tmp_path, error):
    binary = labels(tmp_path, "glaucoma", ["ill", error, "well"], more=BINARY.format('["ill"]'))
    number = labels(tmp_path, "age", ["61", error, "62"])

    np.testing.assert_array_equal(binary, [1, np.nan, 0])
    np.testing.assert_array_equal(number, [61, np.nan, 62])


GRADE = 'kind = "ordinal"\nlevels = [0, 1, 2, 3, 4]\n'


def test_a_retinopathy_grade_is_read_however_a_spreadsheet_writes_it(tmp_path):
    found = labels(tmp_path, "dr", ["0", "1.0", "4", "", "NA", "2"], more=GRADE)

    np.testing.assert_array_equal(found, [0, 1, 4, np.nan, np.nan, 2])


def test_a_grade_is_the_place_of_the_level_that_its_cell_means(tmp_path):
    more = 'kind = "ordinal"\nlevels = ["none", "some"]\ncells = { none = ["R0", 0], some = "R1" }\nmissing = "U"\n'

    cohort = read(tmp_path, "dr", ["R0", "r1", "0", "None", "SOME", "u"], more=more)

    np.testing.assert_array_equal(cohort.labels_NT[:, 0], [0, 1, 0, 0, 1, np.nan])
    assert cohort.tasks["dr"].levels == ("none", "some")
    assert cohort.findings == ()


def test_an_unknown_grade_is_absent_and_noted_and_named_where_it_is_nobodys_own(tmp_path):
    cells = ["0", "1"] * 10 + ["ungradable"] * 3 + ["see letter"]

    cohort = read(tmp_path, "dr", cells, more=GRADE)

    assert np.isnan(cohort.labels_NT[20:, 0]).all()
    assert {finding.kind for finding in cohort.findings} == {"unknown value"}
    assert [finding.row for finding in cohort.findings] == [22, 23, 24, 25]
    assert cohort.findings[0].detail == "'ungradable' should be one of 0, 1, 2, 3, 4"
    assert cohort.findings[3].detail == "should be one of 0, 1, 2, 3, 4"


def test_a_column_of_other_grades_is_refused_and_what_it_holds_is_named(tmp_path):
    with pytest.raises(
        CohortError,
        match=r"should be one of 0, 1, 2, 3, 4; so should 6 of 6 .* in cells of \[tasks.dr\], or missing: "
        r"'R1' \(3\), 'R0' \(3\)|'R0' \(3\), 'R1' \(3\)",
    ):
        read(tmp_path, "dr", ["R0", "R1"] * 3, more=GRADE)


def test_a_code_of_a_level_that_no_cell_has_is_noted(tmp_path):
    cohort = read(tmp_path, "dr", ["0", "1"], more=GRADE + 'cells = { 4 = "R4" }\n')

    assert noted(cohort) == [("unused value", "t.csv", 0, "x")]


def test_a_level_is_not_declared_missing(tmp_path):
    with pytest.raises(CohortError, match=r"4 should mean a level of \[tasks.dr\] or be missing, was both"):
        read(tmp_path, "dr", ["0", "1"], more=GRADE, top="missing = 4")
