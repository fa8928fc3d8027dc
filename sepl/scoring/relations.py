"""Values that follow from known ones by a rule: exact, and no prediction any more."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sepl.tasks import TaskTable


@dataclass(frozen=True)
class Relation:
    """A task that others decide, where all are in these units."""

    task: str
    units: Mapping[str, str]
    """Of the task and of those that decide it."""
    rule: Callable[[Mapping[str, float]], float]
    tolerance: float
    """How far a value given beside the others may be off, as a share: what rounding can do."""

    @property
    def inputs(self) -> tuple[str, ...]:
        return tuple(name for name in self.units if name != self.task)

    def holds_in(self, tasks: TaskTable) -> bool:
        """Whether the table has its tasks in its units."""
        return all(name in tasks.names and tasks[name].unit == unit for name, unit in self.units.items())


def _body_mass_index(known: Mapping[str, float]) -> float:
    return known["weight"] / (known["height"] / 100) ** 2


RELATIONS = (Relation("bmi", {"bmi": "kg/m2", "weight": "kg", "height": "cm"}, _body_mass_index, tolerance=0.03),)


def contradiction(known: Mapping[str, float], tasks: TaskTable) -> dict[str, str]:
    """Reasons, by task, not to believe values that contradict each other: which of them is wrong nobody can tell."""
    reasons: dict[str, str] = {}
    for relation in _that_hold(known, tasks):
        if relation.task not in known:
            continue
        value, expected = known[relation.task], relation.rule(known)
        if abs(value - expected) > relation.tolerance * abs(expected):
            of = " and ".join(f"{name} {known[name]:g}" for name in relation.inputs)
            reason = f"{relation.task} {value:g} contradicts {expected:.3g} of {of}"
            reasons |= dict.fromkeys((relation.task, *relation.inputs), reason)
    return reasons


def derived(known: Mapping[str, float], tasks: TaskTable) -> dict[str, float]:
    """What follows from the known values and is not among them; nothing implausible does."""
    found = {row.task: row.rule(known) for row in _that_hold(known, tasks) if row.task not in known}
    return {name: value for name, value in found.items() if tasks[name].is_plausible(value)}


def _that_hold(known: Mapping[str, float], tasks: TaskTable) -> list[Relation]:
    return [row for row in RELATIONS if row.holds_in(tasks) and all(name in known for name in row.inputs)]
