from pathlib import Path

import pytest
from builders import build_cohort
from cohort_files import AGE, HEADER, SEX

from sepl.data.cohort.cohort import read_cohort
from sepl.errors import CohortError

WRONG_TOML = {
    "no TOML": ("name = ", "cohort.toml: should be a TOML file"),
    "no tasks": (HEADER + "[tasks]\n", "tasks"),
    "an unknown key": (HEADER + AGE + "colour = 1\n", "unknown key tasks.age.colour"),
    "a missing key": ('table = "labels.csv"\n' + AGE, "name is missing"),
    "an own task without its kind": (
        HEADER + '[tasks.iop]\ncolumn = "age"\n',
        r"\[tasks.iop\]: iop is not built in .* so it needs kind",
    ),
    "an own regression without its unit": (
        HEADER + '[tasks.iop]\ncolumn = "age"\nkind = "regression"\n',
        r"\[tasks.iop\]: a regression task needs its unit",
    ),
    "a built-in task bent": (
        HEADER + AGE + 'kind = "binary"\n',
        r"\[tasks.age\]: age is built in and has its own kind",
    ),
    "an unknown unit": (
        HEADER + AGE + 'unit = "furlong"\n',
        r"\[tasks.age\]: unit should be one of y, months, days, was 'furlong'",
    ),
    "a unit of sex": (HEADER + SEX + 'unit = "y"\n', r"\[tasks.sex\]: sex has no unit"),
    "a missing column": (HEADER + "[tasks.sbp]\n", r"\[tasks.sbp\]: column is missing"),
    "a rule that is none": (
        HEADER + AGE + 'old = "age is 60"\n'.replace("old", "[tasks.old]\nwhen"),
        "should be made of",
    ),
    "a rule of something unknown": (
        HEADER + AGE + '[tasks.ht]\nwhen = "sbp > 140"\n',
        r"\[tasks.ht\]: when should compare age, was 'sbp'",
    ),
    "rules in a circle": (
        HEADER + AGE + '[tasks.a]\nwhen = "b == 1"\n[tasks.b]\nwhen = "a == 1"\n',
        r"when should not lead back to itself, did by a → b → a",
    ),
    "a rule with a column": (
        HEADER + AGE + '[tasks.a]\nwhen = "age > 1"\ncolumn = "age"\n',
        r"\[tasks.a\]: a task with when is binary and has no column",
    ),
    "a rule in place of a built-in task": (HEADER + AGE + '[tasks.sex]\nwhen = "age > 1"\n', "sex is built in"),
    "a pattern that is none": (
        HEADER + AGE + '[photographs]\npattern = "(?P<patient>"\n',
        "photographs.pattern should be a regular expression",
    ),
    "a pattern that tells nothing": (HEADER + AGE + '[photographs]\npattern = "x"\n', "should have groups"),
    "table and tables": (HEADER + AGE + '[[tables]]\npath = "x.csv"\nper = "patient"\npatient = "p"\n', "exclude"),
    "an unknown measure": (HEADER + AGE + "[quality]\nbeauty = {}\n", "unknown key quality.beauty"),
    "an unknown way to split": (HEADER + AGE + "[split]\nat_random = true\n", "unknown key split.at_random"),
    "a misspelled key": (
        HEADER + AGE + 'unit = "months"\ntrust = 1\n',
        r"unknown key tasks.age.trust",
    ),
    "a range upside down": (
        HEADER + '[tasks.iop]\ncolumn = "age"\nkind = "regression"\nunit = "x"\nlow = 3\nhigh = 1\n',
        "should rise, was 3.0 to 1.0",
    ),
    "a name that is none": (HEADER + '[tasks."a b"]\ncolumn = "age"\nkind = "binary"\n', "plain identifier"),
    "a reserved name": (
        HEADER + '[tasks.image]\ncolumn = "age"\nkind = "binary"\n',
        r"\[tasks.image\]: a task should not be named image",
    ),
    "positive for a number": (
        HEADER + AGE + "positive = 1\n",
        r"\[tasks.age\]: positive and negative are for binary tasks",
    ),
    "grades without levels": (
        HEADER + '[tasks.dr]\ncolumn = "age"\nkind = "ordinal"\n',
        r"\[tasks.dr\]: .*should have at least two levels, had none",
    ),
    "levels of a number": (
        HEADER + AGE + "levels = [0, 1]\n",
        r"\[tasks.age\]: levels, cells and patient are for ordinal and categorical tasks",
    ),
    "a unit of grades": (
        HEADER + '[tasks.dr]\ncolumn = "age"\nkind = "ordinal"\nlevels = [0, 1]\nunit = "mmHg"\n',
        r"\[tasks.dr\]: a task that is ordinal has no unit, low or high of its own",
    ),
    "positive beside levels": (
        HEADER + '[tasks.dr]\ncolumn = "age"\nkind = "ordinal"\nlevels = [0, 1]\npositive = 1\n',
        r"\[tasks.dr\]: positive and negative are for binary tasks",
    ),
    "the worst of classes": (
        HEADER + '[tasks.dr]\ncolumn = "age"\nkind = "categorical"\nlevels = [0, 1]\npatient = "worst"\n',
        r"\[tasks.dr\]: .*patient should be mean unless it is ordinal, was worst",
    ),
    "a level that is no name": (
        HEADER + '[tasks.dr]\ncolumn = "age"\nkind = "ordinal"\nlevels = [0, {}]\n',
        "tasks.dr.levels",
    ),
    "cells of no level": (
        HEADER + '[tasks.dr]\ncolumn = "age"\nkind = "ordinal"\nlevels = [0, 1]\ncells = { 2 = "R2" }\n',
        r"\[tasks.dr\]: cells should be of the levels 0, 1; had '2'",
    ),
    "a rule of grades": (
        HEADER + AGE + '[tasks.a]\nwhen = "age > 1"\nkind = "ordinal"\n',
        r"\[tasks.a\]: a task with when is binary",
    ),
    "known grades": (
        HEADER + '[known]\npatterns = [["dr"]]\n[tasks.dr]\ncolumn = "age"\nkind = "ordinal"\nlevels = [61, 62]\n',
        r"\[known\]: patterns should have no levels, dr is ordinal",
    ),
    "an image folder that is none": ('images = "nowhere"\n' + HEADER + AGE, "images should be a folder"),
    "a table that is none": (HEADER.replace("labels.csv", "none.csv") + AGE, "none.csv: no such table"),
    "no table": (HEADER.replace("labels.csv", "cohort.toml") + AGE, "should be .csv, .tsv, .txt, .parquet or .xlsx"),
}


