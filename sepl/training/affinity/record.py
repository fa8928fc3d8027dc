"""What was measured of how tasks help each other, and the task splits that it speaks for. Loads without torch.

T tasks of the table
"""

import numpy as np
from numpy.typing import NDArray

from sepl.errors import ConfigError
from sepl.settings import Settings
from sepl.tasks import TaskSplit, TaskTable

EVERY = 12
"""Steps from one measurement to the next: at 1 1/3 steps each about 11 % of the training's time."""

MOST_CANDIDATES = 16
"""Tasks tried as priors in all combinations, the most helpful ones: 65,535 sets."""

Matrix = tuple[tuple[float | None, ...], ...]
"""(T, T), from the row's task to the column's; None where it is not known."""


class RankedSplit(Settings):
    """A candidate for the factors to predict first."""

    task_split: str
    """As a config names it: priors joined by '+'."""
    score: float
    """What the priors bring the targets: the sum over targets of the most helpful prior's benefit, over all tasks."""


class Affinity(Settings):
    """How the tasks of a dataset help each other, measured during one training run (`jobs.affinity`)."""

    tasks: tuple[str, ...]
    fingerprint: str
    """Of the prepared dataset."""
    num_steps: int
    num_measurements: int
    extra_time: float
    """Time spent measuring, as a share of the training's own."""
    skills: tuple[float | None, ...]
    """Of each task on the validation patients, at the run's best epoch."""
    label_correlation: Matrix
    """Spearman's, over training photographs that have both labels."""
    gradient_cosine: Matrix
    """Of the losses' gradients at the shared representation, mean over the measurements."""
    lookahead: Matrix
    """How much a step along the row's gradient lowers the column's loss, as a share of it; mean."""
    benefit: Matrix
    """What the column's task may gain when the row's is predicted first (`benefit_when_known`); ranks the splits."""
    splits: tuple[RankedSplit, ...]
    """The best first."""


def to_matrix(values_TT: NDArray[np.floating]) -> Matrix:
    return tuple(tuple(float(value) if np.isfinite(value) else None for value in row) for row in values_TT)


def benefit_when_known(
    label_correlation_TT: NDArray[np.floating],
    gradient_cosine_TT: NDArray[np.floating],
    skills_T: NDArray[np.floating],
) -> NDArray[np.float64]:
    """What task j may gain when task i is predicted first and handed on, (T, T) from 0 to 1:

        s_i · a_ij · (1 − s_j),   a_ij = ρ_ij² + (1 − ρ_ij²) max(cos_ij, 0)

    What i tells of j (the variance that their labels share, and of the rest the direction that their gradients share),
    as far as i can be read off photographs (its skill s), where j leaves something to gain. A formula of ours: it says
    as a number what SePL's authors say in words, simple factors first and the harder ones with their help. What is not
    known counts 0. The lookahead is left out: a few measurements a task, as one run affords, are mostly noise.
    """
    shared_TT = np.nan_to_num(label_correlation_TT) ** 2
    common_TT = np.nan_to_num(gradient_cosine_TT).clip(0, 1)
    skill_T = np.asarray(skills_T, np.float64).clip(0, 1)
    benefit_TT = np.nan_to_num(skill_T[:, None] * (shared_TT + (1 - shared_TT) * common_TT) * (1 - skill_T))
    np.fill_diagonal(benefit_TT, 0.0)
    return benefit_TT


def rank_splits(benefit_TT: NDArray[np.floating], tasks: TaskTable, most: int = 10) -> tuple[RankedSplit, ...]:
    """The sets of priors that promise most, best first; of those equally good the smaller first.

    A set's score is Σ over targets of the benefit of its most helpful prior, over the number of all tasks: a target
    counts when some prior helps it, a prior gives up what it could have been helped. What harms, and what is not
    known, counts 0. Sets that would hand a target its own answer (`TaskSplit.of`) are left out.
    """
    helpful_TT = np.nan_to_num(np.asarray(benefit_TT, np.float64), nan=0.0).clip(min=0.0)
    np.fill_diagonal(helpful_TT, 0.0)
    candidates = np.sort(np.argsort(-helpful_TT.sum(axis=1), kind="stable")[:MOST_CANDIDATES])
    scores_S, is_prior_ST = _scores_of_subsets(helpful_TT, candidates)
    ranked: list[RankedSplit] = []
    for index in np.lexsort([is_prior_ST.sum(axis=1), -scores_S]):
        priors = [name for name, chosen in zip(tasks.names, is_prior_ST[index], strict=True) if chosen]
        if scores_S[index] > 0 and _is_possible(priors, tasks):
            ranked.append(RankedSplit(task_split="+".join(priors), score=float(scores_S[index])))
        if len(ranked) == most:
            break
    return tuple(ranked)


def _scores_of_subsets(
    helpful_TT: NDArray[np.float64], candidates: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Scores (S,) and priors (S, T) of all subsets of the candidates, the empty one first."""
    num_tasks = len(helpful_TT)
    best_ST = np.zeros((1, num_tasks))
    is_prior_ST = np.zeros((1, num_tasks), dtype=bool)
    for candidate in candidates:
        with_it_ST = is_prior_ST.copy()
        with_it_ST[:, candidate] = True
        best_ST = np.vstack([best_ST, np.maximum(best_ST, helpful_TT[candidate])])
        is_prior_ST = np.vstack([is_prior_ST, with_it_ST])
    return np.where(is_prior_ST, 0.0, best_ST).sum(axis=1) / num_tasks, is_prior_ST


def _is_possible(priors: list[str], tasks: TaskTable) -> bool:
    try:
        TaskSplit.of(priors, tasks)
    except ConfigError:
        return False
    return True
