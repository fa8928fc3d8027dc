import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from sepl.errors import ConfigError
from sepl.tasks import (
    BUILT_IN_TASKS,
    CARDIOMETABOLIC_TASKS,
    TASK_SPLITS,
    Task,
    TaskSplit,
    TaskTable,
    parse_task_groups,
)

ALL = TaskTable.of(CARDIOMETABOLIC_TASKS)
tables = st.lists(st.sampled_from(CARDIOMETABOLIC_TASKS), min_size=1, unique=True).map(TaskTable.of)


@given(tables, st.data())
def test_priors_and_targets_partition_the_tasks(tasks, data):
    priors = data.draw(st.sets(st.sampled_from(tasks.names), max_size=len(tasks) - 1))

    split = TaskSplit.of(list(priors), tasks)

    assert set(split.priors) == priors
    assert not set(split.priors) & set(split.targets)
    assert set(split.priors) | set(split.targets) == set(tasks.names)
    for part in (split.priors, split.targets):
        assert list(part) == [name for name in tasks.names if name in part]


@given(tables, st.sampled_from(sorted(TASK_SPLITS)))
def test_a_named_split_takes_the_priors_that_are_there(tasks, name):
    wanted = set(TASK_SPLITS[name]) & set(tasks.names)
    if wanted == set(tasks.names):
        with pytest.raises(ConfigError, match="should leave a task to predict"):
            TaskSplit.parse(name, tasks)
        return

    assert set(TaskSplit.parse(name, tasks).priors) == wanted


@given(st.permutations(["age", "sex", "bmi"]))
def test_the_order_in_which_priors_are_written_does_not_matter(names):
    assert TaskSplit.parse("+".join(names), ALL) == TaskSplit.parse("sex+age+bmi", ALL)


def test_the_papers_split_is_six_and_nine():
    split = TaskSplit.parse("anthropometric", ALL)

    assert (len(split.priors), len(split.targets)) == (6, 9)
    assert split.role("age") == "prior"
    assert split.role("hba1c") == "target"


@pytest.mark.parametrize("text", ["", "age+", "age+colour", "demografic"])
def test_an_unknown_prior_is_named_beside_the_choices(text):
    with pytest.raises(ConfigError, match=r"task_split should be one of anthropometric.*uric_acid; was"):
        TaskSplit.parse(text, ALL)


def test_a_split_of_priors_alone_is_refused():
    with pytest.raises(ConfigError, match="should leave a task to predict as target, had all of sex, age"):
        TaskSplit.parse("age+sex", TaskTable.of([BUILT_IN_TASKS["sex"], BUILT_IN_TASKS["age"]]))


@given(tables)
def test_a_table_survives_json(tasks):
    assert TaskTable.model_validate_json(tasks.model_dump_json()) == tasks


@given(tables)
def test_index_and_names_agree(tasks):
    assert [tasks.index(name) for name in tasks.names] == list(range(len(tasks)))
    assert [tasks[name] for name in tasks.names] == list(tasks)


def test_an_unknown_task_is_refused_by_name():
    with pytest.raises(ConfigError, match=r"task should be one of sex, age, .*, was 'colour'"):
        ALL.index("colour")


def test_every_built_in_regression_task_has_unit_and_range():
    for task in CARDIOMETABOLIC_TASKS:
        assert task.unit
        assert task.low is not None
        assert task.high is not None


def test_names_are_unique_in_a_table():
    with pytest.raises(ValidationError, match="found twice: age"):
        TaskTable.of([BUILT_IN_TASKS["age"], BUILT_IN_TASKS["age"]])


def test_an_empty_table_is_refused():
    with pytest.raises(ValidationError, match="at least one task"):
        TaskTable.of([])


@pytest.mark.parametrize("name", ["a+b", "a b", "", "1st"])
def test_a_name_that_could_not_be_joined_is_refused(name):
    with pytest.raises(ValidationError, match="plain identifier"):
        Task(name=name, kind="binary", unit="probability", label="x")


@pytest.mark.parametrize(("low", "high"), [(2, 1), (1, 1)])
def test_a_range_that_does_not_rise_is_refused(low, high):
    with pytest.raises(ValidationError, match="should rise"):
        Task(name="x", kind="regression", unit="y", label="x", low=low, high=high)


def derived(name, *sources):
    return Task(name=name, kind="binary", unit="probability", label=name, derived_from=sources)


