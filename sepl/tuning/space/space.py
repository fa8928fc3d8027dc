"""A search space: a small Python file with `space(trial)`, `FIRST_POINTS` and `NUM_EPOCHS`.

`space` proposes hyperparameters under the names of `sepl.config.TrialConfig` and returns those that it holds constant.
"""

import importlib
import importlib.util
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import ModuleType
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution, check_distribution_compatibility
from optuna.trial import FixedTrial, TrialState, create_trial

from sepl.config import TrialConfig
from sepl.errors import ConfigError
from sepl.storage import sha256_of_file
from sepl.tasks import TaskTable
from sepl.tuning.space.backbones import check_backbone
from sepl.tuning.space.by_task import OwnTasksAlone, as_config, without_foreign
from sepl.tuning.space.probe import ask_space, random_trials
from sepl.tuning.space.task_splits import DistinctSplits, canonical_splits

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
        """Asks `trial` (an `optuna.Trial` or what stands for it) and returns the constants; `num_epochs` among them.

        Raises ConfigError for whatever the file does wrong.
        """
        where = f"search space {self.name}"
        return self._with_epochs(ask_space(self.define, trial, where), where)

    def answer(self, point: Params, where: str) -> tuple[FixedTrial, Params]:
        """A trial that answers from `point`, and the constants. Raises ConfigError, opened by `where`."""
        trial = FixedTrial(dict(point))
        return trial, self._with_epochs(ask_space(self.define, trial, where, point), where)

    def asks(self, name: str) -> bool:
        """Whether a trial may be asked this hyperparameter, at one of the first points or at some random ones."""
        return any(name in distributions for _, distributions, _ in _walk(self))

    def most(self, name: str, otherwise: float) -> float:
        """The largest value that a trial may have of a number, `otherwise` where the space leaves it alone."""
        asked = [
            (params.get(name, otherwise), getattr(distributions.get(name), "high", -math.inf))
            for _, distributions, params in _walk(self)
        ]
        return float(max(max(pair) for pair in asked))

    def offers(self) -> dict[str, BaseDistribution]:
        """What may be asked, by name: at one of the first points or at some random ones."""
        return {name: offered for _, distributions, _ in _walk(self) for name, offered in distributions.items()}

    def _with_epochs(self, constants: Params, where: str) -> Params:
        told = constants.get("num_epochs", self.num_epochs)
        if told != self.num_epochs:
            raise ConfigError(f"{where} should return num_epochs as NUM_EPOCHS says, {self.num_epochs}, was {told}")
        return {**constants, "num_epochs": self.num_epochs}

    def for_tasks(self, tasks: TaskTable, more_splits: Sequence[str] = ()) -> "SearchSpace":
        """The space on one dataset: task splits that mean the same there are offered once, impossible ones never.

        A cohort with age and sex alone has one set of priors where the file names three; searching all three would
        spend trials on copies. `more_splits` are offered beside the file's, where it asks for task_split. Raises
        ConfigError when no split is left.
        """
        define = self.define

        def on_tasks(trial: Any) -> Mapping[str, Any] | None:
            asking = OwnTasksAlone(DistinctSplits(trial, tasks, more_splits), tasks)
            return asking.settle(define(asking))

        points = tuple(_on_tasks(self, point, tasks) for point in self.first_points)
        return replace(self, define=on_tasks, first_points=points)


