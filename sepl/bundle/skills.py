"""An evaluation as rows for people: the same in a model card and in a terminal."""

from rich.table import Table

from sepl.metrics import Evaluation, TaskEvaluation

SKILL_HEADER = ("task", "unit", "n", "skill", "floor", "reachable", "MAE or AUC", "median predictor", "coverage")


def skill_rows(evaluation: Evaluation) -> list[tuple[str, ...]]:
    """One row a task under `SKILL_HEADER`, then the mean; brackets hold 95 % patient-bootstrap intervals."""
    mean, floor = str(evaluation.mean_skill), str(evaluation.floor_mean_skill)
    return [*map(_row, evaluation.tasks), ("mean", "", str(evaluation.num_patients), mean, floor, "", "", "", "")]


def skill_table(evaluation: Evaluation) -> Table:
    """For a terminal."""
    table = Table(title=skill_caption(evaluation), title_justify="left", title_style="", caption_justify="left")
    for name in SKILL_HEADER:
        table.add_column(name, justify="left" if name in ("task", "unit") else "right")
    rows = skill_rows(evaluation)
    for row in rows:
        table.add_row(*row, end_section=row is rows[-2])
    return table


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
