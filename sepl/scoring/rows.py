"""What scoring gives: one row for every photograph, in the order they came."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Status = Literal["ok", "rejected", "failed"]
"""Scored · readable, but not gradeable or no fundus photograph · not readable."""

STATUSES: tuple[Status, ...] = ("ok", "rejected", "failed")


@dataclass(frozen=True)
class Levels:
    """What is said of the levels of one graded task."""

    level: str
    """The median grade of an ordinal task, the likeliest class of a categorical one."""
    level_set: tuple[str, ...] | None
    """Levels that hold the truth with the bundle's confidence, in their order; None without enough calibration
    patients."""
    probabilities: Mapping[str, float]
    """By level, all of them in order."""


@dataclass(frozen=True)
class Prediction:
    """One task of one photograph, in the task's unit."""

    value: float
    """A probability for a binary task, the place of its level for a graded one."""
    low: float | None
    """Ends of the prediction interval; None for a binary or graded task and for one without enough calibration
    patients."""
    high: float | None
    levels: Levels | None = None
    """Of a graded task."""


@dataclass(frozen=True)
class Score:
    """One photograph."""

    image: str
    status: Status
    reason: str | None
    """Why it was rejected or failed."""
    bundle_id: str
    values: Mapping[str, Prediction] = field(default_factory=dict)
    """By task, in the order of the bundle's tasks; empty unless the status is ok. The patient's, where one is given."""
    patient: str = ""
    """Whose it is, as given; empty when nobody said."""
    num_photographs: int = 0
    """How many photographs of the patient the values rest on; 0 where there are none."""
    known: tuple[str, ...] = ()
    """Tasks whose value was given, or follows from what was: it stands as it is, and the others rest on it too."""
    given_ignored: str | None = None
    """Which given values were not believed, and why."""