def load_space(name: str) -> SearchSpace:
    """From a file's path or a module's dotted name; checked by walking through it.

    Raises ConfigError when there is no such file, an attribute is missing, a first point does not fit, or a
    hyperparameter is not one of `TrialConfig`.
    """
    module = _import_file(name) if name.endswith(".py") or os.sep in name else _import_module(name)
    space = SearchSpace(
        name=name,
        define=_attribute(module, "space", name),
        first_points=_points(_attribute(module, "FIRST_POINTS", name), name),
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
    except Exception as problem:  # whatever is wrong with it, the message should name it
        raise ConfigError(
            f"--space should be the path of a .py file or a module's dotted name, was {name!r}: {problem}"
        ) from problem


def _attribute(module: ModuleType, attribute: str, name: str) -> Any:
    if not hasattr(module, attribute):
        raise ConfigError(
            f"search space {name} should define space(trial), FIRST_POINTS and NUM_EPOCHS; {attribute} is missing"
        )
    return getattr(module, attribute)


def _points(points: Any, name: str) -> tuple[Params, ...]:
    if not isinstance(points, list | tuple):
        raise ConfigError(
            f"search space {name}: FIRST_POINTS should be a list of dictionaries, was a {type(points).__name__}"
        )
    for number, point in enumerate(points, start=1):
        if not isinstance(point, Mapping):
            raise ConfigError(
                f"search space {name}: first point {number} should be a dictionary, was a {type(point).__name__}"
            )
    return tuple(dict(point) for point in points)


def _check(space: SearchSpace) -> None:
    where = f"search space {space.name}"
    if not isinstance(space.num_epochs, int) or space.num_epochs < 1:
        raise ConfigError(f"{where}: NUM_EPOCHS should be a whole number from 1, was {space.num_epochs!r}")
    asked: dict[str, BaseDistribution] = {}
    backbones: dict[str, None] = {}
    for place, distributions, params in _walk(space):
        _check_params(params, place)
        _check_compatible(asked, distributions, place)
        offered = distributions.get("backbone")
        choices = offered.choices if isinstance(offered, CategoricalDistribution) else [params.get("backbone")]
        backbones |= dict.fromkeys(str(choice) for choice in choices if choice is not None)
    for backbone in backbones:
        _check_backbone(backbone, where)


def _walk(space: SearchSpace) -> Iterator[tuple[str, Mapping[str, BaseDistribution], Params]]:
    """Where, what was asked there, and all hyperparameters: of every first point, checked, and some random trials."""
    where = f"search space {space.name}"
    for number, point in enumerate(space.first_points, start=1):
        trial, constants = space.answer(point, f"{where}: first point {number}")
        _check_point(point, trial.distributions, f"{where}: first point {number}")
        yield f"{where}: first point {number}", trial.distributions, as_config(constants, point)
    for trial in random_trials(_NUM_PROBES):
        constants = space.propose(trial)
        yield where, trial.distributions, as_config(constants, trial.params)


def _check_point(point: Params, distributions: Mapping[str, BaseDistribution], where: str) -> None:
    unknown = sorted(set(point) - set(distributions))
    if unknown:
        asked = ", ".join(distributions)
        raise ConfigError(f"{where} sets {', '.join(unknown)}, which the space does not ask there; it asks {asked}")
    for name, distribution in distributions.items():
        if not _contains(name, distribution, point[name]):
            raise ConfigError(f"{where}: {name} should be {_describe(distribution)}, was {point[name]!r}")


def _check_compatible(
    asked: dict[str, BaseDistribution], distributions: Mapping[str, BaseDistribution], where: str
) -> None:
    """Optuna refuses, in the middle of a study, a parameter whose kind or choices change from trial to trial."""
    for name, distribution in distributions.items():
        try:
            check_distribution_compatibility(asked.setdefault(name, distribution), distribution)
        except ValueError:
            before = _describe(asked[name])
            raise ConfigError(
                f"{where} should ask for {name} alike in every trial, asks for {before} and for "
                f"{_describe(distribution)}; give what differs a name of its own"
            ) from None


def _check_backbone(name: str, where: str) -> None:
    try:
        check_backbone(name)
    except ConfigError as problem:
        raise ConfigError(f"{where}: {problem}") from None


def _check_params(params: Params, where: str) -> None:
    try:
        TrialConfig.from_params(params).model.check_publishable()  # as the winner will be
    except ConfigError as problem:
        raise ConfigError(f"{where}: {problem}") from None


def _contains(name: str, distribution: BaseDistribution, value: Any) -> bool:
    try:
        create_trial(state=TrialState.WAITING, params={name: value}, distributions={name: distribution})
    except ValueError:
        return False
    return True


def _describe(distribution: BaseDistribution) -> str:
    if isinstance(distribution, CategoricalDistribution):
        return f"one of {', '.join(map(str, distribution.choices))}"
    return f"within {distribution}"


def _on_tasks(space: SearchSpace, point: Params, tasks: TaskTable) -> Params:
    """The point with its task split replaced by the one that stands for it on these tasks."""
    where = f"search space {space.name}"
    trial, _ = space.answer(point, where)
    offered = trial.distributions.get("task_split")
    if not isinstance(offered, CategoricalDistribution):
        return without_foreign(point, tasks)
    canonical = canonical_splits([str(choice) for choice in offered.choices], tasks)
    moved = {**point, "task_split": canonical.get(point["task_split"], next(iter(canonical.values())))}
    trial, _ = space.answer(moved, where)
    return {name: value for name, value in moved.items() if name in trial.distributions}
