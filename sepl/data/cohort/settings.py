"""`cohort.toml`: the settings by which an owner describes a cohort. docs/cohorts.md shows them, simplest first."""

import re
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, field_validator, model_validator

from sepl.data.cohort.rules import parse_rule
from sepl.data.imaging.quality import NAMES as MEASURES
from sepl.data.imaging.quality import QualityThresholds
from sepl.data.label_schema import reserved_names
from sepl.data.patients.ids import IdOptions
from sepl.data.patients.splits import SplitOptions
from sepl.data.tables.dates import DateOrder
from sepl.data.tables.levels import level_name, meanings_of
from sepl.data.tables.table import Reading
from sepl.data.tables.units import Unit, quantity_of
from sepl.data.tables.values import Code, Decimal, key_of
from sepl.errors import CohortError
from sepl.settings import Settings
from sepl.tasks import BUILT_IN_TASKS, PatientValue, Task, TaskKind

PATTERN_GROUPS = ("patient", "eye", "visit", "site", "camera")


def _listed(value: object) -> object:
    return value if isinstance(value, list | tuple) else (value,)


def _named(value: object) -> object:
    if not isinstance(value, list | tuple):
        return value
    return tuple(level_name(name) if isinstance(name, Code) else name for name in value)


Codes = Annotated[tuple[Code, ...], BeforeValidator(_listed)]
Levels = Annotated[tuple[str, ...], BeforeValidator(_named)]


class Columns(Settings):
    """Which column of the one table says what."""

    image: str = "image"
    """Path of the photograph below the image folder."""
    patient: str = "patient"
    eye: str | None = None
    visit: str | None = None
    site: str | None = None
    camera: str | None = None


class TableEntry(Settings):
    """One `[[tables]]` section: a file and the columns by which its rows belong to photographs."""

    path: str
    name: str | None = None
    """What tasks call the table; its path when left out."""
    per: Literal["photograph", "visit", "patient"]
    image: str | None = None
    patient: str | None = None
    eye: str | None = None
    """In a table of visits or patients: a row is about one eye."""
    visit: str | None = None
    site: str | None = None
    camera: str | None = None
    within_days: int | None = Field(default=None, ge=0)
    """In a table of visits: a photograph without a row of its own date takes the nearest within so many days."""
    missing: Codes = ()
    """Codes that stand for an absent value in any of its task columns."""
    sheet: str | int | None = None
    encoding: str | None = None
    delimiter: str | None = Field(default=None, min_length=1, max_length=1)
    decimal: Decimal | None = None
    dates: DateOrder | None = None
    """Order of day and month in dates that can be read both ways."""
    header: int = Field(default=1, ge=1)

    @model_validator(mode="after")
    def _has_its_keys(self) -> Self:
        needed = {"photograph": ("image",), "visit": ("patient", "visit"), "patient": ("patient",)}[self.per]
        lacking = [key for key in needed if getattr(self, key) is None]
        if lacking:
            raise ValueError(f"a table per {self.per} needs the columns {', '.join(needed)}; lacking: {lacking[0]}")
        if self.per != "visit" and self.within_days is not None:
            raise ValueError("within_days is for a table per visit")
        if self.per == "patient" and self.visit is not None:
            raise ValueError("a table per patient has no visit column; one with visits is per visit")
        if self.per != "photograph" and (self.image is not None or self.camera is not None):
            raise ValueError(f"a table per {self.per} has no image or camera column")
        return self

    @property
    def title(self) -> str:
        return self.name or self.path

    @property
    def reading(self) -> Reading:
        return Reading(self.sheet, self.encoding, self.delimiter, self.header)

    def roles(self) -> dict[str, str]:
        """Column by what it says: image, patient, eye, visit, site, camera."""
        named = {role: getattr(self, role) for role in ("image", *PATTERN_GROUPS)}
        return {role: column for role, column in named.items() if column is not None}


