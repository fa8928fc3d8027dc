"""Task splits that differ on a dataset: names that come to the same priors there are one choice, not several."""

from collections.abc import Sequence
from typing import Any

from sepl.errors import ConfigError
from sepl.tasks import TaskSplit, TaskTable


def canonical_splits(choices: Sequence[str], tasks: TaskTable) -> dict[str, str]:
    """Each choice that is possible on these tasks, with the choice that stands for it.

    The first of those with the same priors stands for them; without any prior it is 'none' where that is offered.
    Raises ConfigError when no choice is possible.
    """
    priors_of: dict[str, tuple[str, ...]] = {}
    problems: list[str] = []
    for choice in choices:
        try:
            priors_of[choice] = TaskSplit.parse(choice, tasks).priors
        except ConfigError as problem:  # such as: all tasks would be priors
            problems.append(str(problem))
    if not priors_of:
        raise ConfigError(f"no task split of the search space fits the dataset: {'; '.join(problems)}")
    representatives: dict[tuple[str, ...], str] = {(): "none"} if "none" in priors_of else {}
    return {choice: representatives.setdefault(priors, choice) for choice, priors in priors_of.items()}


class DistinctSplits:
    """A trial that offers each different task split of a dataset once: the space's, then `more` of the study's own."""

    def __init__(self, trial: Any, tasks: TaskTable, more: Sequence[str] = ()) -> None:
        self._trial, self._tasks, self._more = trial, tasks, more

    def __getattr__(self, name: str) -> Any:
        return getattr(self._trial, name)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        if name == "task_split":
            choices = list(dict.fromkeys(canonical_splits([*choices, *self._more], self._tasks).values()))
        return self._trial.suggest_categorical(name, choices)
