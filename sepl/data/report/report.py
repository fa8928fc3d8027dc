"""What a person reads after preparing a cohort: one HTML file that needs nothing else.

It is made from the prepared dataset's own files, so it shows rows and pictures, and nothing that identifies a person.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from sepl.data.dataset.dataset import FINDINGS_FILE, LABELS_FILE, REJECTED_FILE, Manifest, read_manifest
from sepl.data.imaging.quality import Limits, QualityThresholds
from sepl.data.label_schema import QUALITY_PREFIX
from sepl.data.patients.splits import COHORT_FRACTIONS, COHORT_SPLITS
from sepl.data.report.contact_sheets import ContactSheet, contact_sheets
from sepl.data.report.counts import (
    FindingCounts,
    Groups,
    LabelCounts,
    PreparedLabels,
    Refusals,
    TaskCounts,
    count_findings,
    count_labels,
    count_refusals,
    cross_tabulate,
    histogram,
)
from sepl.data.report.figures import (
    balance_figure,
    correlation_figure,
    label_histograms,
    missingness_figure,
    quality_histograms,
    shares_figure,
)
from sepl.reports import page as html
from sepl.reports.numbers import percent, short, value_range
from sepl.storage import Location, resolve
from sepl.tasks import TaskTable

REPORT_FILE = "prepare_report.html"

_GROUPS = {"site": "Site", "camera": "Camera"}
_MOST_DETAILS = 3
_MOST_FINDINGS = 60
_MOST_THUMBNAILS = 12


def write_prepare_report(
    folder: Path,
    *,
    manifest: Manifest | None = None,
    shards: Location | None = None,
    thresholds: QualityThresholds | None = None,
) -> None:
    """Writes `prepare_report.html` into a folder with the tables of a prepared dataset; the same bytes for the same.

    Args:
        folder: Holds labels.parquet, rejected.csv, findings.csv and the thumbnails that rejected.csv names.
        manifest: Of the dataset; the folder's own unless given.
        shards: Where the manifest's shards are; the folder unless given.
        thresholds: Limits to draw into the distributions of quality; none unless given.
    """
    manifest = manifest or read_manifest(resolve(folder))
    labels = PreparedLabels(folder / LABELS_FILE)
    groups = {name: found for name in _GROUPS if (found := labels.groups(name)) is not None}
    refusals, findings = count_refusals(folder / REJECTED_FILE), count_findings(folder / FINDINGS_FILE)
    counts = count_labels(labels, manifest.tasks, groups)
    sheets = list(contact_sheets(labels, groups.get("camera"), shards or resolve(folder), manifest.image.size))
    sections = [
        _tiles(manifest, labels, refusals, findings, groups),
        _refused(refusals, labels.num_photographs, folder),
        _findings(findings),
        _labels(counts, labels),
        _missing(counts),
        _correlations(counts, labels),
        _balance(counts, labels, groups),
        _quality(labels, manifest.tasks, thresholds),
        _sheets(sheets, manifest.image.size),
    ]
    subtitle = (
        f"Prepared dataset, fingerprint {manifest.fingerprint[:16]}…, cohort splits dealt with seed {manifest.seed}."
    )
    (folder / REPORT_FILE).write_text(html.page(manifest.name, subtitle, sections), encoding="utf-8")


def _tiles(
    manifest: Manifest,
    labels: PreparedLabels,
    refusals: Sequence[Refusals],
    findings: Sequence[FindingCounts],
    groups: dict[str, Groups],
) -> Markup:
    kept, refused = labels.num_photographs, sum(entry.num for entry in refusals)
    entries = [
        ("photographs", f"{kept:,}", f"of {labels.num_patients:,} patients, kept at {manifest.image.size} pixels"),
        ("refused", f"{refused:,}", f"{percent(refused, kept + refused)} of all photographs, see below"),
        ("findings", f"{sum(entry.num for entry in findings):,}", "noticed, but did not stop the run"),
        ("tasks", str(len(manifest.tasks)), _kinds(manifest.tasks)),
    ]
    for name, found in groups.items():
        entries.append((f"{name}s", str(found.num_different), ", ".join(found.names)))
    return html.tiles(entries)


def _kinds(tasks: TaskTable) -> str:
    num_graded = sum(task.is_graded for task in tasks)
    return f"{sum(tasks.is_binary)} of them binary" + (f", {num_graded} graded" if num_graded else "")


def _refused(refusals: Sequence[Refusals], num_kept: int, folder: Path) -> Markup:
    if not refusals:
        return html.section("Refused photographs", html.paragraph("None: every photograph of the cohort was kept."))
    total = num_kept + sum(entry.num for entry in refusals)
    rows = [(entry.kind, _details(entry), f"{entry.num:,}", percent(entry.num, total)) for entry in refusals]
    note = (
        "Photographs that are not in the dataset, by reason, and their share of all photographs. rejected.csv has the "
        "row of each in the cohort's table. Look through the pictures: if photographs that you could grade are among "
        "those not gradeable, relax that limit in the [quality] section of the cohort file."
    )
    parts = [html.table(("reason", "for example", "photographs", "share"), rows, num_text_columns=2)]
    for entry in refusals:
        if entry.thumbnails:
            shown = entry.thumbnails[:_MOST_THUMBNAILS]
            pictures = [html.picture((folder / name).read_bytes(), entry.kind, "thumbnail") for name in shown]
            title = f"{entry.kind} ({len(shown)} of {entry.num:,})"
            parts += [html.subheading(title), html.strip(pictures)]
    return html.section("Refused photographs", *parts, note=note)


def _details(entry: Refusals) -> str:
    if len(entry.details) == 1:
        return "" if entry.example == entry.kind else entry.example
    shown = [f"{text} ({num:,})" for text, num in entry.details.most_common(_MOST_DETAILS)]
    return "; ".join(shown) + ("; and others" if len(entry.details) > _MOST_DETAILS else "")


def _findings(findings: Sequence[FindingCounts]) -> Markup:
    if not findings:
        return html.section("Findings", html.paragraph("None."))
    note = (
        "What was noticed in the table, the headers and among the pictures, and did not stop the run: a value that "
        "cannot be right was taken as missing, for instance. findings.csv lists each with its row."
    )
    if len(findings) > _MOST_FINDINGS:
        note += f" The {_MOST_FINDINGS} most frequent of {len(findings)} kinds are shown."
    rows = [
        (entry.kind, entry.table, entry.column, entry.example, ", ".join(entry.rows), f"{entry.num:,}")
        for entry in findings[:_MOST_FINDINGS]
    ]
    heading = ("finding", "table", "column", "for example", "first rows", "times")
    return html.section("Findings", html.table(heading, rows, num_text_columns=5), note=note)


def _labels(counts: LabelCounts, labels: PreparedLabels) -> Markup:
    note = (
        f"Over {labels.num_patients:,} patients, each the mean of their photographs. Dashed lines are the limits of "
        "what is plausible, where these are near; the outermost bars hold the few values beyond as well. A second hump "
        "far from the first may be a second unit, a lone tall bar a code for missing values."
    )
    heading = ("task", "unit", "plausible", "patients with a label", "median or share", "photographs without")
    rows = [_task_row(entry, labels.num_photographs) for entry in counts.tasks]
    return html.section(
        "Labels",
        html.plot(label_histograms(counts), "labels"),
        html.table(heading, rows, num_text_columns=3),
        note=note,
    )


def _task_row(entry: TaskCounts, num_photographs: int) -> tuple[str, ...]:
    task, num = entry.task, int(entry.num_S.sum())
    if task.kind == "binary":
        unit, plausible, typical = "0 or 1", "", f"{percent(int(entry.histogram.counts[1]), num)} are 1"
    elif task.is_graded:
        shares = zip(entry.histogram.counts.tolist(), task.levels, strict=True)
        typical = ", ".join(f"{percent(count, num)} {level}" for count, level in shares)
        unit, plausible = task.kind, ", ".join(task.levels)
    else:
        unit, plausible, typical = task.unit, value_range(task.low, task.high), f"{short(entry.median)} {task.unit}"
    return (
        task.label,
        unit,
        plausible,
        f"{num:,}",
        typical if num else "–",
        percent(entry.num_missing, num_photographs),
    )


def _missing(counts: LabelCounts) -> Markup:
    note = (
        "Per cent of the photographs without a label, for each cohort split and, where known, each site and camera. A "
        "row that is dark for one site alone says that this factor was not measured there: a model could then learn "
        "the site instead. Photographs without a label are kept; they just do not count for that task."
    )
    return html.section("Missing labels", html.plot(missingness_figure(counts), "missing"), note=note)


def _correlations(counts: LabelCounts, labels: PreparedLabels) -> Markup:
    if len(counts.tasks) < 2:
        return html.section("Correlations of labels", html.paragraph("There is one task only."))
    whose = f"{counts.num_correlated:,} patients" + (
        f" drawn at random from {labels.num_patients:,}" if counts.num_correlated < labels.num_patients else ""
    )
    note = (
        f"Spearman's rank correlation over {whose}. What belongs together should go together, such as both blood "
        "pressures, or glucose and HbA1c. If it does not, look for columns that were exchanged or rows that were "
        "shifted. A cell is empty where fewer than ten patients have both labels, or all have the same"
        + (
            ", or of classes, which have no order."
            if any(entry.task.kind == "categorical" for entry in counts.tasks)
            else "."
        )
    )
    return html.section("Correlations of labels", html.plot(correlation_figure(counts), "correlations"), note=note)


def _balance(counts: LabelCounts, labels: PreparedLabels, groups: dict[str, Groups]) -> Markup:
    note = (
        "Patients never straddle the cohort splits. Shares depart from the expected ones by chance, in a small cohort "
        "noticeably; the test split is larger on purpose when external test sites were asked for."
    )
    parts = [html.table(("cohort split", "patients", "share", "expected", "photographs"), _split_rows(labels))]
    entries = [part for entry in counts.tasks for part in entry.levels or (entry,)]
    parts += [
        html.subheading("Labels by cohort split"),
        html.paragraph(
            "Mean ± standard deviation over the patients with a label (their number), or the share of ones. Below, the "
            "same as a difference from train, with its 95 % interval: about one in twenty misses 0 by chance alone; a "
            "point that lies far from 0 in a large split means that this split is of another kind of patient."
        ),
        html.table(("task", *COHORT_SPLITS), [_balance_row(entry) for entry in entries]),
        html.plot(balance_figure(entries), "balance"),
    ]
    for name, title in _GROUPS.items():
        if name in groups and len(groups[name]) > 1:
            explained = f"How the patients of each {name} are divided; bars that look alike are balanced."
            figure = shares_figure(groups[name].names, cross_tabulate(labels, groups[name]))
            parts += [html.subheading(f"{title}s"), html.paragraph(explained), html.plot(figure, f"{name}s")]
    return html.section("Balance of the cohort splits", *parts, note=note)


def _split_rows(labels: PreparedLabels) -> list[tuple[str, ...]]:
    patients_S = np.bincount(labels.patient_splits, minlength=len(COHORT_SPLITS))
    photographs_S = np.bincount(labels.photograph_splits, minlength=len(COHORT_SPLITS))
    return [
        (name, f"{num:,}", percent(num, labels.num_patients), f"{100 * COHORT_FRACTIONS[name]:.0f} %", f"{of:,}")
        for name, num, of in zip(COHORT_SPLITS, patients_S.tolist(), photographs_S.tolist(), strict=True)
    ]


def _balance_row(entry: TaskCounts) -> tuple[str, ...]:
    return (
        entry.task.label + ("" if entry.task.kind == "binary" else f", {entry.task.unit}"),
        *(_mean(entry, split) for split in range(len(COHORT_SPLITS))),
    )


def _mean(entry: TaskCounts, split: int) -> str:
    num, mean, deviation = int(entry.num_S[split]), float(entry.mean_S[split]), float(entry.deviation_S[split])
    if not num:
        return "no label"
    if entry.task.kind == "binary":
        return f"{100 * mean:.1f} % ({num:,})"
    return short(mean) + (f" ± {short(deviation)}" if np.isfinite(deviation) else "") + f" ({num:,})"


def _quality(labels: PreparedLabels, tasks: TaskTable, thresholds: QualityThresholds | None) -> Markup:
    columns = [name for name in labels.columns if name.startswith(QUALITY_PREFIX) and name not in tasks.names]
    if not columns:
        return html.section("Quality", html.paragraph("This dataset has no measures of quality."))
    limits: dict[str, Limits] = dict(thresholds) if thresholds is not None else {}
    found = {name.removeprefix(QUALITY_PREFIX): histogram(_known(labels.numbers(name)), tail=0.0) for name in columns}
    note = (
        f"Of the {labels.num_photographs:,} photographs that were kept; docs/cohorts.md says what each measure is. "
        "Dashed red lines are the limits of the [quality] section: what lies beyond was refused and is counted at the "
        "top. A limit that cuts through the body of a distribution is too strict for this cohort, a long tail on the "
        "good side of one may be worth a stricter limit. Counts are on a logarithmic scale, so that the few near a "
        "limit are seen."
    )
    return html.section("Quality", html.plot(quality_histograms(found, limits), "quality"), note=note)


def _sheets(sheets: Sequence[ContactSheet], image_size: int) -> Markup:
    note = (
        f"Photographs spread evenly over those of each camera, as a network sees them ({image_size} pixels, here "
        "smaller): each should be an upright retina that fills its square. Text, a second picture or much black "
        "mean that the field of view was not found."
    )
    parts = []
    for sheet in sheets:
        title = f"{sheet.camera or 'All cameras'} ({sheet.num_shown} of {sheet.num_photographs:,})"
        parts += [html.subheading(title), html.picture(sheet.jpeg, f"contact sheet, {title}", "sheet")]
    return html.section("Contact sheets", *parts, note=note)


def _known(values_N: NDArray[np.float64]) -> NDArray[np.float64]:
    return values_N[np.isfinite(values_N)]
