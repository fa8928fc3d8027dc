"""Laws of a split that is asked task by task."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepl.errors import ConfigError
from sepl.tasks import BUILT_IN_TASKS, CARDIOMETABOLIC_TASKS, Task, TaskSplit, TaskTable
from sepl.tuning.space.by_task import PREFIX, as_config, nearest_split, suggest_task_split_by_task
from sepl.tuning.space.space import load_space

ALL = TaskTable.of(CARDIOMETABOLIC_TASKS)
DERIVED = Task(
    name="hypertension", kind="binary", unit="probability", label="Hypertension", derived_from=("sbp", "dbp")
)

SPACE = """
from sepl.tuning.space.by_task import suggest_task_split_by_task

NUM_EPOCHS = 3
FIRST_POINTS = [{"task_split.age": True, "task_split.sex": False, "task_split.waist": True}]


def space(trial):
    return {"task_split": suggest_task_split_by_task(trial, ["age", "sex", "waist"])}
"""


class Answers:
    def __init__(self, priors: Sequence[str]) -> None:
        self._priors = priors
        self.asked: list[str] = []

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        assert list(choices) == [False, True]
        self.asked.append(name)
        return name.removeprefix(PREFIX) in self._priors


@pytest.fixture
def path(tmp_path: Path) -> str:
    (tmp_path / "space.py").write_text(SPACE)
    return str(tmp_path / "space.py")


def test_each_task_is_asked_by_itself() -> None:
    trial = Answers(["sex", "age"])

    assert suggest_task_split_by_task(trial, ["age", "sex", "bmi"]) == "age+sex"
    assert trial.asked == ["task_split.age", "task_split.sex", "task_split.bmi"]


_TABLES = st.lists(st.sampled_from([*CARDIOMETABOLIC_TASKS, DERIVED]), min_size=2, unique=True)


@given(tasks=_TABLES, drawn=st.data())
def test_whatever_is_answered_there_is_a_prior_and_a_target_and_an_answer_that_allows_it_stands(
    tasks: list[Task], drawn: st.DataObject
) -> None:
    table = TaskTable.of(tasks)
    answers = {name: drawn.draw(st.booleans()) for name in table.names}

    split = TaskSplit.parse(nearest_split(answers, table), table)

    assert split.priors
    assert split.targets
    chosen = [name for name, is_prior in answers.items() if is_prior]
    derives = "hypertension" in table.names
    if 0 < len(chosen) < len(table) and not (derives and {"sbp", "dbp"} & set(chosen)):
        assert set(split.priors) == set(chosen)


@pytest.mark.parametrize(
    ("is_prior", "split"),
    [
        ({"age": False, "sex": False}, "age"),
        ({"sex": False, "age": False}, "sex"),
        ({"age": True, "sex": True, "sbp": True}, "sex+age"),
        ({"age": True, "sex": False}, "age"),
    ],
)
def test_the_nearest_split_is_one_answer_away(is_prior: dict[str, bool], split: str) -> None:
    tasks = TaskTable.of([BUILT_IN_TASKS[name] for name in ("sex", "age", "sbp")])

    assert nearest_split(is_prior, tasks) == split


def test_a_dataset_without_a_task_that_may_be_a_prior_is_refused() -> None:
    with pytest.raises(ConfigError, match="needs a task of the dataset that may be a prior"):
        nearest_split({}, ALL)


def test_the_booleans_stay_out_of_the_config() -> None:
    assert as_config({"task_split": "age"}, {"task_split.age": True, "num_experts": 2}) == {
        "task_split": "age",
        "num_experts": 2,
    }


def test_a_space_asks_for_the_datasets_own_tasks_alone(path: str) -> None:
    tasks = TaskTable.of([BUILT_IN_TASKS[name] for name in ("sex", "age", "sbp")])
    space = load_space(path).for_tasks(tasks)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for point in space.first_points:
        study.enqueue_trial(point)

    trials = [study.ask() for _ in range(12)]
    splits = [space.propose(trial)["task_split"] for trial in trials]

    assert splits[0] == "age"
    assert space.first_points == ({"task_split.age": True, "task_split.sex": False},)
    assert set(splits) == {"sex", "age", "sex+age"}
    assert {name for trial in trials for name in trial.params} == {"task_split.age", "task_split.sex"}