@pytest.mark.parametrize("case", WRONG_TOML)
def test_a_wrong_cohort_file_is_one_clear_line(write, case):
    toml, message = WRONG_TOML[case]

    with pytest.raises(CohortError, match=message) as caught:
        read_cohort(write(toml))
    assert "\n" not in str(caught.value)


def test_a_missing_cohort_file_is_told(tmp_path):
    with pytest.raises(CohortError, match=r"none.toml: no such cohort file"):
        read_cohort(tmp_path / "none.toml")


def test_sections_for_photographs_quality_and_split_are_handed_on(write):
    sections = (
        "[photographs]\nclahe = true\nmirror_left = true\nfield_of_view = false\n"
        '[quality]\nsharpness = {low = 1.5}\n[split]\nexternal_test_sites = ["north"]\n'
    )

    cohort = read_cohort(write(HEADER + AGE + sections))

    assert (cohort.clahe, cohort.mirror_left, cohort.field_of_view) == (True, True, False)
    assert cohort.quality.sharpness.low == 1.5
    assert cohort.split.external_test_sites == ("north",)


def test_known_patterns_are_read_and_name_tasks_of_the_cohort(tmp_path: Path) -> None:
    path = build_cohort(tmp_path, num_patients=4)
    text = path.read_text(encoding="utf-8")

    path.write_text(f'{text}\n[known]\npatterns = [["age", "hba1c"], ["sbp"]]\n', encoding="utf-8")
    assert read_cohort(path).known_patterns == (("age", "hba1c"), ("sbp",))

    path.write_text(f'{text}\n[known]\npatterns = [["shoe_size"]]\n', encoding="utf-8")
    with pytest.raises(CohortError, match=r"\[known\]: patterns should be of sex, age.*was of 'shoe_size'"):
        read_cohort(path)

    path.write_text(f'{text}\n[known]\npatterns = [["age", "age"]]\n', encoding="utf-8")
    with pytest.raises(CohortError, match="a pattern should name tasks, each once"):
        read_cohort(path)
