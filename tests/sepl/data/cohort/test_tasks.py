import numpy as np
from cohort_files import AGE, HEADER, SEX

from sepl.data.cohort.cohort import read_cohort


def test_a_task_of_ones_own_has_its_unit_and_range(write):
    toml = (
        HEADER
        + '[tasks.iop]\ncolumn = "iop"\nkind = "regression"\nunit = "mmHg"\nlow = 1\nhigh = 80\nlabel = "Pressure"\n'
    )

    task = read_cohort(write(toml, "image,patient,eye,iop\na,1,L,15\n")).tasks["iop"]

    assert (task.unit, task.low, task.high, task.label) == ("mmHg", 1.0, 80.0, "Pressure")


def test_reachable_skill_is_carried(write):
    toml = HEADER + AGE + "reachable_skill = 0.0\n" + SEX + "reachable_skill = 0.8\n"

    assert read_cohort(write(toml)).reachable_skill == {"age": 0.0, "sex": 0.8}


def test_a_rule_makes_a_task_whose_inputs_are_never_its_priors(write):
    toml = (
        HEADER
        + SEX
        + AGE
        + '[tasks.sbp]\ncolumn = "sbp"\n[inputs.drug]\ncolumn = "drug"\nkind = "binary"\n'
        + '[tasks.hypertension]\nwhen = "sbp >= 140 or drug == 1"\n'
        + '[tasks.worse]\nwhen = "hypertension == 1 and age > 60"\n'
    )
    table = (
        "image,patient,eye,age,sex,sbp,drug\na,1,L,70,M,150,0\nb,2,L,50,M,120,yes\nc,3,L,70,F,120,no\nd,4,L,70,F,,no\n"
    )

    cohort = read_cohort(write(toml, table))

    assert cohort.tasks.names == ("sex", "age", "sbp", "hypertension", "worse")
    np.testing.assert_array_equal(cohort.labels_NT[:, 3], [1, 1, 0, np.nan])
    np.testing.assert_array_equal(cohort.labels_NT[:, 4], [1, 0, 0, np.nan])
    assert cohort.tasks["hypertension"].derived_from == ("sbp",)
    assert cohort.tasks["worse"].derived_from == ("hypertension", "sbp", "age")


def test_a_rule_may_be_written_in_short(write):
    toml = HEADER.replace("[columns]", '[tasks]\nold = "age >= 60"\nage = { column = "age" }\n[columns]')

    cohort = read_cohort(write(toml))

    np.testing.assert_array_equal(cohort.labels_NT, [[1, 61], [1, 61], [np.nan, np.nan]])


def test_a_rule_compares_the_places_of_grades(write):
    grade = '[tasks.dr]\ncolumn = "dr"\nkind = "ordinal"\nlevels = ["none", "mild", "severe"]\n'
    toml = HEADER + grade + '[tasks.referable]\nwhen = "dr >= 1"\n'

    cohort = read_cohort(write(toml, "image,patient,eye,dr\na,1,L,none\nb,2,L,severe\nc,3,L,\n"))

    np.testing.assert_array_equal(cohort.labels_NT[:, 1], [0, 1, np.nan])
    assert cohort.tasks["referable"].derived_from == ("dr",)
