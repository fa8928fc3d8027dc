"""What a bundle keeps so that values already known of a patient sharpen the others: how its errors go together.

T tasks, in the order of the bundle's task table; scaled units: (value − median) / iqr of a regression task.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from sepl.settings import Settings
from sepl.tasks import TASK_SPLITS, TaskTable

BinaryScale = Literal["probability", "logit"]
FittedOn = tuple[Literal["calibration", "validation"], ...]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Quantile = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]

SIMPLE = TASK_SPLITS["anthropometric"]
"""What is asked or measured without a laboratory."""


class KnownPattern(Settings):
    """A set of tasks that may be known at once, and for which of the others knowing them was seen to help."""

    known: tuple[str, ...] = Field(min_length=1)
    guarded: tuple[str, ...] = ()
    """Tasks that stay as predicted, value and interval."""
    quantiles: dict[str, Quantile | None] = Field(default_factory=dict)
    """By regression task: the half width of the interval in conditional standard deviations."""
    num_patients: int = Field(default=0, ge=0)
    """Of whom all of these are known, that guard was judged on."""
    declared: bool = True
    """Whether evaluations have a column for it; false: it only lends guard and quantiles to a set that is near."""


class Conditioning(Settings):
    """Means and covariance of the residuals, label minus output, of patients who trained nothing."""

    means: tuple[Finite, ...]
    covariance: tuple[tuple[Finite, ...], ...]
    """T×T, winsorised, shrunk, without a negative eigenvalue; zeros for a task of whom too few patients tell."""
    num_patients: int = Field(ge=0)
    fitted_on: FittedOn = ("calibration",)
    """Cohort splits of these patients: on them nothing can be evaluated that rests on the fit."""
    binary_scale: BinaryScale = "probability"
    """What a binary task's output is here: its probability, or its logit with ± 4 for a known value."""
    patterns: tuple[KnownPattern, ...] = ()

    @model_validator(mode="after")
    def _covariance_is_square(self) -> Self:
        size = len(self.means)
        widths = [len(row) for row in self.covariance]
        if widths != [size] * size:
            raise ValueError(f"covariance should be {size} × {size}, as means are {size}; its rows were {widths}")
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
        if len(self.means) != len(tasks):
            raise ValueError(f"conditioning should be of {len(tasks)} tasks, was of {len(self.means)}")
        named = {name for row in self.patterns for name in (*row.known, *row.guarded, *row.quantiles)}
        if unknown := sorted(named - set(tasks.names)):
            raise ValueError(f"conditioning should be of {', '.join(tasks.names)}, had {', '.join(unknown)}")


def default_patterns(tasks: TaskTable) -> tuple[tuple[str, ...], ...]:
    """Age and sex, which are never unknown, and all simple factors; of these the ones that the table has."""
    wanted = (("age", "sex"), SIMPLE)
    numbers = [task.name for task in tasks if not task.is_graded]
    found = (tuple(name for name in numbers if name in names) for names in wanted)
    return tuple(dict.fromkeys(names for names in found if names))
