"""Whether a search has become flat: what the next tenth of its budget may still gain is below the noise.

**Expected gain** of m further trials after n, whose best skills in the order that they finished are y_1 … y_n, b_k the
best of the first k: the largest of

- the gain that m trials of this study bring on average when its trials come in a random order,
  b_n − E[max of n − m of the n]; the expectation is the U-statistic Σ_k y_(k) · C(n−k, n−m−1) / C(n, n−m) over the
  values sorted from the largest (Tang et al., "Showing Your Work Doesn't Always Work", ACL 2020; the curve of Dodge et
  al., "Show Your Work", EMNLP 2019). As the expected maximum is concave in the number of trials, this is no less than
  what the m trials *after* the n bring where nothing is learned on the way;
- what the running best did gain lately: b_n − b_(n−m), and (b_n − b_(n/2)) · m / (n/2). A sampler that learns makes
  the order no random one, and steady progress is never taken for flat.

**Noise** of the best trial's validation skill: its standard error over resamples of patients, which a trial tells with
its skill. Where a trial went on in another process and told none, it is approximated from skills and numbers of
patients task by task, as if tasks were independent, which makes it rather too small and the search rather too long:

- regression, 1 − MAE / MAE of the median: (1 − skill) · √(π/2 − 1) / √P, the coefficient of variation of the absolute
  value of a normal error, the denominator taken as known;
- binary, 2 · AUC − 1: twice the standard error of the AUC of Hanley & McNeil (Radiology 1982), a fifth more than the
  bootstrap's where scores are normal;
- grades and classes: (1 − skill²) / √P, as of a correlation (Fleiss & Cohen 1973 on kappa as an intraclass one).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sepl.tasks import TaskTable

_FEWEST = 12
"""Finished trials before anything is called flat."""
_SPREAD = math.sqrt(math.pi / 2 - 1)


@dataclass(frozen=True)
class Flatness:
    """What is weighed, in skill."""

    expected_gain: float
    """Of the next tenth of the budget."""
    noise: float

    @property
    def is_flat(self) -> bool:
        return self.expected_gain < self.noise

    def __str__(self) -> str:
        return f"expected gain {self.expected_gain:.4f}, noise {self.noise:.4f}"


@dataclass(frozen=True)
class PatientCounts:
    """Validation patients with a label, by task."""

    kinds: dict[str, str]
    """regression · binary · graded."""
    counts: dict[str, tuple[int, int]]
    """Patients, and of a binary task those of them that have it."""

    @classmethod
    def of(cls, labels_PT: NDArray[np.floating], tasks: TaskTable) -> "PatientCounts":
        """`labels_PT` (P, T) in the order of the tasks, NaN where absent."""
        known_PT = np.isfinite(labels_PT)
        counts = {
            task.name: (int(known_PT[:, place].sum()), int((labels_PT[:, place] == 1).sum()))
            for place, task in enumerate(tasks)
        }
        return cls({task.name: "graded" if task.levels else task.kind for task in tasks}, counts)


def judge(skills: Sequence[float], num_total: int, noise: float) -> Flatness | None:
    """Of the best skills of finished trials in their order, of a search that will come to `num_total` trials.

    None while there are too few to tell.
    """
    num_next = max(1, math.ceil(num_total / 10))
    if len(skills) < max(_FEWEST, 2 * num_next):
        return None
    return Flatness(expected_gain(skills, num_next), noise)


def expected_gain(skills: Sequence[float], num_next: int) -> float:
    """Of `num_next` further trials, fewer than there are."""
    best_N = np.maximum.accumulate(np.asarray(skills, np.float64))
    recent = [float(best_N[-1] - best_N[-1 - back]) * num_next / back for back in (num_next, max(1, len(skills) // 2))]
    return max(_gain_in_random_order(skills, num_next), *recent)


def _gain_in_random_order(skills: Sequence[float], num_next: int) -> float:
    ordered = sorted(skills, reverse=True)
    num_all, num_drawn = len(ordered), len(ordered) - num_next
    expected, not_before = 0.0, 1.0
    for place, skill in enumerate(ordered[: num_next + 1]):  # one of the first num_next + 1 is always drawn
        left = num_all - place
        expected += not_before * num_drawn / left * skill
        not_before *= (left - num_drawn) / left
    return max(0.0, ordered[0] - expected)


def noise_of(skills: Mapping[str, float], patients: PatientCounts) -> float:
    """Standard error of the mean of the tasks' validation skills. 0 where there is nothing to tell it from."""
    errors = [
        _standard_error(skill, patients.kinds[name], *patients.counts[name])
        for name, skill in skills.items()
        if name in patients.counts and patients.counts[name][0] > 1
    ]
    return math.sqrt(sum(error**2 for error in errors)) / len(errors) if errors else 0.0


def _standard_error(skill: float, kind: str, num_patients: int, num_positive: int) -> float:
    if kind == "binary":
        return 2 * _auc_error((skill + 1) / 2, num_positive, num_patients - num_positive)
    if kind == "graded":
        return (1 - min(1.0, skill**2)) / math.sqrt(num_patients)
    return abs(1 - skill) * _SPREAD / math.sqrt(num_patients)


def _auc_error(auc: float, num_positive: int, num_negative: int) -> float:
    if not num_positive or not num_negative:
        return 0.0
    both_positive, both_negative = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = (
        auc * (1 - auc) + (num_positive - 1) * (both_positive - auc**2) + (num_negative - 1) * (both_negative - auc**2)
    ) / (num_positive * num_negative)
    return math.sqrt(max(0.0, variance))
