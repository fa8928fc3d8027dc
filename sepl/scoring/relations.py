"""Values that follow from known ones by a rule: exact, and no prediction any more.

The body mass index is one of weight and height; a cohort's task by threshold (`sbp >= 140 or dbp >= 90`) is one of what
it compares, by the rule that preparation labelled it with.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from sepl.data.rules import parse_rule
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


def relations_of(tasks: TaskTable, rules: Mapping[str, str]) -> tuple[Relation, ...]:
    """All that hold among these tasks. `rules` are the tasks by threshold, by name; each compares tasks alone."""
    by_rule = (
        Relation(
            name,
            {name: tasks[name].unit, **{other: tasks[other].unit for other in parse_rule(text).names}},
            partial(_truth, text),
            tolerance=0.0,
        )
        for name, text in rules.items()
    )
    return (*(row for row in RELATIONS if row.holds_in(tasks)), *by_rule)


def contradiction(known: Mapping[str, float], tasks: TaskTable, relations: Sequence[Relation]) -> dict[str, str]:
    """Reasons, by task, not to believe values that contradict each other: which of them is wrong nobody can tell."""
    reasons: dict[str, str] = {}
    everything = {**known, **derived(known, tasks, relations)}
    for relation in relations:
        if relation.task not in known or not everything.keys() >= set(relation.inputs):
            continue
        value, expected = known[relation.task], relation.rule(everything)
        if abs(value - expected) > relation.tolerance * abs(expected):
            of = " and ".join(f"{name} {everything[name]:g}" for name in relation.inputs)
            reason = f"{relation.task} {value:g} contradicts {expected:.3g} of {of}"
            reasons |= dict.fromkeys((relation.task, *relation.inputs), reason)
    return reasons


def derived(known: Mapping[str, float], tasks: TaskTable, relations: Sequence[Relation]) -> dict[str, float]:
    """What follows from the known values, or from what does, and is not among them; nothing implausible does."""
    found: dict[str, float] = {}
    while True:
        everything = {**known, **found}
        following = {
            row.task: row.rule(everything)
            for row in relations
            if row.task not in everything and everything.keys() >= set(row.inputs)
        }
        following = {name: value for name, value in following.items() if tasks[name].is_plausible(value)}
        if not following:
            return found
        found |= following


def implied(names: Sequence[str], relations: Sequence[Relation]) -> tuple[str, ...]:
    """Tasks that are exact where all of `names` are known, and not among these."""
    known = set(names)
    while following := {row.task for row in relations if row.task not in known and known >= set(row.inputs)}:
        known |= following
    return tuple(row.task for row in relations if row.task in known - set(names))


def _truth(text: str, known: Mapping[str, float]) -> float:
    rule = parse_rule(text)
    return float(rule.evaluate({name: np.asarray(known[name]) for name in rule.names}))
