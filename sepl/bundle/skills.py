"""An evaluation as rows for people: the same in a model card and in a terminal."""

from rich.table import Table

from sepl.metrics import Estimate, Evaluation, TaskEvaluation
from sepl.metrics.known import KnownEvaluation, KnownSkill
from sepl.metrics.subgroups import LEAST
from sepl.reports.numbers import figure
from sepl.tasks import TaskTable

SET_SIZE = "set_size"
"""Among a graded task's measures: the mean number of levels in a patient's set."""

SKILL_HEADER = ("task", "unit", "n", "skill", "floor", "reachable", "MAE or AUC", "median predictor", "coverage")


_SHORT_CAPTION = "skill: 1 − MAE / MAE of the median predictor, or 2 · AUC − 1; floor: measured age and sex alone"
_SHORT_CAPTION_OF_GRADES = "\nof grades: quadratic kappa; of classes: (balanced accuracy − chance) / (1 − chance)"


def skill_rows(evaluation: Evaluation) -> list[tuple[str, ...]]:
    """One row a task under `SKILL_HEADER`, then the mean; brackets hold 95 % patient-bootstrap intervals."""
    mean, floor = str(evaluation.mean_skill), str(evaluation.floor_mean_skill)
    return [*map(_row, evaluation.tasks), ("mean", "", str(evaluation.num_patients), mean, floor, "", "", "", "")]


def evaluation_table(evaluation: Evaluation) -> Table:
    """For a terminal of 120 columns: skill of every factor with interval, floor and what is reachable; the mean below.

    Columns that no task fills are left out.
    """
    table = Table(
        title=f"Skill on {evaluation.num_patients} {evaluation.cohort_split} patients [95 % patient bootstrap]",
        title_justify="left",
        caption=_SHORT_CAPTION + (_SHORT_CAPTION_OF_GRADES if _has_grades(evaluation) else ""),
        caption_justify="left",
    )
    cells = [_short_row(task) for task in evaluation.tasks]
    cells.append({"factor": "mean", "patients": str(evaluation.num_patients), "skill": str(evaluation.mean_skill)})
    cells[-1]["floor"] = figure(evaluation.floor_mean_skill.value)
    headings = [heading for heading in cells[0] if any(row.get(heading) for row in cells)]
    for heading in headings:
        table.add_column(heading, justify="left" if heading in ("factor", "role", "patients") else "right")
    for row in cells:
        table.add_row(*(row.get(heading, "") for heading in headings), end_section=row is cells[-2])
    return table


def subgroup_table(evaluation: Evaluation) -> Table:
    """For a terminal: mean skill of groups of patients."""
    table = Table(title="Mean skill of groups of patients", title_justify="left")
    for heading in SUBGROUP_HEADER:
        table.add_column(heading, justify="right" if heading in ("n", "mean skill") else "left")
    for row in subgroup_rows(evaluation):
        table.add_row(*row)
    return table


def known_table(evaluation: KnownEvaluation, tasks: TaskTable) -> Table:
    """For a terminal: what knowing these values brings to the others."""
    table = Table(
        title=f"Skill of {evaluation.num_patients} patients with {' and '.join(evaluation.known)} known",
        title_justify="left",
        caption="known alone: the same values without a photograph; another's: with another patient's values",
        caption_justify="left",
    )
    for heading in KNOWN_HEADER:
        table.add_column(heading, justify="left" if heading in ("task", "n") else "right")
    rows = known_rows(evaluation, tasks)
    for row in rows:
        table.add_row(*row, end_section=row is rows[-2])
    return table


KNOWN_HEADER = ("task", "n", "nothing known", "known", "known alone", "known − known alone", "another's", "coverage")


def known_rows(evaluation: KnownEvaluation, tasks: TaskTable) -> list[tuple[str, ...]]:
    """One row a task that is not known, then the mean, under `KNOWN_HEADER`."""
    rows = [
        (tasks[row.name].label, str(row.num_patients), *_known_skill(row.skill), _told(row.interval_coverage))
        for row in evaluation.tasks
    ]
    return [*rows, ("mean", str(evaluation.num_patients), *_known_skill(evaluation.mean_skill), "")]


def _known_skill(skill: KnownSkill) -> tuple[str, ...]:
    found = (skill.unknown, skill.known, skill.floor, skill.known_over_floor, skill.shuffled)
    return tuple(map(str, found))


SUBGROUP_HEADER = ("patients by", "group", "n", "mean skill")


def subgroup_rows(evaluation: Evaluation) -> list[tuple[str, ...]]:
    """One row a group of patients, under `SUBGROUP_HEADER`."""
    return [
        (row.by, row.group, str(row.num_patients), TOO_FEW if row.mean_skill is None else str(row.mean_skill))
        for row in evaluation.subgroups
    ]


