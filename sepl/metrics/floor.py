"""The floor: what age and sex alone predict.

A figure that does not stand above this floor says nothing about photographs: most of the apparent skill for creatinine
or height is sex, for blood pressure age (Gerrits et al. 2020; Poplin et al. 2018 report the same dependence).
"""

import numpy as np
from numpy.typing import NDArray

from sepl.metrics.bootstrap import median_of_present
from sepl.tasks import TaskTable

FLOOR_PREDICTORS = ("age", "sex")

Floats = NDArray[np.float64]


def fit_floor(train_labels_PT: Floats, labels_PT: Floats, tasks: TaskTable) -> Floats:
    """Predictions from *measured* age and sex, fitted on the training patients (ridge; logistic for binary tasks).

    A task is never predicted from itself: age is predicted from sex, sex from age. A missing age or sex is replaced by
    the training median.

    Args:
        train_labels_PT: labels of the training patients, NaN where absent.
        labels_PT: labels of the patients to predict; only the columns of age and sex are read.

    Returns:
        (P, T) predictions in the tasks' units, probabilities for binary tasks; a column of NaN where the cohort has
        neither predictor or the training patients do not allow a fit.
    """
    floor_PT = np.full(labels_PT.shape, np.nan)
    for index, task in enumerate(tasks):
        predictors = [tasks.index(name) for name in FLOOR_PREDICTORS if name in tasks.names and name != task.name]
        present = np.isfinite(train_labels_PT[:, index])
        outcome_P = train_labels_PT[present, index]
        if not predictors or len(outcome_P) < 2 or np.ptp(outcome_P) == 0:
            continue
        train_PX = train_labels_PT[present][:, predictors]
        filler_X = np.array([median_of_present(train_PX[:, column]) for column in range(len(predictors))])
        fitted = _regressor(task.kind == "binary").fit(_fill(train_PX, filler_X), outcome_P)
        inputs_PX = _fill(labels_PT[:, predictors], filler_X)
        is_binary = task.kind == "binary"
        floor_PT[:, index] = fitted.predict_proba(inputs_PX)[:, 1] if is_binary else fitted.predict(inputs_PX)
    return floor_PT


def _regressor(is_binary: bool):  # noqa: ANN202  a scikit-learn pipeline has no narrower public type
    # here, because a trial's process, which fits no floor, would load scikit-learn for a second before it can begin
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression() if is_binary else Ridge(alpha=1.0))


def _fill(values_PX: Floats, filler_X: Floats) -> Floats:
    return np.where(np.isfinite(values_PX), values_PX, filler_X)
