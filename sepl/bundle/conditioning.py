"""What a bundle keeps so that values already known of a patient sharpen the others: how its errors go together.

T tasks, in the order of the bundle's task table; scaled units: (value − median) / iqr of a regression task.
"""

import operator
import re
from collections.abc import Sequence
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sepl.errors import ConfigError
from sepl.settings import Settings
from sepl.tasks import TASK_SPLITS, TaskTable

BinaryScale = Literal["probability", "logit"]
FittedOn = tuple[Literal["calibration", "validation"], ...]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Quantile = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]

Share = Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]

LEAST_JUDGED = 25
"""Validation patients of whom a set of tasks is known, so that a study can be judged on it: four in five of them teach
how errors go together, and of fewer than twenty nothing is learned."""

SIMPLE = TASK_SPLITS["anthropometric"]
"""What is asked or measured without a laboratory."""


class Residuals(Settings):
    """Means and covariance of label minus output, of patients who trained nothing."""

    means: tuple[Finite, ...]
    covariance: tuple[tuple[Finite, ...], ...]
    """T×T, winsorised, shrunk, without a negative eigenvalue; zeros for a task of whom too few patients tell."""

    @model_validator(mode="after")
    def _covariance_is_square(self) -> Self:
        size = len(self.means)
        widths = [len(row) for row in self.covariance]
        if widths != [size] * size:
            raise ValueError(f"covariance should be {size} × {size}, as means are {size}; its rows were {widths}")
        return self


class KnownPattern(Settings):
    """A set of tasks that may be known at once, and for which of the others knowing them was seen to help."""

    known: tuple[str, ...] = Field(min_length=1)
    guarded: tuple[str, ...] = ()
    """Tasks that stay as predicted, value and interval."""
    quantiles: dict[str, Quantile | None] = Field(default_factory=dict)
    """By regression task: the half width of the interval in conditional standard deviations."""
    shares: dict[str, Share] = Field(default_factory=dict, exclude_if=operator.not_)
    """By task: how much of its move is made; 1 of one that is not named, as in bundles that were calibrated before."""
    num_patients: int = Field(default=0, ge=0)
    """Of whom all of these are known, that guard was judged on."""
    declared: bool = True
    """Whether evaluations have a column for it; false: it only lends guard and quantiles to a set that is near."""
    residuals: Residuals | None = Field(default=None, exclude_if=operator.not_)
    """Of outputs of a network that was told these values; None: it was told none, and all patterns share residuals."""


class Conditioning(Residuals):
    """How residuals go together with nothing known to the network, and what that brings by what is known."""

    num_patients: int = Field(ge=0)
    fitted_on: FittedOn = ("calibration",)
    """Cohort splits of these patients: on them nothing can be evaluated that rests on the fit."""
    binary_scale: BinaryScale = "probability"
    """What a binary task's output is here: its probability, or its logit with ± 4 for a known value."""
    patterns: tuple[KnownPattern, ...] = ()
    limits: tuple[Quantile, ...] = Field(default=(), exclude_if=operator.not_)
    """By task, how far a known value may be from the output, less the mean, and be believed; 0: any. Empty in bundles
    that were calibrated before limits were kept: four standard deviations."""
    network_inputs: tuple[str, ...] = Field(default=(), exclude_if=operator.not_)
    """Tasks of which the network itself is told known values."""

    @model_validator(mode="after")
    def _limits_are_of_the_tasks(self) -> Self:
        size = len(self.means)
        if len(self.limits) not in (0, size):
            raise ValueError(f"limits should be {size}, as means are, were {len(self.limits)}")
        return self

    @property
    def source(self) -> str:
        """In words, whose residuals these are and through which network."""
        if "validation" not in self.fitted_on:
            return "calibration patients"
        return "calibration patients, and validation patients through a network that was not trained on them"

    @property
    def declared(self) -> tuple[KnownPattern, ...]:
        """The patterns that evaluations tell of."""
        return tuple(pattern for pattern in self.patterns if pattern.declared)

    def check_of(self, tasks: TaskTable) -> None:
        """Raises ValueError when it is of other tasks."""
        for found in (self, *(row.residuals for row in self.patterns if row.residuals is not None)):
            if len(found.means) != len(tasks):
                raise ValueError(f"conditioning should be of {len(tasks)} tasks, was of {len(found.means)}")
        named = {name for row in self.patterns for name in (*row.known, *row.guarded, *row.quantiles, *row.shares)}
        named |= set(self.network_inputs)
        if unknown := sorted(named - set(tasks.names)):
            raise ValueError(f"conditioning should be of {', '.join(tasks.names)}, had {', '.join(unknown)}")


def default_patterns(tasks: TaskTable) -> tuple[tuple[str, ...], ...]:
    """Age and sex, which are never unknown, and all simple factors; of these the ones that the table has."""
    wanted = (("age", "sex"), SIMPLE)
    numbers = [task.name for task in tasks if not task.is_graded]
    found = (tuple(name for name in numbers if name in names) for names in wanted)
    return tuple(dict.fromkeys(names for names in found if names))


def all_patterns(declared: Sequence[Sequence[str]], tasks: TaskTable, *, singles: bool = True) -> list[tuple[str, ...]]:
    """The declared ones, and every single task for sets that nobody declared. A graded task is in none."""
    graded = {task.name for task in tasks if task.is_graded}
    of_numbers = [tuple(known) for known in declared if not graded & set(known)]
    more = ((name,) for name in tasks.names if singles and name not in graded)
    return list(dict.fromkeys([*of_numbers, *more]))


def parse_pattern(text: str, tasks: TaskTable, option: str) -> tuple[str, ...]:
    """Tasks that are known at once, written with ',' or '+' between them, in the order of the table.

    Raises ConfigError, naming the option, for what is no task, is said twice, or leaves none to predict.
    """
    names = [name.strip() for name in re.split("[,+]", text)]
    is_of_tasks = set(names) <= set(tasks.names) and len(names) == len(set(names))
    if not is_of_tasks or len(names) == len(tasks):
        raise ConfigError(
            f"{option} should be some of {', '.join(tasks.names)}, each once and with + or , between them; was {text!r}"
        )
    graded = [name for name in names if tasks[name].is_graded]
    if graded:
        raise ConfigError(f"{option} should be of tasks that are a number; {graded[0]} is {tasks[graded[0]].kind}")
    return tuple(name for name in tasks.names if name in names)
