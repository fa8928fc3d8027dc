"""A search space: a small Python file with `space(trial)`, `FIRST_POINTS` and `NUM_EPOCHS`.

`space` proposes hyperparameters under the names of `sepl.config.TrialConfig` and returns those that it holds constant.
"""

import importlib
import importlib.util
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution

from sepl.config import TrialConfig
from sepl.errors import ConfigError
from sepl.storage import sha256_of_file
from sepl.tasks import TaskTable
from sepl.tuning.probe import Answering, random_trials
from sepl.tuning.task_splits import DistinctSplits, canonical_splits

Params = dict[str, Any]

_NUM_PROBES = 16  # random trials walked through at loading, so that a misspelt name in a branch is found before a study


@dataclass(frozen=True)
class SearchSpace:
    """A checked search space."""

    name: str
    """The file or module as the user gave it."""
    define: Callable[[Any], Mapping[str, Any] | None]
    first_points: tuple[Params, ...]
    num_epochs: int
    """Epochs of a trial that is never stopped; ASHA's largest rung."""
    source_sha256: str

    def propose(self, trial: Any) -> Params:
        """Asks `trial` (an `optuna.Trial` or what stands for it) and returns the constants; `num_epochs` among them."""
        return {**(self.define(trial) or {}), "num_epochs": self.num_epochs}

    def asks(self, name: str) -> bool:
        """Whether a trial may be asked this hyperparameter, at one of the first points or at some random ones."""
        answering = [Answering(point, f"search space {self.name}") for point in self.first_points]
        drawn = list(random_trials(_NUM_PROBES))
        for trial in (*answering, *drawn):
            self.propose(trial)
        return any(name in trial.distributions for trial in (*answering, *drawn))

    def for_tasks(self, tasks: TaskTable, more_splits: Sequence[str] = ()) -> "SearchSpace":
        """The space on one dataset: task splits that mean the same there are offered once, impossible ones never.

        A cohort with age and sex alone has one set of priors where the file names three; searching all three would
        spend trials on copies. `more_splits` are offered beside the file's, where it asks for task_split. Raises
        ConfigError when no split is left.
        """
        define = self.define
        points = tuple(_on_tasks(self, point, tasks) for point in self.first_points)
        return replace(
            self, define=lambda trial: define(DistinctSplits(trial, tasks, more_splits)), first_points=points
        )


def load_space(name: str) -> SearchSpace:
    """From a file's path or a module's dotted name; checked by walking through it.

    Raises ConfigError when there is no such file, an attribute is missing, a first point does not fit, or a
    hyperparameter is not one of `TrialConfig`.
    """
    module = _import_file(name) if name.endswith(".py") or os.sep in name else _import_module(name)
    space = SearchSpace(
        name=name,
        define=_attribute(module, "space", name),
        first_points=tuple(dict(point) for point in _attribute(module, "FIRST_POINTS", name)),
        num_epochs=_attribute(module, "NUM_EPOCHS", name),
        source_sha256=sha256_of_file(Path(str(module.__file__))),
    )
    _check(space)
    return space


def _import_file(name: str) -> ModuleType:
    path = Path(name)
    spec = importlib.util.spec_from_file_location(f"search_space_{path.stem}", path)
    if spec is None or spec.loader is None or not path.is_file():
        raise ConfigError(f"--space should be the path of a .py file or a module's dotted name, found no file {name}")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as problem:  # whatever a stranger's file raises, the message should name the file
        raise ConfigError(f"search space {name} does not load: {type(problem).__name__}: {problem}") from problem
    return module


def _import_module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as problem:
        raise ConfigError(
            f"--space should be the path of a .py file or a module's dotted name, was {name!r}: {problem}"
        ) from problem


def _attribute(module: ModuleType, attribute: str, name: str) -> Any:
    if not hasattr(module, attribute):
        raise ConfigError(
            f"search space {name} should define space(trial), FIRST_POINTS and NUM_EPOCHS; {attribute} is missing"
        )
    return getattr(module, attribute)


def _check(space: SearchSpace) -> None:
    where = f"search space {space.name}"
    if not isinstance(space.num_epochs, int) or space.num_epochs < 1:
        raise ConfigError(f"{where}: NUM_EPOCHS should be a whole number from 1, was {space.num_epochs!r}")
    for number, point in enumerate(space.first_points, start=1):
        _check_point(space, point, f"{where}: first point {number}")
    for trial in random_trials(_NUM_PROBES):
        constants = space.propose(trial)
        _check_params({**trial.params, **constants}, where)


def _check_point(space: SearchSpace, point: Params, where: str) -> None:
    trial = Answering(point, where)
    constants = space.propose(trial)
    _check_params({**point, **constants}, where)
    unknown = sorted(set(point) - set(trial.distributions))
    if unknown:
        asked = ", ".join(trial.distributions)
        raise ConfigError(f"{where} sets {', '.join(unknown)}, which the space does not ask there; it asks {asked}")
    for name, distribution in trial.distributions.items():
        if not _contains(distribution, point[name]):
            raise ConfigError(f"{where}: {name} should be {_describe(distribution)}, was {point[name]!r}")


def _check_params(params: Params, where: str) -> None:
    try:
        TrialConfig.from_params(params).model.check_publishable()  # as the winner will be
    except ConfigError as problem:
        raise ConfigError(f"{where}: {problem}") from None


def _contains(distribution: BaseDistribution, value: Any) -> bool:
    try:
        return distribution._contains(distribution.to_internal_repr(value))
    except ValueError:
        return False


def _describe(distribution: BaseDistribution) -> str:
    if isinstance(distribution, CategoricalDistribution):
        return f"one of {', '.join(map(str, distribution.choices))}"
    return f"within {distribution}"


def _on_tasks(space: SearchSpace, point: Params, tasks: TaskTable) -> Params:
    """The point with its task split replaced by the one that stands for it on these tasks."""
    where = f"search space {space.name}"
    trial = Answering(point, where)
    space.propose(trial)
    offered = trial.distributions.get("task_split")
    if not isinstance(offered, CategoricalDistribution):
        return point
    canonical = canonical_splits([str(choice) for choice in offered.choices], tasks)
    moved = {**point, "task_split": canonical.get(point["task_split"], next(iter(canonical.values())))}
    trial = Answering(moved, where)
    space.propose(trial)
    return {name: value for name, value in moved.items() if name in trial.distributions}
