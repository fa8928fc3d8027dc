"""Sections of the report on how the search went; each is one of `sepl.tuning.report.report.SECTIONS`."""

from collections.abc import Sequence
from datetime import datetime

from markupsafe import Markup

from sepl.data.dataset.dataset import PreparedDataset
from sepl.errors import ConfigError, SeplError
from sepl.reports import page as html
from sepl.tasks import TASK_SPLITS, TaskSplit, TaskTable
from sepl.tuning.report.search_figures import (
    MOST_COLUMNS,
    hours_figure,
    occupancy_figure,
    parallel_figure,
    roles_figure,
)
from sepl.tuning.report.study_page import OF_TRIALS, StudyPage, hours_spent, running_at_once


def hours_section(page: StudyPage) -> Markup:
    """Skill against what it cost."""
    unit, spent = hours_spent(page.own_trials)
    if not spent:
        return Markup()
    price = page.price_per_hour if unit != OF_TRIALS else None
    note = f"Validation patients; a trial stands where it ended, after {unit} of all trials that had ended by then."
    if price:
        note += f" An hour costs {price:g}."
    return html.section(
        "Skill against hours", html.plot(hours_figure(page.board.root, spent, unit, price), "hours"), note=note
    )


def occupancy_section(page: StudyPage) -> Markup:
    """Whether the machines were busy."""
    now = datetime.now()
    steps = running_at_once(page.own_trials, now)
    if not steps:
        return Markup()
    note = "By the clock, pauses between drivers among it; of a trial that was interrupted its last run."
    return html.section("Trials at once", html.plot(occupancy_figure(steps), "occupancy"), note=note)


def parallel_section(page: StudyPage) -> Markup:
    """Which values go with which skill."""
    figure = parallel_figure(page.board.root)
    if figure is None:
        return Markup()
    note = (
        "A line a trial over the hyperparameters that differ. Drag along an axis to see only those; trials that were "
        "stopped early have the skill that they had by then."
    )
    return html.section("Hyperparameters beside each other", html.plot(figure, "parallel"), note=note)


def roles_section(page: StudyPage) -> Markup:
    """Which tasks each trial predicted first, where that differs."""
    rows = [row for row in page.board.root if row.curve and row.config.get("task_split")][:MOST_COLUMNS]
    if len({row.config["task_split"] for row in rows}) < 2:
        return Markup()
    table = _tasks(page)
    tasks = list(dict.fromkeys(name for row in rows for name in row.skills)) if table is None else list(table.names)
    if not tasks:
        return Markup()
    priors = [_priors(str(row.config["task_split"]), tasks, table) for row in rows]
    columns = [f"{row.number}: {row.best_skill:.2f}" for row in rows]
    is_prior_KT = [[task in chosen for task in tasks] for chosen in priors]
    note = (
        "Tasks by trials, the best trial first, with its skill; dark: predicted first, its prediction given to others."
    )
    return html.section(
        "What was predicted first", html.plot(roles_figure(columns, tasks, is_prior_KT), "roles"), note=note
    )


def failures_section(page: StudyPage) -> Markup:
    """Why trials failed, the most frequent reason first."""
    failed = [row for row in page.board.root if row.state == "failed"]
    if not failed:
        return Markup()
    reasons: dict[str, list[int]] = {}
    for row in failed:
        reasons.setdefault(row.failure or "no reason was left", []).append(row.number)
    ranked = sorted(reasons.items(), key=lambda item: -len(item[1]))
    rows = ([reason, ", ".join(map(str, sorted(numbers))), str(len(numbers))] for reason, numbers in ranked)
    return html.section("Failures", html.table(("reason", "trials", "how many"), rows, num_text_columns=2))


def history_section(page: StudyPage) -> Markup:
    """What the study began with."""
    if page.record.from_study is None:
        return Markup()
    taken = [row for row in page.board.root if row.from_study is not None]
    text = (
        f"Begun with study {page.record.from_study}: {len(taken)} of its trials count as history here, marked in the "
        "table of trials; they cost nothing and never win."
        if taken
        else f"Begun with study {page.record.from_study}, which asked another question: its settings were a prior."
    )
    return html.section("What it began with", html.paragraph(text))


def _tasks(page: StudyPage) -> TaskTable | None:
    """Of the dataset, where it can still be read."""
    try:
        return PreparedDataset.open(page.record.dataset).tasks
    except (SeplError, OSError):
        return None


def _priors(text: str, names: Sequence[str], tasks: TaskTable | None) -> Sequence[str]:
    if tasks is not None:
        try:
            return TaskSplit.parse(text, tasks).priors
        except ConfigError:
            return ()
    return [name for name in TASK_SPLITS.get(text, tuple(text.split("+"))) if name in names]