class TaskColumn(Settings):
    """One `[tasks.NAME]` section. A built-in task needs its column only; a task of one's own, what it is as well."""

    column: str | None = None
    """May be left out for age and sex, which DICOM headers tell, and has no place beside `when`."""
    table: str | None = None
    """Name or path of the table whose column is meant, where several have one of that name."""
    kind: TaskKind | None = None
    unit: str | None = None
    """Of the column. A built-in task is converted from it; one's own keeps it."""
    trust_unit: bool = False
    """True when the unit is right although another fits the values far better."""
    missing: Codes = ()
    """Codes that stand for an absent value, such as −9 or 999."""
    label: str | None = None
    low: float | None = None
    high: float | None = None
    positive: Codes | None = None
    """Values that mean 1 in a binary task; every other value then means 0, unless `negative` is given too."""
    negative: Codes | None = None
    male: Codes = ()
    """Spellings in the column of sex that mean male; others are read as goes with them."""
    female: Codes = ()
    levels: Levels = ()
    """Names of the grades of an ordinal task, the mildest first, or of the classes of a categorical one."""
    cells: dict[str, Codes] = Field(default_factory=dict)
    """By level, values that mean it beside its name."""
    patient: PatientValue | None = None
    """Of an ordinal task: a patient has the mean of several photographs' grades, or the worst."""
    when: str | None = None
    """A binary task by threshold on other tasks, such as "sbp >= 140 or dbp >= 90"."""
    reachable_skill: float | None = Field(default=None, le=1.0)
    """Best skill that the data allow, where it is known (simulated cohorts)."""

    @field_validator("positive", "negative")
    @classmethod
    def _some_code(cls, codes: Codes | None) -> Codes | None:
        if codes is not None and not codes:
            raise ValueError("should name at least one value")
        return codes

    def task(self, name: str) -> Task:
        """The task that this section names or defines. Raises ValueError."""
        if name in reserved_names(MEASURES):
            raise ValueError(f"a task should not be named {name}: the prepared table has a column of that name")
        if self.when is not None:
            return self._derived(name)
        if self.column is None and name not in ("age", "sex"):
            raise ValueError("column is missing")
        task = self._built_in(name) if name in BUILT_IN_TASKS else self._own(name)
        if task.kind != "binary" and (self.positive or self.negative):
            raise ValueError("positive and negative are for binary tasks")
        if self.negative and not self.positive:
            raise ValueError("negative needs positive beside it")
        if not task.is_graded and (self.levels or self.cells or self.patient):
            raise ValueError("levels, cells and patient are for ordinal and categorical tasks")
        meanings_of(task.levels, self.cells)
        self._check_sexes(name)
        return task

    def _check_sexes(self, name: str) -> None:
        if (self.male or self.female) and (name != "sex" or self.positive):
            raise ValueError("male and female are for sex, without positive and negative")
        if both := {key_of(code) for code in self.male} & {key_of(code) for code in self.female}:
            raise ValueError(f"a spelling should be in male or in female, {min(map(str, both))!r} was in both")

    def column_unit(self, name: str) -> Unit | None:
        """The unit of the column of a built-in regression task; None for any other. Raises ValueError."""
        quantity = quantity_of(name)
        if quantity is None:
            return None
        return quantity.unit(self.unit) if self.unit is not None else quantity.units[0]

    def _derived(self, name: str) -> Task:
        allowed = {"when", "label", "reachable_skill", "kind"}
        others = sorted(self.model_fields_set - allowed)
        if others or self.kind not in (None, "binary"):
            raise ValueError(f"a task with when is binary and has no {', '.join(others) or 'other kind'}")
        if name in BUILT_IN_TASKS:
            raise ValueError(f"{name} is built in; a task with when needs a name of its own")
        parse_rule(str(self.when))
        return Task(name=name, kind="binary", unit="probability", label=self.label or name, low=0.0, high=1.0)

    def _built_in(self, name: str) -> Task:
        fixed = [key for key in ("kind", "label", "low", "high") if getattr(self, key) is not None]
        if fixed:
            raise ValueError(f"{name} is built in and has its own {', '.join(fixed)}; leave out, or take another name")
        if self.unit is not None and self.column_unit(name) is None:
            raise ValueError(f"{name} has no unit")
        return BUILT_IN_TASKS[name]

    def _own(self, name: str) -> Task:
        if self.kind is None:
            raise ValueError(f"{name} is not built in ({', '.join(BUILT_IN_TASKS)}), so it needs kind")
        label = self.label or name
        if self.kind != "regression" and not (self.unit is None and self.low is None and self.high is None):
            raise ValueError(f"a task that is {self.kind} has no unit, low or high of its own")
        if self.kind == "binary":
            return Task(name=name, kind="binary", unit="probability", label=label, low=0.0, high=1.0)
        if self.kind != "regression":
            patient = self.patient or "mean"
            return Task(name=name, kind=self.kind, unit="level", label=label, levels=self.levels, patient=patient)
        if self.unit is None:
            raise ValueError("a regression task needs its unit")
        return Task(name=name, kind="regression", unit=self.unit, label=label, low=self.low, high=self.high)


