"""A study as one HTML file that needs nothing else: to read, to keep, to send."""

import json
import shlex
from collections.abc import Callable, Sequence

from markupsafe import Markup

from sepl.bundle.skills import KNOWN_HEADER, grade_coverage, grade_measures, known_rows
from sepl.errors import StudyError
from sepl.locking import holder
from sepl.metrics import Evaluation, TaskEvaluation
from sepl.reports import page as html
from sepl.reports.numbers import figure, param
from sepl.storage import Location
from sepl.training.affinity.record import Affinity
from sepl.tuning.probe.record import closed_form_skill
from sepl.tuning.record.record import AFFINITY, BUNDLE_ID, StudyFolder
from sepl.tuning.report.figures import (
    affinity_figure,
    confusion_figure,
    curves_figure,
    history_figure,
    importance_figure,
    skill_figure,
)
from sepl.tuning.report.pareto import cost_section
from sepl.tuning.report.probe import probe_section, verdict
from sepl.tuning.report.rungs import rungs_section
from sepl.tuning.report.search_sections import (
    failures_section,
    history_section,
    hours_section,
    occupancy_section,
    parallel_section,
    roles_section,
)
from sepl.tuning.report.study_page import StudyPage
from sepl.tuning.report.winner import finalists_section, readings_told, subgroups_section
from sepl.tuning.results.cost import cost
from sepl.tuning.results.importance import importance
from sepl.tuning.results.leaderboard import Leaderboard, TrialRow, leaderboard
from sepl.tuning.results.tables import CLOSED_FORM

REFRESH_SECONDS = 60
"""After which the page of a running study reads itself anew."""
_MOST_ROWS = 100


def write_report(storage: str, study: str, out: Location) -> None:
    """Writes the report of a study, also of one that still runs: then it reads itself anew every minute.

    Raises StudyError when there is none.
    """
    page = read_page(storage, study)
    is_running = page.ended is None and holder(page.folder.location) is not None
    sections = [make(page) for make in SECTIONS]
    refresh = REFRESH_SECONDS if is_running else None
    out.write_bytes(html.page(study, f"Search on {page.record.dataset}", sections, refresh_seconds=refresh).encode())


def read_page(storage: str, study: str) -> StudyPage:
    """What the sections are made from. Raises StudyError without a study."""
    folder = StudyFolder.at(storage, study)
    record = folder.read()
    trials = folder.load_study()
    board = leaderboard(trials)
    if BUNDLE_ID not in trials.user_attrs:
        return StudyPage(folder, record, trials, board)
    from sepl.bundle.registry import Registry  # torch, which the report of a running study does without

    bundle = Registry(folder.registry.uri).show(trials.user_attrs[BUNDLE_ID])
    return StudyPage(folder, record, trials, board, bundle.evaluation, bundle.manifest)


def _history_section(page: StudyPage) -> Markup:
    plot = html.plot(history_figure(page.board), "history")
    return html.section("Optimisation history", plot, note="Validation patients; one point a trial.")


def _curves_section(page: StudyPage) -> Markup:
    plot = html.plot(curves_figure(page.board), "curves")
    note = "A cross where a trial was stopped early or failed; a click on a name hides what ended so."
    return html.section("Learning curves", plot, note=note)


def _trials_section(page: StudyPage) -> Markup:
    num_rows = len(page.board.root)
    note = f"The best {min(_MOST_ROWS, num_rows)} of {num_rows}; a click on a heading sorts."
    return html.section("Trials", _trials_table(page.board, closed_form_skill(page.folder)), note=note)


def _summary(page: StudyPage) -> Markup:
    board, evaluation, ended = page.board.own(), page.evaluation, page.ended
    counts, best = board.counts(), board.best()
    finished = counts["complete"] + counts["pruned"] + counts["failed"]
    tiles = [
        ("trials", str(finished), f"{counts['complete']} full, {counts['pruned']} stopped, {counts['failed']} failed"),
        ("epochs", str(sum(row.num_epochs for row in board.root)), ended or "the search is not over"),
    ]
    tiles += _cost_tiles(page)
    if best is not None:
        tiles.append(("best validation skill", f"{best.best_skill:.3f}", f"trial {best.number}"))
    if evaluation is not None:
        mean, floor = evaluation.mean_skill, evaluation.floor_mean_skill
        tiles.append(("test skill", figure(mean.value), f"{mean}, {evaluation.num_patients} patients"))
        tiles.append(("floor", figure(floor.value), f"{floor}, age and sex alone"))
        for pattern in evaluation.known:
            skill = pattern.mean_skill
            told = f"{skill.known}, {figure(skill.unknown.value)} with nothing known"
            tiles.append((f"{_joined(pattern.known)} known", figure(skill.known.value), told))
    return html.tiles(tiles)


