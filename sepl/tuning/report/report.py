"""A study as one HTML file that needs nothing else: to read, to keep, to send."""

import json
import shlex
from collections.abc import Sequence

from markupsafe import Markup

from sepl.bundle.manifest import BundleManifest
from sepl.bundle.registry import Registry
from sepl.bundle.skills import KNOWN_HEADER, grade_coverage, grade_measures, known_rows
from sepl.errors import StudyError
from sepl.metrics import Evaluation, TaskEvaluation
from sepl.reports import page as html
from sepl.reports.numbers import figure, param
from sepl.storage import Location
from sepl.training.affinity.record import Affinity
from sepl.tuning.probe.record import closed_form_skill
from sepl.tuning.record.record import AFFINITY, BUNDLE_ID, ENDED, StudyFolder, StudyRecord
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
from sepl.tuning.report.winner import finalists_section, readings_told, subgroups_section
from sepl.tuning.results.importance import Importance, importance
from sepl.tuning.results.leaderboard import Leaderboard, TrialRow, leaderboard
from sepl.tuning.results.tables import CLOSED_FORM

_MOST_ROWS = 100


def write_report(storage: str, study: str, out: Location) -> None:
    """Writes the report of a study, also of one that still runs. Raises StudyError when there is none."""
    folder = StudyFolder.at(storage, study)
    record = folder.read()
    trials = folder.load_study()
    board = leaderboard(trials)
    bundle = None
    if BUNDLE_ID in trials.user_attrs:
        bundle = Registry(folder.registry.uri).show(trials.user_attrs[BUNDLE_ID])
    manifest, evaluation = (bundle.manifest, bundle.evaluation) if bundle else (None, None)
    sections = [
        verdict(folder, board),
        _summary(board, evaluation, trials.user_attrs.get(ENDED)),
        readings_told(folder, record),
        _skill_section(evaluation),
        subgroups_section(evaluation),
        _known_section(evaluation, manifest),
        grades_section(evaluation),
        finalists_section(folder),
        html.section(
            "Optimisation history",
            html.plot(history_figure(board), "history"),
            note="Validation patients; one point a trial.",
        ),
        html.section(
            "Learning curves",
            html.plot(curves_figure(board), "curves"),
            note="A cross where a trial was stopped early.",
        ),
        rungs_section(board, record.num_epochs),
        cost_section(trials),
        _importance_section(importance(trials)),
        probe_section(folder),
        _affinity_section(folder.affinity()),
        html.section(
            "Trials",
            _trials_table(board, closed_form_skill(folder)),
            note=f"The best {min(_MOST_ROWS, len(board.root))} of {len(board.root)}.",
        ),
        _reproduction(record, folder, board, manifest),
    ]
    out.write_bytes(html.page(study, f"Search on {record.dataset}", sections).encode())


def _summary(board: Leaderboard, evaluation: Evaluation | None, ended: str | None) -> Markup:
    counts, best = board.counts(), board.best()
    finished = counts["complete"] + counts["pruned"] + counts["failed"]
    tiles = [
        ("trials", str(finished), f"{counts['complete']} full, {counts['pruned']} stopped, {counts['failed']} failed"),
        ("epochs", str(sum(row.num_epochs for row in board.root)), ended or "the search is not over"),
    ]
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


def _skill_section(evaluation: Evaluation | None) -> Markup:
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


def _known_section(evaluation: Evaluation | None, manifest: BundleManifest | None) -> Markup:
    """The tables of the model card."""
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


def _importance_section(found: Importance | None) -> Markup:
    if found is None:
        return html.section("Parameter importance", note="Too few trials to tell.")
    plot = html.plot(importance_figure(found), "importance")
    return html.section("Parameter importance", plot, note=f"PED-ANOVA of the {found.basis}.")


def _affinity_section(text: bytes | None) -> Markup:
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
    both = (figure(row.unknown_skill), figure(row.known_skill)) if judged else ()
    figures = [figure(row.best_skill), *both, str(row.num_epochs), str(row.best_epoch or "–"), f"{row.seconds:.1f}"]
    return [str(row.number), state, *figures, *(param(row.params.get(name)) for name in names)]


def _reproduction(
    record: StudyRecord, folder: StudyFolder, board: Leaderboard, manifest: BundleManifest | None
) -> Markup:
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
