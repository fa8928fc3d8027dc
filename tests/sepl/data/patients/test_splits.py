import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepl.data.patients.splits import COHORT_FRACTIONS, COHORT_SPLITS, SplitOptions, assign_cohort_splits
from sepl.errors import CohortError, ConfigError
from sepl.tasks import BUILT_IN_TASKS, Task, TaskTable

patients = st.lists(st.text(min_size=1), min_size=1, max_size=50)
seeds = st.integers(0, 2**31)

TASKS = TaskTable.of(
    [BUILT_IN_TASKS["age"], Task(name="diabetes", kind="binary", unit="probability", label="Diabetes", low=0, high=1)]
)


@st.composite
def cohorts(draw, most=60):
    """Keywords of assign_cohort_splits without the seed: photographs, links, sites, labels, options, sealed ones."""
    num_photographs = draw(st.integers(1, most))
    size = {"min_size": num_photographs, "max_size": num_photographs}
    ids = draw(st.lists(st.integers(0, most).map("P{}".format), **size))
    sites = draw(st.lists(st.sampled_from(["Basel", "Bern", ""]), **size))
    labels = draw(st.lists(st.sampled_from([0.0, 1.0, np.nan]), **size))
    index = st.integers(0, num_photographs - 1)
    strata = ["diabetes", *(["site"] if any(sites) else [])]
    return {
        "patients": ids,
        "links": draw(st.lists(st.tuples(index, index), max_size=8)),
        "sites": sites,
        "cameras": [""] * num_photographs,
        "labels_NT": np.stack([np.full(num_photographs, 50.0), labels], axis=1),
        "tasks": TASKS,
        "options": SplitOptions(
            stratify_by=tuple(draw(st.lists(st.sampled_from(strata), unique=True))),
            external_test_sites=("Bern",) if "Bern" in sites and draw(st.booleans()) else (),
        ),
        "sealed": draw(st.sets(st.sampled_from([*ids, "elsewhere"]))),
    }


def who_is_tested(cohort, seed=0):
    splits = assign_cohort_splits(**cohort, seed=seed)
    return {patient for patient, split in zip(cohort["patients"], splits, strict=True) if split == "test"}


@given(patients, seeds)
def test_a_patient_never_straddles(ids, seed):
    splits = assign_cohort_splits([*ids, *reversed(ids)], seed=seed)

    assert list(splits[: len(ids)]) == list(splits[len(ids) :][::-1])


@given(cohorts(), seeds)
def test_neither_patients_nor_linked_photographs_straddle_whatever_the_options(cohort, seed):
    splits = assign_cohort_splits(**cohort, seed=seed)

    by_patient = {}
    for patient, split in zip(cohort["patients"], splits, strict=True):
        assert by_patient.setdefault(patient, split) == split
    assert all(splits[first] == splits[second] for first, second in cohort["links"])
    assert set(splits) <= set(COHORT_SPLITS)


@given(cohorts(), seeds, seeds)
def test_who_is_tested_does_not_depend_on_the_seed(cohort, first, second):
    assert who_is_tested(cohort, first) == who_is_tested(cohort, second)


@given(cohorts(), cohorts(), seeds, seeds)
def test_a_sealed_patient_stays_sealed_when_the_cohort_grows_and_its_options_change(before, added, seed, another):
    """As `prepare` does it: whoever was tested is handed over as sealed to the next run."""
    sealed = who_is_tested(before, seed) | set(before["sealed"])
    shift = len(added["patients"])
    grown = {
        **added,
        "patients": [*added["patients"], *before["patients"]],
        "links": [*added["links"], *((first + shift, second + shift) for first, second in before["links"])],
        "sites": [*added["sites"], *before["sites"]],
        "cameras": [*added["cameras"], *before["cameras"]],
        "labels_NT": np.concatenate([added["labels_NT"], before["labels_NT"]]),
        "sealed": sealed,
    }

    assert sealed & set(before["patients"]) <= who_is_tested(grown, another)


@given(cohorts())
def test_a_link_never_unseals_and_takes_its_whole_group_along(cohort):
    plain = {**cohort, "options": SplitOptions(), "links": ()}
    linked = {**plain, "links": cohort["links"]}

    before, after = who_is_tested(plain), who_is_tested(linked)

    assert before <= after
    ids = cohort["patients"]
    for first, second in cohort["links"]:
        assert (ids[first] in after) == (ids[second] in after)
    if not any(ids[index] in before for link in cohort["links"] for index in link):
        assert before == after