class PhotographOptions(Settings):
    """The `[photographs]` section."""

    pattern: str | None = None
    """Regular expression searched in a photograph's path; its groups patient, eye, visit, site, camera say who and what
    where no table does."""
    field_of_view: bool = True
    """False when the photographs should be kept whole."""
    clahe: bool = False
    mirror_left: bool = False

    @field_validator("pattern")
    @classmethod
    def _names_its_groups(cls, pattern: str | None) -> str | None:
        if pattern is None:
            return None
        try:
            groups = list(re.compile(pattern).groupindex)
        except re.error as problem:
            raise ValueError(f"should be a regular expression ({problem})") from None
        wrong = [name for name in groups if name not in PATTERN_GROUPS]
        if wrong or not groups:
            raise ValueError(f"should have groups (?P<name>…) named {', '.join(PATTERN_GROUPS)}")
        return pattern


class KnownOptions(Settings):
    """The `[known]` section."""

    patterns: tuple[tuple[str, ...], ...] | None = None
    """Sets of tasks that will be known beside the photographs; None: age and sex, and all simple factors."""

    @field_validator("patterns")
    @classmethod
    def _names_tasks(cls, patterns: tuple[tuple[str, ...], ...] | None) -> tuple[tuple[str, ...], ...] | None:
        for names in patterns or ():
            if not names or len(set(names)) < len(names):
                raise ValueError(f"a pattern should name tasks, each once, was [{', '.join(names)}]")
        return patterns


def _rules_in_short(tasks: Any) -> Any:
    """`hypertension = "sbp >= 140"` is short for `hypertension = { when = "sbp >= 140" }`."""
    if not isinstance(tasks, dict):
        return tasks
    return {name: {"when": entry} if isinstance(entry, str) else entry for name, entry in tasks.items()}


class CohortSpec(Settings):
    """`cohort.toml`. Paths are relative to the file; `images` may be a URI such as s3://…."""

    name: str = Field(min_length=1)
    layout: Literal["tables", "sepl-release"] = "tables"
    table: str | None = None
    """The one table of a simple cohort, a row a photograph."""
    images: str = "."
    field_of_view: bool = True
    """Short for the same in [photographs]."""
    missing: Codes = ()
    """Codes that stand for an absent value in every task column of every table."""
    columns: Columns = Columns()
    tables: tuple[TableEntry, ...] = ()
    ids: IdOptions = IdOptions()
    photographs: PhotographOptions = PhotographOptions()
    quality: QualityThresholds = QualityThresholds()
    split: SplitOptions = SplitOptions()
    known: KnownOptions = KnownOptions()
    inputs: Annotated[dict[str, TaskColumn], BeforeValidator(_rules_in_short)] = Field(default_factory=dict)
    """Columns that rules may compare and nobody predicts."""
    tasks: Annotated[dict[str, TaskColumn], BeforeValidator(_rules_in_short)] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _is_of_one_form(self) -> Self:
        if self.layout == "sepl-release":
            if self.table is None or self.tables or self.columns != Columns():
                raise ValueError('layout "sepl-release" takes table and images, no tables or columns')
        elif not self.tasks:
            raise ValueError("tasks should name at least one task")
        if self.table is not None and self.tables:
            raise ValueError("table and [[tables]] exclude each other; a cohort of several tables lists them all")
        if self.tables and self.columns != Columns():
            raise ValueError("[columns] goes with table; each of [[tables]] names its own columns")
        if sum(entry.per == "photograph" for entry in self.tables) > 1:
            raise ValueError("at most one of [[tables]] should be per photograph")
        titles = [entry.title for entry in self.tables]
        twice = sorted({title for title in titles if titles.count(title) > 1})
        if twice:
            raise ValueError(f"[[tables]] of one file, such as sheets, need a name each; twice: {', '.join(twice)}")
        both = sorted(set(self.tasks) & set(self.inputs))
        if both:
            raise ValueError(f"{', '.join(both)} should be in [tasks] or in [inputs], was in both")
        return self

    def table_entries(self) -> tuple[TableEntry, ...]:
        """All tables; the one of a simple cohort as if it were listed."""
        if self.table is None:
            return self.tables
        return (TableEntry(path=self.table, per="photograph", **self.columns.model_dump()),)


def read_cohort_file(path: Path) -> CohortSpec:
    """The settings at `path`. Raises CohortError."""
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise CohortError(f"{path}: no such cohort file") from None
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as problem:
        raise CohortError(f"{path}: should be a TOML file: {problem}") from None
    return CohortSpec.parse(values, str(path), CohortError)
