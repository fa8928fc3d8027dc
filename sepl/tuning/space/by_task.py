"""Which tasks are priors, searched as one boolean a task beside the named splits.

In a search space, with the tasks that may be priors:

    split = suggest_task_split_by_task(trial, ["age", "sex", "height"])
    return {"task_split": split}

asks `task_split.age`, `task_split.sex`, … and returns the priors joined by "+", as `TaskSplit.parse` takes them.
There is at least one prior and one target by this rule, the nearest split with both: where no task was chosen the first
that may be one is the prior, and where all tasks of the dataset were, the last of them is a target after all. On a
dataset only its own tasks are asked, and a task from which a target is derived becomes a target, as in named splits.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from sepl.errors import ConfigError
from sepl.tasks import TaskSplit, TaskTable, honest_priors

PREFIX = "task_split."
"""Of a boolean's name; the task's follows."""


class _Asked(Protocol):
    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any: ...


def suggest_task_split_by_task(trial: _Asked, tasks: Sequence[str]) -> str:
    """A task split, after one boolean for each of `tasks`, those that may be priors."""
    chosen = [name for name in tasks if trial.suggest_categorical(PREFIX + name, [False, True])]
    return "+".join(chosen or tasks[:1])


def as_config(constants: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """All hyperparameters of a trial by their names in `TrialConfig`: the booleans are in `task_split` already."""
    return {**constants, **{name: value for name, value in asked.items() if not name.startswith(PREFIX)}}


class OwnTasksAlone:
    """A trial that asks the boolean of a task only where the dataset has the task; another one is no prior."""

    def __init__(self, trial: Any, tasks: TaskTable) -> None:
        self._trial, self._tasks = trial, tasks
        self._answers: dict[str, bool] | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._trial, name)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        task = name.removeprefix(PREFIX)
        if task == name:
            return self._trial.suggest_categorical(name, choices)
        self._answers = {} if self._answers is None else self._answers
        if task not in self._tasks.names:
            return False
        self._answers[task] = self._trial.suggest_categorical(name, choices)
        return self._answers[task]

    def settle(self, constants: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        """The space's constants; of a split by task the nearest that the dataset has. Raises ConfigError."""
        if self._answers is None or not isinstance(constants, Mapping) or "task_split" not in constants:
            return constants
        return {**constants, "task_split": nearest_split(self._answers, self._tasks)}


def nearest_split(is_prior: Mapping[str, bool], tasks: TaskTable) -> str:
    """The split of the dataset that is nearest to these answers, with at least one prior and one target.

    Raises ConfigError when none of the tasks that were asked can be a prior.
    """
    asked = list(is_prior)
    chosen = [name for name in asked if is_prior[name]]
    priors = honest_priors(chosen, tasks)
    if len(priors) == len(tasks):
        priors = honest_priors(priors[:-1], tasks)
    if not priors and len(tasks) > 1:
        priors = next(([name] for name in asked if honest_priors([name], tasks)), [])
    if not priors:
        raise ConfigError(
            f"a task split by task needs a task of the dataset that may be a prior and one that is left as target, had "
            f"{', '.join(asked) or 'none'} of {', '.join(tasks.names)}"
        )
    return "+".join(TaskSplit.of(priors, tasks).priors)


def without_foreign(point: Mapping[str, Any], tasks: TaskTable) -> dict[str, Any]:
    """A first point without the booleans of tasks that the dataset does not have."""
    foreign = {name for name in point if name.startswith(PREFIX) and name.removeprefix(PREFIX) not in tasks.names}
    return {name: value for name, value in point.items() if name not in foreign}
