"""The cheapest rival: ridge and logistic regressions on features of a backbone that is never trained.

Axes: P, Q patient, F feature, T task.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sepl.tasks import Task, TaskTable

Floats = NDArray[np.float64]

_STRENGTHS = 10.0 ** np.arange(-1, 6)
"""Of the penalty on standardised features, tried for each task."""
_NUM_FOLDS = 5


def closed_form_values(tasks: TaskTable, features_PF: Floats, labels_PT: Floats, others_QF: Floats) -> Floats:
    """Values (Q, T) for patients with `others_QF`: in units, probabilities for binary tasks, places of levels.

    Each task has a regression of its own on standardised features, fitted on the patients who have its label, its
    penalty chosen among them by five-fold cross-validation. Features are the mean over a patient's photographs.
    """
    columns = [closed_form(task, features_PF, labels_PT[:, place], others_QF) for place, task in enumerate(tasks)]
    return np.column_stack(columns)


def closed_form(task: Task, features_PF: Floats, labels_P: Floats, others_QF: Floats) -> Floats:
    """Values (Q,) of one task; labels are NaN where absent."""
    present = np.isfinite(labels_P)
    known_P = labels_P[present]
    if not len(known_P):
        return np.zeros(len(others_QF))
    if task.kind in ("binary", "categorical"):
        rarest = int(np.unique(known_P, return_counts=True)[1].min()) if len(np.unique(known_P)) > 1 else 0
        if rarest < 2:  # nothing to learn, or nothing to choose by
            return np.full(len(others_QF), _usual(task, known_P))
    else:
        rarest = len(known_P)
        if rarest < 2:
            return np.full(len(others_QF), known_P.mean())
    fitted = _search(task, min(_NUM_FOLDS, rarest)).fit(features_PF[present], known_P)
    if task.kind == "binary":
        return fitted.predict_proba(others_QF)[:, 1]
    values_Q = fitted.predict(others_QF)
    return np.clip(np.round(values_Q), 0, len(task.levels) - 1) if task.is_graded else values_Q


def _usual(task: Task, known_P: Floats) -> float:
    """What is said where nothing can be learned: the share of the cases, or the most frequent class."""
    if task.kind == "binary":
        return float(known_P.mean())
    return float(np.bincount(known_P.astype(np.int64)).argmax())


def _search(task: Task, num_folds: int) -> Any:
    """A regression with its penalty still to be chosen."""
    from sklearn.linear_model import LogisticRegression, Ridge  # a second, which no trial should wait for
    from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if task.kind in ("binary", "categorical"):
        folds = StratifiedKFold(num_folds, shuffle=True, random_state=0)
        regression = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        scoring = "roc_auc" if task.kind == "binary" else "balanced_accuracy"
        return GridSearchCV(regression, {"logisticregression__C": 1 / _STRENGTHS}, scoring=scoring, cv=folds)
    folds = KFold(num_folds, shuffle=True, random_state=0)
    regression = make_pipeline(StandardScaler(), Ridge())
    return GridSearchCV(regression, {"ridge__alpha": _STRENGTHS}, scoring="neg_mean_absolute_error", cv=folds)
