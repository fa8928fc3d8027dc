"""The tasks of a cohort file: built in, of its own, and by rules on others."""

from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from sepl.data.cohort.settings import CohortSpec, TaskColumn
from sepl.data.rules import Rule, parse_rule
from sepl.errors import CohortError
from sepl.settings import describe
from sepl.tasks import Task, TaskTable


def rules_of(spec: CohortSpec, path: Path) -> dict[str, Rule]:
    """The tasks by threshold, each after those that it compares. Raises CohortError for an unknown name or a circle."""
    entries = spec.tasks | spec.inputs
    texts = {name: entry.when for name, entry in entries.items() if entry.when is not None}
    rules: dict[str, Rule] = {}

    def visit(name: str, above: tuple[str, ...]) -> None:
        where = f"{path}, [tasks.{name}]"
        if name in above:
            raise CohortError(f"{where}: when should not lead back to itself, did by {' → '.join((*above, name))}")
        try:
            rule = parse_rule(texts[name])
        except ValueError as problem:
            raise CohortError(f"{where}: {problem}") from None
        unknown = [other for other in rule.names if other not in entries]
        if unknown:
            known = ", ".join(other for other in entries if other != name)
            raise CohortError(f"{where}: when should compare {known}, was {unknown[0]!r}")
        for other in rule.names:
            if other in texts and other not in rules:
                visit(other, (*above, name))
        rules[name] = rule

    for name in texts:
        if name not in rules:
            visit(name, ())
    return rules


def tasks_of(spec: CohortSpec, rules: Mapping[str, Rule], path: Path) -> TaskTable:
    """The cohort's tasks, each with those that it is derived from. Raises CohortError naming the section."""
    for name, entry in spec.inputs.items():
        task_of(name, entry, path, "inputs")
    tasks = [task_of(name, entry, path, "tasks") for name, entry in spec.tasks.items()]
    sources: dict[str, tuple[str, ...]] = {}
    for name, rule in rules.items():
        found = [source for other in rule.names for source in (other, *sources.get(other, ()))]
        sources[name] = tuple(dict.fromkeys(found))
    return TaskTable.of(
        task.model_copy(update={"derived_from": tuple(n for n in sources.get(task.name, ()) if n in spec.tasks)})
        for task in tasks
    )


def task_of(name: str, entry: TaskColumn, path: Path, section: str) -> Task:
    """The task of one section of [tasks] or [inputs]. Raises CohortError naming it."""
    try:
        return entry.task(name)
    except ValidationError as problem:
        raise CohortError(f"{path}, [{section}.{name}]: {describe(problem)}") from None
    except ValueError as problem:
        raise CohortError(f"{path}, [{section}.{name}]: {problem}") from None


def reachable_skill(spec: CohortSpec) -> dict[str, float]:
    """Of the tasks whose section says it."""
    return {name: task.reachable_skill for name, task in spec.tasks.items() if task.reachable_skill is not None}
