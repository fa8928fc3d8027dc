"""Tasks: the factors to predict, the table that holds them, and which of them are propagated as priors.

A sixteenth factor is one more row of `CARDIOMETABOLIC_TASKS`, or one `[tasks.NAME]` section of a cohort file.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    RootModel,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)

from sepl.errors import ConfigError

TaskKind = Literal["regression", "binary", "ordinal", "categorical"]
PatientValue = Literal["mean", "worst"]
TaskRole = Literal["prior", "target"]

_OF_GRADED_TASKS = ("levels", "patient")


def _reject_joiner(name: str) -> str:
    if not name.isidentifier():
        raise ValueError(f"a task's name should be a plain identifier such as 'sbp', was {name!r}")
    return name


class Task(BaseModel):
    """One predicted factor with its unit and plausible range."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, AfterValidator(_reject_joiner)]
    kind: TaskKind
    unit: str
    """Unit of values and intervals; for a binary task, the unit of its probability: 'probability'."""
    label: str
    """What a person reads in tables and plots."""
    low: float | None = None
    """Lowest plausible value, inclusive; a cohort's values below become absent. None: any."""
    high: float | None = None
    """Highest plausible value, inclusive."""
    derived_from: tuple[str, ...] = ()
    """Tasks whose values decide this one's by a rule; they are never its priors, which would hand it the answer."""
    levels: tuple[str, ...] = ()
    """Names of the grades of an ordinal task, the mildest first, or of the classes of a categorical one. A label is the
    place of its level here: 0, 1, …"""
    patient: PatientValue = "mean"
    """What an ordinal task's patient has of several photographs: the mean of their outputs, or the worst grade."""

    @property
    def is_graded(self) -> bool:
        """Whether its labels are levels, each with a probability."""
        return self.kind in ("ordinal", "categorical")

    @property
    def num_outputs(self) -> int:
        """Columns of a network's outputs that are this task's: one, a logit for each step between the grades of an
        ordinal task, or a logit a class."""
        if self.kind == "ordinal":
            return len(self.levels) - 1
        return len(self.levels) if self.kind == "categorical" else 1

    def is_plausible(self, value: float) -> bool:
        """Whether a finite value lies in its range."""
        return (self.low is None or value >= self.low) and (self.high is None or value <= self.high)

    @model_validator(mode="after")
    def _range_is_ordered(self) -> Self:
        if self.low is not None and self.high is not None and not self.low < self.high:
            raise ValueError(f"task {self.name}: plausible range should rise, was {self.low} to {self.high}")
        return self

    @model_validator(mode="after")
    def _levels_suit_the_kind(self) -> Self:
        if self.is_graded != bool(self.levels):
            few = "at least two levels" if self.is_graded else f"no levels, being {self.kind}"
            raise ValueError(f"task {self.name} should have {few}, had {', '.join(self.levels) or 'none'}")
        twice = sorted({level for level in self.levels if self.levels.count(level) > 1})
        if twice or len(self.levels) == 1:
            raise ValueError(
                f"task {self.name} should have at least two different levels, had {', '.join(self.levels)}"
            )
        joined = [level for level in self.levels if "|" in level or not level.strip()]
        if joined:
            raise ValueError(
                f"levels of task {self.name} should be names without |, which joins them, had {joined[0]!r}"
            )
        if self.patient != "mean" and self.kind != "ordinal":
            raise ValueError(f"task {self.name}: patient should be mean unless it is ordinal, was {self.patient}")
        return self

    @model_serializer(mode="wrap")
    def _without_levels_where_none_are(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Fingerprints and files of tasks that are not graded stay as they were before there were levels."""
        values = serialize(self)
        return values if self.is_graded else {name: values[name] for name in values if name not in _OF_GRADED_TASKS}


def _binary(name: str, label: str) -> Task:
    return Task(name=name, kind="binary", unit="probability", label=label, low=0.0, high=1.0)


def _regression(name: str, unit: str, label: str, low: float, high: float) -> Task:
    return Task(name=name, kind="regression", unit=unit, label=label, low=low, high=high)


CARDIOMETABOLIC_TASKS: tuple[Task, ...] = (
    _binary("sex", "Sex (male)"),
    _regression("age", "y", "Age", 0, 120),
    _regression("height", "cm", "Height", 50, 250),
    _regression("weight", "kg", "Weight", 10, 400),
    _regression("bmi", "kg/m2", "Body mass index", 8, 140),
    _regression("waist", "cm", "Waist", 30, 250),
    _regression("sbp", "mmHg", "Systolic blood pressure", 50, 300),
    _regression("dbp", "mmHg", "Diastolic blood pressure", 5, 200),
    _regression("total_cholesterol", "mg/dL", "Total cholesterol", 30, 800),
    _regression("glucose", "mg/dL", "Glucose", 15, 1000),
    _regression("triglycerides", "mg/dL", "Triglycerides", 5, 6000),
    _regression("hba1c", "%", "HbA1c", 1.5, 22),
    _regression("bun", "mg/dL", "Blood urea nitrogen", 0.5, 250),
    _regression("creatinine", "mg/dL", "Creatinine", 0.05, 30),
    _regression("uric_acid", "mg/dL", "Uric acid", 0.1, 30),
)
"""The 15 factors in the order of the released SePL code (Ko et al., MICCAI 2025): six simple, nine harder."""

SEPL_RELEASE_COLUMNS = {
    "sex": "SEX",
    "age": "AGE",
    "height": "Height",
    "weight": "Weight",
    "bmi": "BMI",
    "waist": "waist",
    "sbp": "SBP",
    "dbp": "DBP",
    "total_cholesterol": "t-chol",
    "glucose": "gluc",
    "triglycerides": "TG",
    "hba1c": "HbA1c",
    "bun": "BUN",
    "creatinine": "Creatinin",
    "uric_acid": "Uric Acid",
}
"""Columns of the factors in the table of the SePL authors' released code."""

BUILT_IN_TASKS: dict[str, Task] = {task.name: task for task in CARDIOMETABOLIC_TASKS}


class TaskTable(RootModel[tuple[Task, ...]]):
    """The tasks of one dataset, in the order of every (…, T) array. JSON: a list of tasks."""

    model_config = ConfigDict(frozen=True)

    @model_validator(mode="after")
    def _names_are_unique(self) -> Self:
        if not self.root:
            raise ValueError("a task table should hold at least one task, was empty")
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice:
            raise ValueError(f"task names should be unique, found twice: {', '.join(twice)}")
        return self

    @classmethod
    def of(cls, tasks: Iterable[Task]) -> "TaskTable":
        return cls(root=tuple(tasks))

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(task.name for task in self.root)

    @property
    def is_binary(self) -> tuple[bool, ...]:
        return tuple(task.kind == "binary" for task in self.root)

    @property
    def is_graded(self) -> tuple[bool, ...]:
        return tuple(task.is_graded for task in self.root)

    @property
    def num_outputs(self) -> int:
        """Columns O of a network's outputs; T where no task is graded."""
        return sum(task.num_outputs for task in self.root)

    @property
    def outputs(self) -> tuple[slice, ...]:
        """Of each task, its columns of an (…, O) array of outputs: those of a task stand together, tasks in order."""
        ends = tuple(accumulate(task.num_outputs for task in self.root))
        return tuple(slice(end - task.num_outputs, end) for task, end in zip(self.root, ends, strict=True))

    def index(self, name: str) -> int:
        """Position of a task; raises ConfigError naming the choices."""
        try:
            return self.names.index(name)
        except ValueError:
            raise ConfigError(f"task should be one of {', '.join(self.names)}, was {name!r}") from None

    def __len__(self) -> int:
        return len(self.root)

    def __iter__(self) -> Iterator[Task]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return iter(self.root)

    def __getitem__(self, name: str) -> Task:
        return self.root[self.index(name)]


TASK_SPLITS: dict[str, tuple[str, ...]] = {
    "anthropometric": ("sex", "age", "height", "weight", "bmi", "waist"),
    "demographic": ("sex", "age"),
    "anthropometric_pressures": ("sex", "age", "height", "weight", "bmi", "waist", "sbp", "dbp"),
    "none": (),
}
"""Named choices of priors; 'anthropometric' is the paper's."""


@dataclass(frozen=True)
class TaskSplit:
    """Which tasks are predicted first and propagated. Priors and targets partition the table, in its order."""

    priors: tuple[str, ...]
    targets: tuple[str, ...]

    @classmethod
    def parse(cls, text: str, tasks: TaskTable) -> "TaskSplit":
        """The split that a config names.

        A name of `TASK_SPLITS` (those of its priors that the dataset has and no target is derived from), or the
        priors themselves joined by '+', such as 'age+sex'. Raises ConfigError for an unknown name, an unknown task, a
        prior from which a target is derived, or when no target is left.
        """
        if text in TASK_SPLITS:
            return cls.of(honest_priors([name for name in TASK_SPLITS[text] if name in tasks.names], tasks), tasks)
        priors = text.split("+")
        unknown = [name for name in priors if name not in tasks.names]
        if unknown:
            raise ConfigError(
                f"task_split should be one of {', '.join(TASK_SPLITS)} or tasks joined by '+' out of "
                f"{', '.join(tasks.names)}; was {text!r} (not a task: {', '.join(unknown)})"
            )
        return cls.of(priors, tasks)

    @classmethod
    def of(cls, priors: Sequence[str], tasks: TaskTable) -> "TaskSplit":
        """The split with these priors. Raises ConfigError as `parse` does."""
        chosen = set(priors)
        split = cls(
            priors=tuple(name for name in tasks.names if name in chosen),
            targets=tuple(name for name in tasks.names if name not in chosen),
        )
        if not split.targets:
            raise ConfigError(
                f"task_split should leave a task to predict as target, had all of {', '.join(tasks.names)}"
            )
        for name in split.priors:
            derived = _derived_targets(name, chosen, tasks)
            if derived:
                raise ConfigError(
                    f"task_split should not make {name} a prior: {derived[0]} is derived from it and would be handed "
                    f"the answer"
                )
        return split

    def role(self, name: str) -> TaskRole:
        return "prior" if name in self.priors else "target"


def honest_priors(priors: Sequence[str], tasks: TaskTable) -> list[str]:
    """Those of the priors from which no target is derived; one that is left out is a target, which may be derived from
    others."""
    kept = list(priors)
    while dishonest := [name for name in kept if _derived_targets(name, set(kept), tasks)]:
        kept = [name for name in kept if name not in dishonest]
    return kept


def _derived_targets(prior: str, priors: set[str], tasks: TaskTable) -> list[str]:
    return [task.name for task in tasks if task.name not in priors and prior in task.derived_from]


TASK_GROUPS: dict[str, tuple[tuple[str, ...], ...]] = {
    "physiological": (
        ("sex", "age", "height", "weight", "bmi", "waist"),
        ("sbp", "dbp"),
        ("total_cholesterol", "triglycerides"),
        ("glucose", "hba1c"),
        ("bun", "creatinine", "uric_acid"),
    ),
}
"""Named groups of tasks: body, pressure, lipids, sugar, kidney."""


def parse_task_groups(text: str, tasks: TaskTable) -> tuple[tuple[str, ...], ...]:
    """The groups that a config names; each task is in one, those that no group names are the last.

    'each' is a group a task; a name of `TASK_GROUPS`; or groups joined by '/' of tasks joined by '+', such as
    'sex+age/sbp+dbp'. Raises ConfigError for an unknown name or task, a task in two groups, and fewer than two groups.
    """
    named = TASK_GROUPS.get(text, tuple(tuple(group.split("+")) for group in text.split("/")))
    if text == "each":
        named = tuple((name,) for name in tasks.names)
    listed = [name for group in named for name in group]
    unknown = [name for name in listed if name not in tasks.names and text not in TASK_GROUPS]
    if unknown or len(set(listed)) < len(listed):
        problem = f"not a task: {', '.join(unknown)}" if unknown else "a task is named twice"
        raise ConfigError(
            f"task_groups should be none, each, {', '.join(TASK_GROUPS)} or groups such as 'sex+age/sbp+dbp' of "
            f"{', '.join(tasks.names)}; was {text!r} ({problem})"
        )
    rest = tuple(name for name in tasks.names if name not in listed)
    present = (tuple(name for name in tasks.names if name in group) for group in (*named, rest))
    groups = tuple(group for group in present if group)
    if len(groups) < 2:
        raise ConfigError(
            f"task_groups {text!r} should come to two groups or more on {', '.join(tasks.names)}, was one"
        )
    return groups