@given(cohorts(), seeds, st.randoms())
def test_the_order_of_the_table_decides_nothing(cohort, seed, random):
    order = list(range(len(cohort["patients"])))
    random.shuffle(order)
    place = {old: new for new, old in enumerate(order)}
    moved = {
        **cohort,
        "patients": [cohort["patients"][index] for index in order],
        "links": [(place[second], place[first]) for first, second in cohort["links"]],
        "sites": [cohort["sites"][index] for index in order],
        "labels_NT": cohort["labels_NT"][order],
    }

    straight = assign_cohort_splits(**cohort, seed=seed)
    assert list(assign_cohort_splits(**moved, seed=seed)) == list(straight[order])


@given(cohorts(), seeds)
def test_external_sites_are_wholly_who_is_tested(cohort, seed):
    splits = assign_cohort_splits(**cohort, seed=seed)

    external = cohort["options"].external_test_sites
    assert all(split == "test" for split, site in zip(splits, cohort["sites"], strict=True) if site in external)


@given(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=300), seeds)
def test_a_stratified_split_has_its_share_of_every_stratum(sites, seed):
    ids = [str(number) for number in range(len(sites))]

    splits = assign_cohort_splits(ids, seed=seed, options=SplitOptions(stratify_by=("site",)), sites=sites)

    for name, share in COHORT_FRACTIONS.items():
        assert abs((splits == name).sum() - share * len(ids)) <= 3
        for site in set(sites):
            members = np.array(sites) == site
            assert abs((splits[members] == name).sum() - share * members.sum()) <= 3


def test_strata_of_one_patient_give_their_shares_together():
    ids = [str(number) for number in range(400)]

    splits = assign_cohort_splits(ids, seed=0, options=SplitOptions(stratify_by=("camera",)), cameras=ids)

    assert [int((splits == name).sum()) for name in COHORT_SPLITS] == pytest.approx([260, 40, 20, 80], abs=2)


def test_strata_cross_sites_with_outcomes():
    rng = np.random.default_rng(0)
    sites, ill = rng.choice(["a", "b"], 2000, p=[0.95, 0.05]), rng.random(2000) < 0.04
    ids = [f"{number}" for number in range(2000)]
    options = SplitOptions(stratify_by=("site", "diabetes"))

    splits = assign_cohort_splits(
        ids,
        seed=3,
        options=options,
        sites=sites.tolist(),
        labels_NT=np.stack([np.ones(2000), ill.astype(float)], axis=1),
        tasks=TASKS,
    )

    for site in ("a", "b"):
        for outcome in (True, False):
            members = (sites == site) & (ill == outcome)
            assert (splits[members] == "test").sum() == pytest.approx(0.2 * members.sum(), abs=1.5)


@pytest.mark.parametrize(
    "grade",
    [
        Task(name="grade", kind="ordinal", unit="level", label="Grade", levels=("none", "mild", "severe")),
        Task(name="grade", kind="categorical", unit="level", label="Class", levels=("a", "b", "c")),
    ],
    ids=lambda task: task.kind,
)
def test_every_level_gives_its_share(grade):
    levels = np.random.default_rng(0).choice([0.0, 1.0, 2.0, np.nan], 2000, p=[0.8, 0.1, 0.02, 0.08])
    eyes = np.repeat(levels, 2)
    if grade.kind == "ordinal":
        eyes[1::2] = np.where(np.isnan(levels), np.nan, 0.0)  # the worse eye says what the patient has

    splits = assign_cohort_splits(
        [str(number) for number in range(2000) for _ in range(2)],
        seed=0,
        options=SplitOptions(stratify_by=("grade",)),
        labels_NT=eyes[:, None],
        tasks=TaskTable.of([grade]),
    )[::2]

    for level in (0, 1, 2):
        members = levels == level
        assert (splits[members] == "test").sum() == pytest.approx(0.2 * members.sum(), abs=1.5)
        assert (splits[members] == "calibration").sum() == pytest.approx(0.05 * members.sum(), abs=2.5)


def test_those_already_sealed_count_towards_the_share_of_their_stratum():
    ids = [str(number) for number in range(100)]
    sealed = {str(number) for number in range(80, 95)}
    options = SplitOptions(stratify_by=("site",))

    splits = assign_cohort_splits(ids, seed=0, options=options, sites=["one"] * 100, sealed=sealed)

    assert (splits == "test").sum() == 20
    assert all(splits[int(patient)] == "test" for patient in sealed)