TOO_FEW = f"too few to tell (fewer than {LEAST})"


def tell_readings(num_readings: int, num_studies: int) -> str:
    """How often sealed patients were read, in a sentence; empty when nobody counted."""
    if not num_readings:
        return ""
    times = "once" if num_readings == 1 else f"{num_readings} times"
    studies = "1 study" if num_studies == 1 else f"{num_studies} studies"
    return f"These sealed patients have been read {times} by {studies}."


def grade_measures(task: TaskEvaluation) -> tuple[str, str]:
    """Of a graded task: what it reaches, with intervals, and what the most frequent training level would."""
    measures = task.measures
    if task.kind == "ordinal":
        own = f"kappa {measures['kappa']}, MAE {measures['mae']} levels"
        return own, f"MAE {measures['usual_mae']} levels"
    own = f"balanced accuracy {measures['balanced_accuracy']}, accuracy {measures['accuracy']}"
    return own, f"accuracy {measures['usual_accuracy']}"


def grade_coverage(task: TaskEvaluation) -> str:
    """Of a graded task: how often its sets hold the level, and how large they are; empty where it has none."""
    if task.interval_coverage is None:
        return ""
    size = task.measures.get(SET_SIZE)
    of = "" if size is None else f" in sets of {figure(size.value)} of {len(task.levels)} levels"
    return f"{task.interval_coverage}{of}"


def confusion_rows(task: TaskEvaluation) -> list[tuple[str, ...]]:
    """A row a true level, whose first cell it is: the patients by predicted level."""
    counts = task.confusion or ()
    return [(level, *map(str, row)) for level, row in zip(task.levels, counts, strict=True)] if counts else []


def _told(found: Estimate | None) -> str:
    return "" if found is None else str(found)


def skill_caption(evaluation: Evaluation) -> str:
    """Which patients, how often resampled, what the figures are."""
    return (
        f"{evaluation.num_patients} patients of the cohort split {evaluation.cohort_split}, each counted once; "
        f"brackets are 95 % patient-bootstrap intervals ({evaluation.num_bootstrap} resamples). Skill is "
        f"1 − MAE/MAE(median of train), or 2·AUC − 1 for a binary task{_of_grades(evaluation)}; the floor is what "
        "measured age and sex alone predict; coverage is the share of patients inside their prediction interval"
        f"{', or whose level is in its set' if _has_grades(evaluation) else ''}."
    )


def _has_grades(evaluation: Evaluation) -> bool:
    return any(task.levels for task in evaluation.tasks)


def _of_grades(evaluation: Evaluation) -> str:
    if not _has_grades(evaluation):
        return ""
    return ", quadratic-weighted kappa for grades, (balanced accuracy − chance)/(1 − chance) for classes"


def _row(task: TaskEvaluation) -> tuple[str, ...]:
    is_binary = task.kind == "binary"
    own, usual, coverage = _measured(task)
    return (
        task.label,
        task.unit,
        f"{task.num_patients} ({task.num_positive} positive)" if is_binary else str(task.num_patients),
        str(task.skill),
        str(task.floor_skill),
        "" if task.reachable_skill is None else f"{task.reachable_skill:.3f}",
        own,
        usual,
        coverage,
    )


def _measured(task: TaskEvaluation) -> tuple[str, str, str]:
    """What it reaches, what a constant would, and coverage."""
    if task.levels:
        return *grade_measures(task), grade_coverage(task)
    if task.kind == "binary":
        return f"AUC {task.measures['auc']}", "AUC 0.500", _told(task.interval_coverage)
    return f"MAE {task.measures['mae']}", f"MAE {task.measures['median_mae']}", _told(task.interval_coverage)


def _short_row(task: TaskEvaluation) -> dict[str, str]:
    """The task's clinical measure stands beside the median predictor's."""
    error, constant = _short_measures(task)
    positive = "" if task.num_positive is None else f" ({task.num_positive} +)"
    return {
        "factor": task.label,
        "role": task.role,
        "patients": f"{task.num_patients}{positive}",
        "skill": str(task.skill),
        "floor": figure(task.floor_skill.value),
        "reachable": "" if task.reachable_skill is None else figure(task.reachable_skill),
        "error": error,
        "median's": constant,
        "coverage": "" if task.interval_coverage is None else figure(task.interval_coverage.value),
    }


def _short_measures(task: TaskEvaluation) -> tuple[str, str]:
    found = {name: figure(measure.value) for name, measure in task.measures.items()}
    if task.kind == "binary":
        return f"AUC {found['auc']}", "0.500"
    if task.kind == "ordinal":
        return f"{found['mae']} levels", found["usual_mae"]
    if task.kind == "categorical":
        return f"accuracy {found['accuracy']}", found["usual_accuracy"]
    return f"{found['mae']} {task.unit}", found["median_mae"]
