"""What a person reads after preparing a cohort."""

import csv
import io
import time
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sepl.data.cohort.cohort import Cohort
from sepl.data.dataset.dataset import FINDINGS_FILE, Manifest
from sepl.data.patients.splits import COHORT_SPLITS
from sepl.data.preparation.facts import Facts
from sepl.storage import Location
from sepl.tasks import Task


@dataclass(frozen=True)
class PrepareSummary:
    """What preparing a cohort gave."""

    manifest: Manifest
    rejected: dict[str, int]
    """Photographs by reason, most frequent first."""
    findings: dict[str, int]
    """What else was noticed, by kind, most frequent first."""
    missing: dict[str, float]
    """Share of the kept photographs without a label, by task."""
    typical: dict[str, float]
    """Median of a regression task in its unit, share of ones of a binary task, place of the most frequent level of a
    graded one, over the kept photographs."""
    levels: dict[str, dict[str, float]]
    """By graded task, the share of each level among the kept photographs that have one."""
    num_decoded: int
    """Photographs that this run decoded; the others were known from a run before."""
    unchanged: bool
    """The dataset stood there already, and nothing was written."""
    seconds: float
    photographs_per_second: float


def summarise(
    cohort: Cohort,
    target: Location,
    manifest: Manifest,
    facts: Facts,
    num_decoded: int,
    start: float,
    *,
    unchanged: bool,
) -> PrepareSummary:
    """The summary of a run that began at `start` (monotonic seconds) and has just published, or found all published."""
    tasks = cohort.tasks
    kinds = Counter(refusal.kind for refusal in facts.refusals if refusal)
    findings = csv.DictReader(io.StringIO((target / FINDINGS_FILE).read_bytes().decode()))
    labels_KT = cohort.labels_NT[facts.kept]
    typical_T = np.where(tasks.is_binary, np.nanmean(labels_KT, axis=0), np.nanmedian(labels_KT, axis=0))
    typical = dict(zip(tasks.names, typical_T.tolist(), strict=True))
    levels = {task.name: _shares(task, labels_KT[:, i]) for i, task in enumerate(tasks) if task.is_graded}
    typical |= {name: float(np.argmax(list(shares.values()))) for name, shares in levels.items()}
    seconds = time.monotonic() - start
    return PrepareSummary(
        manifest=manifest,
        rejected=dict(kinds.most_common()),
        findings=dict(Counter(row["kind"] for row in findings).most_common()),
        missing=dict(zip(tasks.names, np.isnan(labels_KT).mean(axis=0).tolist(), strict=True)),
        typical=typical,
        levels=levels,
        num_decoded=num_decoded,
        unchanged=unchanged,
        seconds=seconds,
        photographs_per_second=len(cohort.images) / seconds,
    )


def describe_prepared(summary: PrepareSummary) -> str:
    """Lines: patients and photographs by cohort split, rejected by reason, labels by task, speed, fingerprint."""
    manifest = summary.manifest
    lines = [f"{'cohort split':<14}{'patients':>10}{'photographs':>13}"]
    lines += [_row(name, manifest.num_patients[name], manifest.num_photographs[name]) for name in COHORT_SPLITS]
    lines += [_row("all", sum(manifest.num_patients.values()), sum(manifest.num_photographs.values()))]
    lines += [f"rejected: {manifest.num_rejected}" + (" (rejected.csv)" if manifest.num_rejected else "")]
    lines += [f"  {count:>6} {reason}" for reason, count in summary.rejected.items()]
    lines += [f"{'labels':<20}{'missing':>8}  typical"]
    lines += [_labels(task, summary) for task in manifest.tasks]
    lines += [f"noticed: {sum(summary.findings.values())} (findings.csv)"] if summary.findings else []
    lines += [f"  {count:>6} {kind}" for kind, count in summary.findings.items()]
    lines += [_work(summary)]
    lines += [f"fingerprint {manifest.fingerprint}"]
    return "\n".join(lines)


def _row(name: str, num_patients: int, num_photographs: int) -> str:
    return f"{name:<14}{num_patients:>10}{num_photographs:>13}"


def _shares(task: Task, labels_K: NDArray[np.float64]) -> dict[str, float]:
    labels = labels_K[np.isfinite(labels_K)]
    return {level: float((labels == place).mean()) for place, level in enumerate(task.levels)}


def _labels(task: Task, summary: PrepareSummary) -> str:
    typical = summary.typical[task.name]
    said = f"{typical:.1%} are 1" if task.kind == "binary" else f"median {typical:.4g} {task.unit}"
    if task.is_graded:
        said = ", ".join(f"{share:.1%} {level}" for level, share in summary.levels[task.name].items())
    return f"  {task.name:<18}{summary.missing[task.name]:>8.1%}  {said}"


def _work(summary: PrepareSummary) -> str:
    if summary.unchanged:
        return f"unchanged: all of it was prepared before, nothing was written; {summary.seconds:.1f} s"
    known = sum(summary.manifest.num_photographs.values()) + summary.manifest.num_rejected - summary.num_decoded
    before = f", {known} known from before" if known else ""
    speed = f"{summary.photographs_per_second:.0f} photographs/s, {summary.seconds:.1f} s"
    return f"{speed}; {summary.num_decoded} decoded{before}"