def test_a_patient_is_of_the_site_of_most_photographs():
    ids = [str(number) for number in range(300) for _ in range(3)]
    mixed = ["a", "a", "b"] * 300

    options = SplitOptions(stratify_by=("site",))
    assert list(assign_cohort_splits(ids, seed=0, options=options, sites=mixed)) == list(
        assign_cohort_splits(ids, seed=0, options=options, sites=["a"] * 900)
    )


@given(patients, patients, seeds)
def test_added_patients_move_nobody(ids, added, seed):
    assert list(assign_cohort_splits(ids, seed=seed)) == list(
        assign_cohort_splits([*added, *ids], seed=seed)[len(added) :]
    )


@pytest.mark.parametrize("seed", range(3))
def test_the_shares_are_those_promised(seed):
    splits = assign_cohort_splits([str(number) for number in range(20_000)], seed=seed)

    assert sum(COHORT_FRACTIONS.values()) == pytest.approx(1)
    for name, share in COHORT_FRACTIONS.items():
        assert (splits == name).mean() == pytest.approx(share, abs=0.015)


@pytest.mark.parametrize("num_patients", [60, 600, 800])
@pytest.mark.parametrize("seed", [0, 1])
def test_the_patients_of_a_simulated_cohort_are_well_split(num_patients, seed):
    splits = assign_cohort_splits([f"P{number:06d}" for number in range(num_patients)], seed=seed)

    for name, share in COHORT_FRACTIONS.items():
        assert (splits == name).mean() == pytest.approx(share, abs=0.07 if num_patients == 60 else 0.03)


def test_another_seed_deals_those_anew_who_are_not_who_is_tested():
    ids = [str(number) for number in range(2000)]
    first, second = assign_cohort_splits(ids, seed=0), assign_cohort_splits(ids, seed=1)

    rest = first != "test"
    assert (first[rest] == second[rest]).mean() == pytest.approx(0.68, abs=0.04)  # (.65² + .10² + .05²) / .80²


def test_the_deal_is_the_same_in_every_version():
    ids = [*(str(number) for number in range(15)), "müller"]

    assert _initials(assign_cohort_splits(ids, seed=0)) == "vcTtTtvttttTtttt"
    assert _initials(assign_cohort_splits(ids, seed=5)) == "ttTtTttvtvtTttvt"


def _initials(splits):
    """The first letter of each, T for test."""
    return "".join("T" if name == "test" else name[0] for name in splits)


def test_no_patients_give_no_splits():
    assert len(assign_cohort_splits([], seed=0)) == 0
    assert assign_cohort_splits([], seed=0).dtype.kind == np.dtype(str).kind


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stratify_by": ["hospital"]}, r"stratify_by .* \(site, diabetes\), was 'hospital'"),
        ({"stratify_by": ["camera"]}, r"stratify_by .* \(site, diabetes\), was 'camera'"),
        ({"stratify_by": ["age"]}, r"stratify_by .* \(site, diabetes\), was 'age'"),
        ({"external_test_sites": ["Basle"]}, r"external_test_sites: no photograph is from Basle \(Basel, Bern\)"),
    ],
)
def test_an_option_that_the_cohort_cannot_meet_names_the_choices(options, message):
    with pytest.raises(CohortError, match=message):
        assign_cohort_splits(
            ["1", "2"],
            seed=0,
            options=SplitOptions.parse(options, "cohort.toml"),
            sites=["Basel", "Bern"],
            cameras=["", ""],
            labels_NT=np.ones((2, 2)),
            tasks=TASKS,
        )


def test_an_external_site_of_a_cohort_without_sites_is_refused():
    with pytest.raises(CohortError, match="the cohort names no site"):
        assign_cohort_splits(["1"], seed=0, options=SplitOptions(external_test_sites=("x",)))


def test_a_name_given_twice_is_refused():
    with pytest.raises(ConfigError, match="stratify_by should name each once, had site twice"):
        SplitOptions.parse({"stratify_by": ["site", "site"]}, "cohort.toml")


def test_a_single_name_needs_no_list():
    assert SplitOptions.parse({"stratify_by": "site"}, "cohort.toml") == SplitOptions(stratify_by=("site",))
