"""What a person reads after preparing a cohort."""

from sepl.data.prepare import PrepareSummary
from sepl.data.splits import COHORT_SPLITS
from sepl.tasks import Task


def describe_prepared(summary: PrepareSummary) -> str:
    """Lines: photographs and patients by cohort split, rejected by reason, labels by task, speed, fingerprint."""
    manifest = summary.manifest
    lines = [f"{'cohort split':<14}{'patients':>10}{'photographs':>13}"]
    lines += [_row(name, manifest.num_patients[name], manifest.num_photographs[name]) for name in COHORT_SPLITS]
    lines += [_row("all", sum(manifest.num_patients.values()), sum(manifest.num_photographs.values()))]
    lines += [f"rejected: {manifest.num_rejected}" + (" (rejected.csv)" if manifest.num_rejected else "")]
    lines += [f"  {count:>6} {reason}" for reason, count in summary.rejected.items()]
    lines += ["labels missing, of the photographs kept:"]
    lines += [_missing(task, summary.missing[task.name]) for task in manifest.tasks]
    lines += [f"{summary.photographs_per_second:.0f} photographs/s, {summary.seconds:.1f} s"]
    lines += [f"fingerprint {manifest.fingerprint}"]
    return "\n".join(lines)


def _row(name: str, num_patients: int, num_photographs: int) -> str:
    return f"{name:<14}{num_patients:>10}{num_photographs:>13}"


def _missing(task: Task, share: float) -> str:
    return f"  {share:>6.1%} {task.name} ({task.unit})"
