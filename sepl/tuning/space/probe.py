"""Walking through a search space: trials that belong to no study, and one line for whatever a stranger's file does."""

import traceback
import warnings
from collections.abc import Callable, Mapping
from typing import Any

import optuna

from sepl.errors import ConfigError, SeplError
from sepl.tuning.record.database import DATABASE_ERRORS


def random_trials(num_trials: int) -> list[optuna.Trial]:
    """Trials that answer at random, the same ones every time, and know nothing of each other."""
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # else a line "A new study created in memory" each
    try:
        samplers = map(optuna.samplers.RandomSampler, range(num_trials))
        return [optuna.create_study(sampler=sampler).ask() for sampler in samplers]
    finally:
        optuna.logging.set_verbosity(verbosity)


def ask_space(
    define: Callable[[Any], Any], trial: Any, where: str, point: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """The constants that `define` returns when it has asked `trial`, which answers from `point` where that is given.

    Raises ConfigError, opened by `where`, for an exception in `define`, a parameter that cannot be asked for or that
    `point` does not set, and constants that are no dictionary or are asked for as well.
    """
    asking = _Asking(trial, where, point)
    try:
        constants = define(asking)
    except (SeplError, *DATABASE_ERRORS):  # the latter of the study that `trial` belongs to
        raise
    except Exception as problem:  # whatever a stranger's file raises, the message should name the file
        raise ConfigError(f"{where} {asking.describe(problem)}") from problem
    if not isinstance(constants, Mapping | None):
        raise ConfigError(
            f"{where}: space(trial) should return a dictionary of constants, or None, returned a "
            f"{type(constants).__name__}"
        )
    twice = sorted(asking.names & set(constants or ()))
    if twice:
        raise ConfigError(f"{where} should either ask for {', '.join(twice)} or return a constant, does both")
    return dict(constants or {})


class _Asking:
    """A trial that knows which parameter it was asked for last."""

    def __init__(self, trial: Any, where: str, point: Mapping[str, Any] | None) -> None:
        self._trial, self._where, self._point = trial, where, point
        self._current: str | None = None
        self.names: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._trial, name)
        if not name.startswith("suggest_"):
            return method
        return lambda parameter, *args, **kwargs: self._ask(method, parameter, *args, **kwargs)

    def _ask(self, suggest: Callable[..., Any], parameter: str, *args: Any, **kwargs: Any) -> Any:
        if parameter == "num_epochs":
            raise ConfigError(f"{self._where} should not ask for num_epochs, which NUM_EPOCHS says")
        if self._point is not None and parameter not in self._point:
            raise ConfigError(f"{self._where} should set {parameter}, sets {', '.join(self._point)}")
        self._current = parameter
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The value .* is out of the range")  # is refused afterwards, in one line
            answer = suggest(parameter, *args, **kwargs)
        self._current = None
        self.names.add(parameter)
        return answer

    def describe(self, problem: Exception) -> str:
        told = str(problem).strip().partition("\n")[0]
        if self._current is not None:
            return f"cannot ask for {self._current}: {told}"
        line = traceback.extract_tb(problem.__traceback__)[-1].lineno
        return f"raised {type(problem).__name__} at line {line}: {told}"
