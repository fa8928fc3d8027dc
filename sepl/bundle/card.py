"""The model card: what a person reads before trusting a model (after Mitchell et al., Model Cards, 2019)."""

from collections.abc import Iterable, Sequence

from sepl.bundle.conditioning import Conditioning
from sepl.bundle.manifest import Intervals, Member, Provenance
from sepl.bundle.skills import (
    KNOWN_HEADER,
    SKILL_HEADER,
    SUBGROUP_HEADER,
    confusion_rows,
    known_rows,
    skill_caption,
    skill_rows,
    subgroup_rows,
    tell_readings,
)
from sepl.config import FusionName, TrialConfig
from sepl.data.imaging.photograph import ImageSpec
from sepl.data.imaging.quality import QualityThresholds
from sepl.metrics import Evaluation
from sepl.tasks import Task, TaskSplit, TaskTable

_USE = """\
## Use and limits

- For research. Not a medical device: no diagnosis, no treatment and no triage may rest on these values.
- Meant for colour fundus photographs like those it was trained on. Another camera, population or clinic needs its own
  evaluation and calibration before use; intervals hold only for patients exchangeable with the calibration patients.
- Values and intervals were tested and calibrated per patient, on all of a patient's photographs together. Score them
  together too (below); a single photograph's error can be larger.
- Skill near the floor means that the value follows from the age and sex that the photograph shows, from nothing else.

## How to score

    python -m jobs.score --bundle BUNDLE --input PHOTOGRAPHS --out scores.parquet
    python -m jobs.score --bundle BUNDLE --input TABLE --patient-column COLUMN --out scores.parquet
    serve run serve.app:build_app bundle=BUNDLE

A table's patient column, or the field `patients` of a request to the server, tells which photographs are one patient's.
The bundle's id and the SHA-256 of every file are in `bundle.json`.
"""


def model_card(
    *,
    config: TrialConfig,
    tasks: TaskTable,
    image: ImageSpec,
    quality: QualityThresholds | None,
    intervals: Intervals,
    conditioning: Conditioning | None = None,
    provenance: Provenance,
    evaluation: Evaluation | None,
    members: Sequence[Member] = (),
) -> str:
    """The card as Markdown."""
    sections = (
        f"# {provenance.study}: {len(tasks)} factors from a colour fundus photograph\n",
        _describe_members(members, image) if members else _describe_model(config, tasks, image),
        _describe_training(provenance),
        _describe_skill(evaluation, provenance),
        _describe_intervals(tasks, intervals),
        _describe_known(tasks, conditioning, evaluation),
        _describe_gate(quality),
        _USE,
    )
    return "\n".join(sections)


def _describe_model(config: TrialConfig, tasks: TaskTable, image: ImageSpec) -> str:
    model = config.model
    if model.family != "sepl":
        what = f"A multi-task network of the family `{model.family}` on `{model.backbone}`, {image.size} px."
        return f"## Model\n\n{what} {_FUSION[model.fusion]}\n"
    task_split = TaskSplit.parse(model.task_split, tasks)
    return (
        "## Model\n\n"
        f"A self-propagative multi-task network (Ko et al., MICCAI 2025) on `{model.backbone}`, {image.size} px, "
        f"{model.num_experts} experts of width {model.hidden_width}, propagation `{model.propagation}`. "
        f"{_FUSION[model.fusion]}\n\n"
        f"- predicted first and propagated: {', '.join(task_split.priors) or 'none'}\n"
        f"- predicted from image and priors: {', '.join(task_split.targets)}\n"
    )


def _describe_members(members: Sequence[Member], image: ImageSpec) -> str:
    total = sum(member.votes for member in members)
    rows = [
        [member.trial, member.model.family, member.model.backbone, member.model.fusion, f"{member.votes / total:.2f}"]
        for member in members
    ]
    return (
        f"## Model\n\nThe weighted mean of {len(members)} networks, {image.size} px: of values, and of logits of "
        "binary and graded tasks. Chosen on the validation patients, greedily and with replacement (Caruana et al., "
        "ICML 2004).\n\n" + _table(["weights of", "family", "backbone", "fusion", "weight"], rows)
    )


_FUSION: dict[FusionName, str] = {
    "none": "Each photograph is judged by itself; a patient's value is the mean over photographs.",
    "mean": "A patient's photographs are joined by the mean of their features; a single one can be judged too.",
    "attention": "A patient's photographs are joined by learned attention; a single one can be judged too.",
}


def _describe_training(provenance: Provenance) -> str:
    counts = ", ".join(f"{count} {name}" for name, count in provenance.num_patients.items()) or "not recorded"
    return (
        "## Trained on\n\n"
        f"- dataset: {provenance.dataset_name or provenance.dataset_uri} (fingerprint `{provenance.fingerprint}`)\n"
        f"- patients: {counts}\n"
        f"- study: {provenance.study}, chosen among {provenance.num_trials} trials, seed {provenance.seed}, "
        f"epoch {provenance.best_epoch}\n"
        f"- made: {provenance.created.isoformat()} with sepl {provenance.sepl_version}\n"
    )