def _cost_tiles(page: StudyPage) -> list[tuple[str, str, str]]:
    spent = cost(page.own_trials)
    if not spent.hours:
        return []
    price = page.price_per_hour
    told = f"{spent.seconds / 3600:.2f} hours of trials" if price is None else f"cost {price * spent.hours:.2f}"
    return [(f"{spent.unit}-hours", f"{spent.hours:.2f}", told)]


def _skill_section(page: StudyPage) -> Markup:
    evaluation = page.evaluation
    if evaluation is None:
        return html.section("Skill per factor", note="No model has been selected yet.")
    has_grades = any(task.levels for task in evaluation.tasks)
    of_grades = (
        " Of grades it is the quadratic-weighted kappa, of classes (balanced accuracy − chance) / (1 − chance)."
        if has_grades
        else ""
    )
    note = (
        f"{evaluation.num_patients} sealed {evaluation.cohort_split} patients, evaluated once after selection; 95 % "
        f"patient-bootstrap intervals over {evaluation.num_bootstrap} resamples. Skill is 1 − MAE / MAE of the median "
        "predictor, or 2 · AUC − 1; the median predictor has 0. The floor is what age and sex alone predict."
        + of_grades
    )
    heading = (
        *("factor", "role", "patients", "skill", *(f"with {_joined(row.known)} known" for row in evaluation.known)),
        *("floor", "above floor", "reachable", "error", "median's error"),
    )
    table = html.table(heading, (_skill_cells(task, evaluation) for task in evaluation.tasks), num_text_columns=2)
    return html.section("Skill per factor", html.plot(skill_figure(evaluation), "skill"), table, note=note)


def _known_section(page: StudyPage) -> Markup:
    """The tables of the model card."""
    evaluation, manifest = page.evaluation, page.manifest
    if evaluation is None or manifest is None or not evaluation.known:
        return Markup()
    note = (
        f"{evaluation.cohort_split} patients of whom all of it is known, and the factors that are not. Known alone is "
        "what the same values predict without a photograph; another's is with another patient's values, which should "
        "be worse than nothing known."
    )
    parts = []
    for pattern in evaluation.known:
        rows = known_rows(pattern, manifest.tasks)
        parts += [
            html.paragraph(f"{_joined(pattern.known)} known:"),
            html.table(KNOWN_HEADER, rows, num_text_columns=1),
        ]
    return html.section("Skill when values are known", *parts, note=note)