HYPERTENSION = derived("hypertension", "sbp", "dbp")
OBESITY = derived("obesity", "bmi")
WITH_DERIVED = TaskTable.of(
    [*CARDIOMETABOLIC_TASKS, HYPERTENSION, OBESITY, derived("both", "hypertension", "sbp", "dbp")]
)


@given(tables, st.data())
def test_no_target_is_derived_from_a_prior(tasks, data):
    sources = st.lists(st.sampled_from(tasks.names), max_size=3, unique=True)
    table = TaskTable.of([*tasks, *(derived(name, *data.draw(sources)) for name in ("one", "two"))])
    name = data.draw(st.sampled_from([*TASK_SPLITS, "+".join(data.draw(st.lists(sources_of(table), min_size=1)))]))

    try:
        split = TaskSplit.parse(name, table)
    except ConfigError:
        return

    assert not {prior for target in split.targets for prior in table[target].derived_from} & set(split.priors)


def sources_of(table):
    return st.sampled_from(table.names)


def test_a_named_split_drops_what_a_target_is_derived_from():
    split = TaskSplit.parse("anthropometric_pressures", WITH_DERIVED)

    assert split.priors == ("sex", "age", "height", "weight", "waist")
    assert {"sbp", "dbp", "bmi", "hypertension"} <= set(split.targets)


def test_what_is_dropped_drops_what_it_is_derived_from():
    tasks = TaskTable.of(
        [BUILT_IN_TASKS["age"], BUILT_IN_TASKS["height"], BUILT_IN_TASKS["weight"], derived("x", "bmi")]
    )
    bmi = BUILT_IN_TASKS["bmi"].model_copy(update={"derived_from": ("weight", "height")})

    split = TaskSplit.parse("anthropometric", TaskTable.of([*tasks, bmi]))

    assert split.priors == ("age",)


def test_a_prior_chosen_by_hand_that_hands_over_the_answer_is_refused():
    with pytest.raises(ConfigError, match=r"should not make sbp a prior: hypertension is derived from it"):
        TaskSplit.parse("age+sbp", WITH_DERIVED)


def test_a_derived_task_may_be_a_prior_beside_its_inputs():
    assert "hypertension" in TaskSplit.parse("hypertension+both+sbp+dbp", WITH_DERIVED).priors


TABLE = TaskTable.of(CARDIOMETABOLIC_TASKS[:5])


@pytest.mark.parametrize(
    ("text", "groups"),
    [
        ("each", (("sex",), ("age",), ("height",), ("weight",), ("bmi",))),
        ("age+sex/bmi", (("sex", "age"), ("bmi",), ("height", "weight"))),
        ("age/sex+height+weight+bmi", (("age",), ("sex", "height", "weight", "bmi"))),
    ],
)
def test_task_groups_hold_every_task_once(text: str, groups: tuple[tuple[str, ...], ...]) -> None:
    assert parse_task_groups(text, TABLE) == groups


def test_a_named_grouping_keeps_to_the_tasks_of_the_dataset() -> None:
    tasks = TaskTable.of([BUILT_IN_TASKS[name] for name in ("age", "uric_acid", "sbp", "dbp")])

    assert parse_task_groups("physiological", tasks) == (("age",), ("sbp", "dbp"), ("uric_acid",))


@pytest.mark.parametrize(
    ("text", "problem"),
    [("age/pulse", "not a task: pulse"), ("age/sex+age", "named twice"), ("sex+age+height+weight+bmi", "two groups")],
)
def test_groups_that_cannot_be_are_refused(text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        parse_task_groups(text, TABLE)


@pytest.mark.parametrize("level", ["a|b", "", " "])
def test_a_level_has_a_name_that_can_be_joined_to_others(level):
    with pytest.raises(ValidationError, match="should be names without"):
        Task(name="dr", kind="ordinal", unit="level", label="DR", levels=("none", level))


@pytest.mark.parametrize("kind", ["ordinal", "categorical"])
def test_a_graded_task_survives_json_and_any_other_is_written_as_before_there_were_levels(kind) -> None:
    grade = Task(name="dr", kind=kind, unit="level", label="DR", levels=("none", "mild"))
    tasks = TaskTable.of([BUILT_IN_TASKS["age"], grade])

    assert TaskTable.model_validate_json(tasks.model_dump_json()) == tasks
    written = tasks.model_dump(mode="json")
    assert list(written[0]) == ["name", "kind", "unit", "label", "low", "high", "derived_from"]
    assert (written[1]["levels"], written[1]["patient"]) == (["none", "mild"], "mean")