def _describe_skill(evaluation: Evaluation | None, provenance: Provenance) -> str:
    if evaluation is None:
        return "## How good it is\n\nNot evaluated on sealed patients.\n"
    skills = f"{skill_caption(evaluation)}\n\n{_table(SKILL_HEADER, skill_rows(evaluation))}"
    warning, told = _warn_of_readings(provenance), _tell_readings(provenance)
    return f"## How good it is\n\n{warning}{told}{skills}{_confusions(evaluation)}{_subgroups(evaluation)}"


def _tell_readings(provenance: Provenance) -> str:
    told = tell_readings(provenance.sealed_readings, provenance.sealed_studies)
    return f"{told}\n\n" if told else ""


def _subgroups(evaluation: Evaluation) -> str:
    if not evaluation.subgroups:
        return ""
    table = _table(SUBGROUP_HEADER, subgroup_rows(evaluation))
    return f"\nFor whom it is as good; the skill is against the same median predictor:\n\n{table}"


def _confusions(evaluation: Evaluation) -> str:
    """A table a graded task."""
    return "".join(
        f"\n{task.label}, patients by true level (rows) and predicted level (columns):\n\n"
        + _table(["true level", *task.levels], confusion_rows(task))
        for task in evaluation.tasks
        if task.confusion is not None
    )


def _warn_of_readings(provenance: Provenance) -> str:
    earlier = provenance.earlier_test_readings
    if not earlier:
        return ""
    times = "once" if earlier == 1 else f"{earlier} times"
    return (
        f"**The study had read these patients {times} before, and was told to read them again: they are sealed no "
        "more, and the figures may flatter.**\n\n"
    )


def _describe_intervals(tasks: TaskTable, intervals: Intervals) -> str:
    rows = []
    for task in tasks:
        if task.is_graded:
            rows.append([task.label, _describe_sets(task, intervals)])
        elif task.kind == "binary":
            rows.append([task.label, f"temperature {intervals.temperatures.get(task.name, 1.0):.3g}"])
        else:
            half_width = intervals.half_widths.get(task.name)
            rows.append([task.label, "not calibrated" if half_width is None else f"± {half_width:.3g} {task.unit}"])
    return f"## {intervals.confidence:.0%} prediction intervals\n\n" + _table(["task", "calibration"], rows)


def _describe_sets(task: Task, intervals: Intervals) -> str:
    threshold = intervals.set_thresholds.get(task.name)
    sets = "sets of levels not calibrated" if threshold is None else f"sets of its {len(task.levels)} levels"
    return f"{sets}, temperature {intervals.temperatures.get(task.name, 1.0):.3g}"


def _describe_known(tasks: TaskTable, conditioning: Conditioning | None, evaluation: Evaluation | None) -> str:
    """Which values may be given with a photograph, and which others they sharpen."""
    heading = "## What may be known beforehand\n\n"
    if conditioning is None:
        return f"{heading}Nothing: this model is not calibrated for known values (`jobs.calibrate` does that).\n"
    rows = []
    numbers = [task.name for task in tasks if not task.is_graded]
    no_grades = "" if len(numbers) == len(tasks) else "; no grade or class"
    for pattern in conditioning.declared:
        helped = [name for name in numbers if name not in {*pattern.known, *pattern.guarded}]
        rows.append([", ".join(pattern.known), str(pattern.num_patients), ", ".join(helped) or "none"])
    return (
        f"{heading}Any of the values above, each in its unit (a binary one: 0 or 1){no_grades}. How errors go together "
        f"was fitted on {conditioning.num_patients} patients ({conditioning.source}); what patients left out of the "
        f"fit gained nothing by stays as predicted.{_told_network(conditioning)}\n\n"
        + _table(["known", "patients", "sharpened by it"], rows)
        + _known_skills(tasks, evaluation)
    )


def _told_network(conditioning: Conditioning) -> str:
    if not conditioning.network_inputs:
        return ""
    return f" The network itself is told {', '.join(conditioning.network_inputs)} where they are known."


def _known_skills(tasks: TaskTable, evaluation: Evaluation | None) -> str:
    """A table a declared pattern."""
    if evaluation is None or not evaluation.known:
        return ""
    tables = [
        f"\n{', '.join(row.known)} known:\n\n{_table(KNOWN_HEADER, known_rows(row, tasks))}" for row in evaluation.known
    ]
    return (
        f"\nSkill on {evaluation.cohort_split} patients. *Known alone* is what the known values predict without a "
        "photograph (linear or boosted trees, the better on validation patients); *another's* is with the values of "
        "another patient, which should be worse than nothing known.\n" + "".join(tables)
    )


def _describe_gate(quality: QualityThresholds | None) -> str:
    whose = "the limits of the dataset" if quality is not None else "the default limits, since its dataset kept none"
    rows = [[name, limits.describe()] for name, limits in quality or QualityThresholds()]
    return (
        "## Which photographs it refuses\n\n"
        f"Those beyond {whose}: simple measures of each photograph, no study of image quality.\n\n"
        + _table(["measure", "limits"], rows)
    )


def _table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    header = list(header)
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(_escape(cell) for cell in line)} |\n" for line in lines)


def _escape(cell: str) -> str:
    return cell.replace("|", "\\|")
