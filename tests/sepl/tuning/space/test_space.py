"""Search spaces: what is refused at loading, and what a dataset makes of the task splits."""

from pathlib import Path

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepl.config import TrialConfig
from sepl.errors import ConfigError
from sepl.tasks import BUILT_IN_TASKS, CARDIOMETABOLIC_TASKS, TASK_SPLITS, Task, TaskSplit, TaskTable
from sepl.tuning.space.space import load_space
from sepl.tuning.space.task_splits import canonical_splits

SPACE = """
NUM_EPOCHS = 3
FIRST_POINTS = [{"num_experts": 2, "task_split": "demographic", "propagation": "detached"}]


def space(trial):
    trial.suggest_int("num_experts", 1, 8)
    if trial.suggest_categorical("task_split", ["anthropometric", "demographic", "none"]) == "none":
        return {"propagation": "none"}
    trial.suggest_categorical("propagation", ["predicted", "detached"])
    return {"batch_size": 8}
"""

DISEASE = Task(name="disease", kind="binary", unit="probability", label="Disease")
ALL_FACTORS = TaskTable.of(CARDIOMETABOLIC_TASKS)
AGE_SEX_DISEASE = TaskTable.of([BUILT_IN_TASKS["sex"], BUILT_IN_TASKS["age"], DISEASE])


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str) -> str:
        path = tmp_path / "my_space.py"
        path.write_text(text)
        return str(path)

    return write


def test_a_space_is_loaded_from_a_file(write) -> None:
    space = load_space(write(SPACE))

    assert space.num_epochs == 3
    assert space.first_points[0]["num_experts"] == 2


def test_a_space_is_loaded_from_a_module() -> None:
    assert load_space("search_spaces.smoke").first_points == load_space("search_spaces/smoke.py").first_points


def test_the_largest_number_that_a_trial_may_have_is_a_range_s_end_a_constant_or_what_is_usual(write) -> None:
    space = load_space(write(SPACE.replace('"batch_size": 8', '"batch_size": 8, "warmup_epochs": 2.5')))

    assert space.most("num_experts", 1) == 8
    assert space.most("warmup_epochs", 1.0) == 2.5
    assert space.most("dropout", 0.1) == 0.1


def test_constants_and_epochs_reach_the_config(write) -> None:
    space = load_space(write(SPACE))
    trial = optuna.trial.FixedTrial(space.first_points[0])

    constants = space.propose(trial)

    config = TrialConfig.from_params({**trial.params, **constants})
    assert config.training.batch_size == 8
    assert config.training.num_epochs == 3
    assert config.model.propagation == "detached"