def _joined(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def _known_skills(task: TaskEvaluation, evaluation: Evaluation) -> list[str]:
    """Of one task, a cell a pattern."""
    cells = []
    for pattern in evaluation.known:
        skills = {known.name: known.skill.known for known in pattern.tasks}
        absent = "as predicted" if task.levels else "given"
        cells.append(figure(skills[task.name].value) if task.name in skills else absent)
    return cells


def grades_section(evaluation: Evaluation | None) -> Markup:
    """Of every graded task, which levels are taken for which."""
    graded = [] if evaluation is None else [task for task in evaluation.tasks if task.confusion is not None]
    if not graded:
        return Markup()
    parts = []
    for task in graded:
        coverage = grade_coverage(task)
        said = f"Level in the patient's set: {coverage}." if coverage else "Sets of levels are not calibrated."
        plot = html.plot(confusion_figure(task), f"confusion-{task.name}")
        parts += [html.subheading(task.label), html.paragraph(said), plot]
    note = "Sealed patients by true level (rows) and predicted level (columns); the colour is the share of the row."
    return html.section("Grades and classes", *parts, note=note)


def _skill_cells(task: TaskEvaluation, evaluation: Evaluation) -> list[str]:
    error, usual = grade_measures(task) if task.levels else _errors(task)
    return [
        task.label,
        task.role,
        str(task.num_patients),
        str(task.skill),
        *_known_skills(task, evaluation),
        figure(task.floor_skill.value),
        str(task.skill_over_floor),
        figure(task.reachable_skill),
        error,
        usual,
    ]


def _errors(task: TaskEvaluation) -> tuple[str, str]:
    if task.kind == "binary":
        return f"AUC {task.measures['auc']}", "0.500"
    return f"MAE {task.measures['mae']} {task.unit}", figure(task.measures["median_mae"].value)


def _importance_section(page: StudyPage) -> Markup:
    found = importance(page.study)
    if found is None:
        return html.section("Parameter importance", note="Too few trials to tell.")
    plot = html.plot(importance_figure(found), "importance")
    return html.section("Parameter importance", plot, note=f"PED-ANOVA of the {found.basis}.")


def _affinity_section(page: StudyPage) -> Markup:
    text = page.folder.affinity()
    if text is None:
        return Markup()
    affinity = Affinity.parse_json(text, "the study's affinity", error=StudyError)
    note = (
        f"How the row's factor helps the column's: measured {affinity.num_measurements} times during one training run. "
        "Splits are ranked by what targets may gain when their priors are known; the first three were offered."
    )
    rows = ([split.task_split.replace("+", ", "), figure(split.score)] for split in affinity.splits)
    table = html.table(("predicted first", "score"), rows, num_text_columns=2)
    return html.section("What to predict first", html.plot(affinity_figure(affinity), "affinity"), table, note=note)


def _trials_table(board: Leaderboard, closed_form: float | None) -> Markup:
    rows = board.root[:_MOST_ROWS]
    names = list(dict.fromkeys(name for row in rows for name in row.params))
    judged = any(row.known_skill is not None for row in rows)
    heading = [
        "trial",
        "state",
        "skill",
        *(("nothing known", "known") if judged else ()),
        "epochs",
        "best epoch",
        "seconds",
        *(name.replace("_", " ") for name in names),
    ]
    rival = [] if closed_form is None else [["–", CLOSED_FORM, figure(closed_form), *[""] * (len(heading) - 3)]]
    cells = [*rival, *(_trial_cells(row, names, judged) for row in rows)]
    return html.table(heading, cells, num_text_columns=2)


def _trial_cells(row: TrialRow, names: Sequence[str], judged: bool) -> list[str]:
    state = f"{row.state}: {row.failure}" if row.failure else row.state
    if row.from_study is not None:
        state = f"{state}, by study {row.from_study}"
    both = (figure(row.unknown_skill), figure(row.known_skill)) if judged else ()
    figures = [figure(row.best_skill), *both, str(row.num_epochs), str(row.best_epoch or "–"), f"{row.seconds:.1f}"]
    return [str(row.number), state, *figures, *(param(row.params.get(name)) for name in names)]


def _reproduction(page: StudyPage) -> Markup:
    record, folder, board, manifest = page.record, page.folder, page.board.own(), page.manifest
    storage = folder.registry.uri.removesuffix("/registry")
    options = {
        "--data": record.dataset,
        "--space": record.space,
        "--storage": storage,
        "--study": f"{record.study}-again",
        "--num-trials": str(len(board.root)),
        "--seed": str(record.seed),
    }
    if record.known_pattern is not None:
        options["--known-pattern"] = record.known_pattern
    kept = {"--max-parameters": record.max_parameters, "--max-ms-per-photograph": record.max_ms_per_photograph}
    options |= {name: str(value) for name, value in kept.items() if value is not None}
    if record.sampler != "tpe":
        options["--sampler"] = record.sampler
    if record.from_study is not None:
        options["--from-study"] = record.from_study
    if record.affinity_sha256 is not None:
        options["--affinity"] = (folder.location / AFFINITY).uri
    command = " ".join(["python -m jobs.search", *(f"{name} {shlex.quote(value)}" for name, value in options.items())])
    parts = [
        html.code(command),
        html.paragraph(
            f"Dataset fingerprint {record.fingerprint}, search space {record.space_sha256[:16]}. With more than "
            "one trial at once, what Optuna proposes depends on which of them ends first; a trial by itself repeats "
            "exactly on the same hardware."
        ),
    ]
    if manifest is not None:
        source = manifest.provenance
        parts += [
            html.paragraph(
                f"Published as {manifest.bundle_id} from {source.trial}, refitted on train and validation patients, "
                f"sepl {source.sepl_version}, {source.created:%Y-%m-%d %H:%M} UTC. Its setting, for python -m "
                "jobs.train --config:"
            ),
            html.code(json.dumps(manifest.config.model_dump(), indent=2)),
        ]
    return html.section("How to reproduce", *parts)


SECTIONS: tuple[Callable[[StudyPage], Markup], ...] = (
    lambda page: verdict(page.folder, page.board.own()),
    _summary,
    lambda page: readings_told(page.folder, page.record),
    _skill_section,
    lambda page: subgroups_section(page.evaluation),
    _known_section,
    lambda page: grades_section(page.evaluation),
    lambda page: finalists_section(page.folder),
    history_section,
    _history_section,
    hours_section,
    occupancy_section,
    _curves_section,
    lambda page: rungs_section(page.board.own(), page.record.num_epochs),
    lambda page: cost_section(page.study),
    _importance_section,
    parallel_section,
    roles_section,
    lambda page: probe_section(page.folder),
    _affinity_section,
    failures_section,
    _trials_section,
    _reproduction,
)
"""The report from top to bottom. A section that has nothing to say is empty; a new one is added here."""
