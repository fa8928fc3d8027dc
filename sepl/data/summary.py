"""What a person reads after preparing a cohort."""

from sepl.data.prepare import PrepareSummary
from sepl.data.splits import COHORT_SPLITS
from sepl.tasks import Task


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


def _labels(task: Task, summary: PrepareSummary) -> str:
    typical = summary.typical[task.name]
    said = f"{typical:.1%} are 1" if task.kind == "binary" else f"median {typical:.4g} {task.unit}"
    return f"  {task.name:<18}{summary.missing[task.name]:>8.1%}  {said}"


def _work(summary: PrepareSummary) -> str:
    if summary.unchanged:
        return f"unchanged: all of it was prepared before, nothing was written; {summary.seconds:.1f} s"
    known = sum(summary.manifest.num_photographs.values()) + summary.manifest.num_rejected - summary.num_decoded
    before = f", {known} known from before" if known else ""
    speed = f"{summary.photographs_per_second:.0f} photographs/s, {summary.seconds:.1f} s"
    return f"{speed}; {summary.num_decoded} decoded{before}"
