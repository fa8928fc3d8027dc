"""An evaluation as rows for people: the same in a model card and in a terminal."""

from rich.table import Table

from sepl.metrics import Estimate, Evaluation, TaskEvaluation
from sepl.metrics.known import KnownEvaluation, KnownSkill
from sepl.reports.numbers import figure
from sepl.tasks import TaskTable

SKILL_HEADER = ("task", "unit", "n", "skill", "floor", "reachable", "MAE or AUC", "median predictor", "coverage")


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
        caption="skill: 1 − MAE / MAE of the median predictor, or 2 · AUC − 1; floor: measured age and sex alone",
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


def _told(found: Estimate | None) -> str:
    return "" if found is None else str(found)


def skill_caption(evaluation: Evaluation) -> str:
    """Which patients, how often resampled, what the figures are."""
    return (
        f"{evaluation.num_patients} patients of the cohort split {evaluation.cohort_split}, each counted once; "
        f"brackets are 95 % patient-bootstrap intervals ({evaluation.num_bootstrap} resamples). Skill is "
        "1 − MAE/MAE(median of train), or 2·AUC − 1 for a binary task; the floor is what measured age and sex alone "
        "predict; coverage is the share of patients inside their prediction interval."
    )


def _row(task: TaskEvaluation) -> tuple[str, ...]:
    is_binary = task.kind == "binary"
    return (
        task.label,
        task.unit,
        f"{task.num_patients} ({task.num_positive} positive)" if is_binary else str(task.num_patients),
        str(task.skill),
        str(task.floor_skill),
        "" if task.reachable_skill is None else f"{task.reachable_skill:.3f}",
        f"{'AUC' if is_binary else 'MAE'} {task.measures['auc' if is_binary else 'mae']}",
        "AUC 0.500" if is_binary else f"MAE {task.measures['median_mae']}",
        "" if task.interval_coverage is None else str(task.interval_coverage),
    )


def _short_row(task: TaskEvaluation) -> dict[str, str]:
    """The task's clinical measure stands beside the median predictor's."""
    is_binary = task.kind == "binary"
    measure = figure(task.measures["auc" if is_binary else "mae"].value)
    positive = "" if task.num_positive is None else f" ({task.num_positive} +)"
    return {
        "factor": task.label,
        "role": task.role,
        "patients": f"{task.num_patients}{positive}",
        "skill": str(task.skill),
        "floor": figure(task.floor_skill.value),
        "reachable": "" if task.reachable_skill is None else figure(task.reachable_skill),
        "error": f"AUC {measure}" if is_binary else f"{measure} {task.unit}",
        "median's": "0.500" if is_binary else figure(task.measures["median_mae"].value),
        "coverage": "" if task.interval_coverage is None else figure(task.interval_coverage.value),
    }