@pytest.mark.parametrize("missing", ["space", "FIRST_POINTS", "NUM_EPOCHS"])
def test_a_missing_attribute_is_named(write, missing: str) -> None:
    path = write(SPACE.replace(missing, f"not_{missing}"))

    with pytest.raises(ConfigError, match=f"{missing} is missing"):
        load_space(path)


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ('"num_experts": 2,', '"num_expert": 2,', "first point 1 should set num_experts"),
        ('"num_experts": 2,', '"num_experts": 2, "drop_path": 0.1,', "first point 1 sets drop_path"),
        ('"num_experts": 2,', '"num_experts": 99,', "num_experts should be"),
        ('"detached"}]', '"sideways"}]', "propagation"),
        ('"batch_size": 8', '"batch_sice": 8', "batch_sice"),
        ('"propagation": "none"}', '"propagatoin": "none"}', "propagatoin"),
        (
            '"propagation": "none"}',
            '"propagation": "oracle"}',
            "propagation should be .* in what is published",
        ),
        ("NUM_EPOCHS = 3", "NUM_EPOCHS = 0", "NUM_EPOCHS should be"),
        ('"num_experts", 1, 8)', '"num_experts", 8, 1)', "cannot ask for num_experts: .*low=8.*high=1"),
        ('"num_experts", 1, 8)', '"num_experts", 0, 8, log=True)', "cannot ask for num_experts: .*low=0"),
        ('["predicted", "detached"]', "[]", "cannot ask for propagation: .*one or more"),
        (
            '["predicted", "detached"]',
            '["predicted", "detached"] if trial.params["num_experts"] > 4 else ["detached", "predicted", "none"]',
            r"should ask for propagation alike in every trial, asks for one of .* a name of its own",
        ),
        ('"batch_size": 8', '"batch_size": {}["a"]', r"my_space.py.* raised KeyError at line \d+: 'a'"),
        ('return {"batch_size": 8}', 'return ["batch_size"]', r"should return a dictionary .* returned a list"),
        ('"batch_size": 8', '"num_experts": 8', "either ask for num_experts or return a constant, does both"),
        (
            '"num_experts", 1, 8)',
            '"num_experts", 1, 8); trial.suggest_int("num_epochs", 1, 9)',
            "not ask for num_epochs",
        ),
        (
            "FIRST_POINTS = [{",
            'FIRST_POINTS = {"num_experts": 2}; _ = [{',
            "FIRST_POINTS should be a list of dictionaries, was a dict",
        ),
        ('"batch_size": 8', '"num_epochs": 8', "num_epochs as NUM_EPOCHS says, 3, was 8"),
        ("FIRST_POINTS = [{", "FIRST_POINTS = [3, {", "first point 1 should be a dictionary, was a int"),
        ('"batch_size": 8', '"backbone": "convnext_tinny"', "was 'convnext_tinny'; near it: convnext_tiny"),
        ('"batch_size": 8', '"backbone": "convnext_tiny.no_tag"', "convnext_tiny: the tag should be one of"),
        ("NUM_EPOCHS = 3", "NUM_EPOCHS = 3; import no_such_module", "does not load: ModuleNotFoundError"),
    ],
)
def test_a_mistake_is_found_at_loading(write, before: str, after: str, message: str) -> None:
    assert before in SPACE
    path = write(SPACE.replace(before, after, 1))

    with pytest.raises(ConfigError, match=message) as refusal:
        load_space(path)

    assert "my_space.py" in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_misspelt_choice_of_backbone_is_found_wherever_it_is_offered(write) -> None:
    offered = 'trial.suggest_categorical("backbone", ["test_vit", "test_resnett"])'
    path = write(
        SPACE.replace("FIRST_POINTS = [{", "FIRST_POINTS = []; _ = [{").replace(
            "    trial.", f"    {offered}; trial.", 1
        )
    )

    with pytest.raises(ConfigError, match=r"my_space\.py: backbone should be a timm model, was 'test_resnett'"):
        load_space(path)


@pytest.mark.parametrize("name", ["no/such/file.py", "no_such_module"])
def test_a_space_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        load_space(name)


def test_splits_with_the_same_priors_on_a_dataset_are_one_choice(write) -> None:
    space = load_space(write(SPACE)).for_tasks(AGE_SEX_DISEASE)
    trial = optuna.create_study().ask()

    space.propose(trial)

    assert trial.distributions["task_split"].choices == ("anthropometric", "none")  # pyright: ignore[reportAttributeAccessIssue]
    assert space.first_points[0]["task_split"] == "anthropometric"  # what demographic is on these tasks


def test_without_any_prior_in_the_dataset_a_first_point_has_nothing_to_propagate(write) -> None:
    tasks = TaskTable.of([DISEASE, BUILT_IN_TASKS["hba1c"]])

    space = load_space(write(SPACE)).for_tasks(tasks)

    assert space.first_points == ({"num_experts": 2, "task_split": "none"},)


def test_all_named_splits_differ_on_the_fifteen_factors() -> None:
    assert canonical_splits(list(TASK_SPLITS), ALL_FACTORS) == {name: name for name in TASK_SPLITS}


def test_a_dataset_that_no_split_fits_is_refused() -> None:
    only_priors = TaskTable.of([BUILT_IN_TASKS["sex"], BUILT_IN_TASKS["age"]])

    with pytest.raises(ConfigError, match="no task split"):
        canonical_splits(["demographic"], only_priors)


@given(names=st.lists(st.sampled_from(ALL_FACTORS.names), min_size=1, unique=True))
def test_a_choice_and_the_one_that_stands_for_it_have_the_same_priors(names: list[str]) -> None:
    tasks = TaskTable.of([*(ALL_FACTORS[name] for name in names), DISEASE])

    canonical = canonical_splits(list(TASK_SPLITS), tasks)

    for choice, representative in canonical.items():
        assert TaskSplit.parse(choice, tasks) == TaskSplit.parse(representative, tasks)
    priors = [TaskSplit.parse(choice, tasks).priors for choice in set(canonical.values())]
    assert len(set(priors)) == len(priors)
