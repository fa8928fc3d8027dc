import numpy as np
from cohort_files import read_files

from sepl.data.preparation.splits import unseen_levels


def test_a_level_that_no_train_patient_has_is_noticed(tmp_path):
    toml = """
name = "c"
table = "t.csv"
[tasks.dr]
column = "dr"
kind = "ordinal"
levels = ["none", "mild", "severe"]
"""
    rows = "a,1,none\nb,2,mild\nc,3,severe\nd,4,\n"
    cohort = read_files(tmp_path, cohort_toml=toml, t_csv="image,patient,dr\n" + rows)

    found = unseen_levels(cohort, np.array([0, 1, 3]))

    assert [(each.kind, each.column) for each in found] == [("level without train patients", "dr")]
    assert "'severe'" in found[0].detail
    assert unseen_levels(cohort, np.arange(4)) == ()
