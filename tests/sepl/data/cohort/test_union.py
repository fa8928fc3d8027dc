"""Several cohorts as one: tasks, labels, persons, sites, and a dataset that is prepared of them."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from builders import build_cohort
from hypothesis import given, settings
from hypothesis import strategies as st

from sepl.data.cohort.cohort import Cohort, read_cohort
from sepl.data.cohort.union import join_cohorts
from sepl.data.dataset.dataset import PreparedDataset
from sepl.data.patients.splits import assign_cohort_splits
from sepl.data.preparation.prepare import prepare
from sepl.errors import CohortError

Cohorts = Callable[..., Cohort]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cohorts")
    build_cohort(folder / "north", num_patients=8, seed=0)
    build_cohort(folder / "south", num_patients=12, seed=1)
    return folder


@pytest.fixture
def cohort(built: Path, tmp_path: Path) -> Cohorts:
    """The cohort of a folder, its cohort.toml changed, read from another file beside it."""

    def read(name: str, *changes: tuple[str, str], end: str = "") -> Cohort:
        text = (built / name / "cohort.toml").read_text().replace('name = "drawn"', f'name = "{name}"')
        for before, after in changes:
            assert before in text
            text = text.replace(before, after)
        path = tmp_path / f"{name}.toml"
        text = text.replace('"labels.csv"', f'"{built / name / "labels.csv"}"')
        path.write_text(text.replace('images = "images"', f'images = "{built / name / "images"}"') + end)
        return read_cohort(path)

    return read


def test_one_cohort_is_itself(cohort: Cohorts) -> None:
    north = cohort("north")

    assert join_cohorts([north]) is north
    assert join_cohorts([north], "other").name == "other"


def test_tasks_are_united_and_what_a_cohort_has_not_is_absent(cohort: Cohorts) -> None:
    north = cohort("north", ('[tasks.hba1c]\ncolumn = "hba1c"\n', ""))
    south = cohort("south", ('[tasks.sbp]\ncolumn = "sbp"\nreachable_skill = 0.9\n', ""))

    both = join_cohorts([north, south])

    assert both.tasks.names == ("sex", "age", "sbp", "diabetes", "hba1c")
    assert both.name == "north+south"
    labels = {name: both.labels_NT[:, both.tasks.index(name)] for name in both.tasks.names}
    assert np.isnan(labels["hba1c"][:16]).all()
    assert np.isnan(labels["sbp"][16:]).all()
    np.testing.assert_array_equal(labels["sbp"][:16], north.labels_NT[:, north.tasks.index("sbp")])
    np.testing.assert_array_equal(labels["age"][16:], south.labels_NT[:, south.tasks.index("age")])
    assert both.reachable_skill == {"sbp": 0.9}


def test_a_column_in_another_unit_is_joined_in_the_tasks_own(cohort: Cohorts) -> None:
    north = cohort("north")
    south = cohort("south", ('column = "age"\n', 'column = "age"\nunit = "months"\ntrust_unit = true\n'))

    both = join_cohorts([north, south])

    years_N = both.labels_NT[:, both.tasks.index("age")]
    written = cohort("south").labels_NT[:, south.tasks.index("age")]
    assert both.tasks["age"].unit == "y"
    np.testing.assert_allclose(years_N[16:], written / 12)


def test_equal_ids_are_two_persons_unless_their_space_is_one(cohort: Cohorts) -> None:
    apart = join_cohorts([cohort("north"), cohort("south")])
    ids = '\n[ids]\nspace = "registry"\n'
    together = join_cohorts([cohort("north", end=ids), cohort("south", end=ids)])

    assert len(set(apart.patients)) == 8 + 12
    assert len(set(together.patients)) == 12


@settings(max_examples=40)
@given(st.lists(st.integers(0, 99), min_size=1, max_size=40), st.lists(st.integers(0, 99), min_size=1, max_size=40))
def test_who_is_tested_in_their_own_cohort_is_tested_in_the_union(north: list[int], south: list[int]) -> None:
    keys = [f"P{number}" for number in (*north, *south)]
    persons = [f"{name}:P{number}" for name, part in (("n", north), ("s", south)) for number in part]

    joined = assign_cohort_splits(persons, seed=3, keys=keys)

    alone = [*assign_cohort_splits(keys[: len(north)], seed=3), *assign_cohort_splits(keys[len(north) :], seed=3)]
    assert joined.tolist() == alone


def test_a_site_is_its_cohort_and_external_sites_are_read_within_it(cohort: Cohorts) -> None:
    north = cohort(
        "north", ('eye = "eye"', 'eye = "eye"\nsite = "eye"'), end='\n[split]\nexternal_test_sites = "left"\n'
    )
    south = cohort("south")

    both = join_cohorts([north, south])

    assert set(both.sites) == {"north/left", "north/right", "south"}
    assert both.split.external_test_sites == ("north/left",)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("[quality]", "[photographs]\nmirror_left = true\n[quality]"), "mirror_left should be as in"),
        (("sharpness = {}", "sharpness = { low = 0.1 }"), "quality should be as in"),
        (('kind = "binary"', 'kind = "regression"\nunit = "u"'), "kind should be binary, as in"),
        (('name = "south"', 'name = "north"'), "should have a name each; twice: north"),
    ],
)
def test_what_cannot_be_one_dataset_is_told_in_one_line(cohort: Cohorts, change: tuple[str, str], message: str) -> None:
    with pytest.raises(CohortError, match=message) as told:
        join_cohorts([cohort("north"), cohort("south", change)])
    assert "\n" not in str(told.value)


def test_a_union_is_prepared_as_one_dataset(cohort: Cohorts, tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    north, south = cohort("north"), cohort("south", ('[tasks.hba1c]\ncolumn = "hba1c"\n', ""))

    prepare(join_cohorts([north, south]), tmp_path / "out", 32, num_workers=1, keep_patient_ids=True)

    dataset = PreparedDataset.open(tmp_path / "out")
    dataset.verify()
    rows = [dataset.photographs(name) for name in ("train", "validation", "calibration", "test")]
    assert sum(part.num_photographs for part in rows) == 2 * (8 + 12)
    hba1c = dataset.tasks.index("hba1c")
    for part in rows:
        of_south = np.array([str(patient).startswith("south:") for patient in part.patients])
        assert np.isnan(part.labels_NT[of_south, hba1c]).all()
    alone = join_cohorts([north])
    prepare(alone, tmp_path / "alone", 32, num_workers=1, keep_patient_ids=True)
    own = set(PreparedDataset.open(tmp_path / "alone").photographs("test").patients)
    assert {f"north:{patient}" for patient in own} <= set(dataset.photographs("test").patients)


def test_a_refused_photograph_says_whose_it_is(built: Path, cohort: Cohorts, tmp_path: Path) -> None:
    south = cohort("south")
    broken = Path(south.images_folder.path) / south.images[3]
    whole = broken.read_bytes()
    broken.write_bytes(b"no picture")
    try:
        prepare(join_cohorts([cohort("north"), south]), tmp_path / "out", 32, num_workers=1)
    finally:
        broken.write_bytes(whole)

    with (tmp_path / "out" / "rejected.csv").open(encoding="utf-8", newline="") as stream:
        assert [(row["row"], row["cohort"]) for row in csv.DictReader(stream)] == [(str(south.rows[3]), "south")]


STAGE = (
    '[tasks.stage]\ncolumn = "diabetes"\nkind = "ordinal"\nlevels = ["none", "some"]\n'
    "cells = {{ none = 0, some = {} }}\n"
)


def test_grades_are_joined_where_their_levels_are_the_same(cohort: Cohorts) -> None:
    both = join_cohorts([cohort("north", end=STAGE.format(1)), cohort("south", end=STAGE.format("[1, 2]"))])

    column = both.labels_NT[:, both.tasks.index("stage")]
    np.testing.assert_array_equal(column, both.labels_NT[:, both.tasks.index("diabetes")])


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (('"none", "some"', '"some", "none"'), "levels should be none, some, as in .*, were some, none"),
        (('"none", "some"', '"none", "some", "much"'), "levels should be none, some, as in .*, were none, some, much"),
        (("cells", 'patient = "worst"\ncells'), "patient should be mean, as in .*, was worst"),
    ],
)
def test_one_task_has_one_set_of_levels(cohort: Cohorts, change: tuple[str, str], problem: str) -> None:
    north, south = cohort("north", end=STAGE.format(1)), cohort("south", end=STAGE.format(1).replace(*change))

    with pytest.raises(CohortError, match=rf"south.toml, \[tasks.stage\]: {problem}"):
        join_cohorts([north, south])
