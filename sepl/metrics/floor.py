"""The floor: what age and sex, or other known values, alone predict.

A figure that does not stand above this floor says nothing about photographs: most of the apparent skill for creatinine
or height is sex, for blood pressure age (Gerrits et al. 2020; Poplin et al. 2018 report the same dependence).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sepl.levels import predicted_level
from sepl.metrics.bootstrap import median_of_present
from sepl.metrics.measures import mean_error
from sepl.tasks import Task, TaskTable

FLOOR_PREDICTORS = ("age", "sex")

_FEWEST_FOR_TREES = 100
_FEWEST_TO_CHOOSE = 20

Floats = NDArray[np.float64]


def fit_floor(
    train_labels_PT: Floats,
    labels_PT: Floats,
    tasks: TaskTable,
    known: Sequence[str] = FLOOR_PREDICTORS,
    *,
    boosted: bool = False,
) -> Floats:
    """Predictions from *measured* age and sex, fitted on the training patients (ridge; logistic for binary tasks,
    multinomial logistic for graded ones, of which the median grade or the likeliest class is taken).

    A task is never predicted from itself: age is predicted from sex, sex from age. A missing age or sex is replaced by
    the training median.

    Args:
        train_labels_PT: labels of the training patients, NaN where absent.
        labels_PT: labels of the patients to predict; only the predictors' columns are read.
        known: other predictors than age and sex.
        boosted: by boosted trees instead.

    Returns:
        (P, T) predictions in the tasks' units, probabilities for binary tasks, places of levels for graded ones; a
        column of NaN where the cohort has neither predictor or the training patients do not allow a fit.
    """
    floor_PT = np.full(labels_PT.shape, np.nan)
    for index, task in enumerate(tasks):
        predictors = [tasks.index(name) for name in known if name in tasks.names and name != task.name]
        present = np.isfinite(train_labels_PT[:, index])
        outcome_P = train_labels_PT[present, index]
        if task.kind == "binary":
            outcome_P = (outcome_P > 0.5).astype(np.float64)  # a mean of eyes that differ is no class
        if not predictors or len(outcome_P) < 2 or np.ptp(outcome_P) == 0:
            continue
        train_PX = train_labels_PT[present][:, predictors]
        filler_X = np.array([median_of_present(train_PX[:, column]) for column in range(len(predictors))])
        fitted = _regressor(task.kind != "regression", boosted).fit(_fill(train_PX, filler_X), outcome_P)
        floor_PT[:, index] = _predict(fitted, task, _fill(labels_PT[:, predictors], filler_X))
    return floor_PT


def fit_known_floor(
    train_labels_PT: Floats, validation_labels_PT: Floats, labels_PT: Floats, tasks: TaskTable, known: Sequence[str]
) -> Floats:
    """As `fit_floor` from the known tasks alone: linear or boosted trees, whichever errs less on validation patients.

    With few training or validation patients linear.
    """
    num_validation = len(validation_labels_PT)
    everybody_PT = np.vstack([validation_labels_PT, labels_PT])
    floor_PT = fit_floor(train_labels_PT, everybody_PT, tasks, known)
    if len(train_labels_PT) >= _FEWEST_FOR_TREES and num_validation >= _FEWEST_TO_CHOOSE:
        boosted_PT = fit_floor(train_labels_PT, everybody_PT, tasks, known, boosted=True)
        for index, task in enumerate(tasks):
            linear, trees = (
                _error(task, values_PT[:num_validation, index], validation_labels_PT[:, index])
                for values_PT in (floor_PT, boosted_PT)
            )
            if trees < linear:
                floor_PT[:, index] = boosted_PT[:, index]
    return floor_PT[num_validation:]


def _predict(fitted: Any, task: Task, inputs_PX: Floats) -> Floats:
    if task.kind == "regression":
        return fitted.predict(inputs_PX)
    probabilities_PC = fitted.predict_proba(inputs_PX)
    if task.kind == "binary":
        return probabilities_PC[:, 1]
    probabilities_PL = np.zeros((len(inputs_PX), len(task.levels)))
    probabilities_PL[:, fitted.classes_.astype(np.int64)] = probabilities_PC
    return predicted_level(probabilities_PL, task)


def _error(task: Task, values_P: Floats, labels_P: Floats) -> float:
    if task.kind == "categorical":
        is_wrong_P = (values_P != labels_P).astype(np.float64)
        return mean_error(np.where(np.isfinite(values_P), is_wrong_P, np.nan), 0.0 * labels_P, is_binary=False)
    return mean_error(values_P, labels_P, task.kind == "binary")


def _regressor(is_classes: bool, boosted: bool = False):  # noqa: ANN202  a scikit-learn pipeline has no narrower public type
    # here, because a trial's process, which fits no floor, would load scikit-learn for a second before it can begin
    if boosted:
        from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

        trees: Any = HistGradientBoostingClassifier if is_classes else HistGradientBoostingRegressor
        return trees(max_iter=50, learning_rate=0.1, max_leaf_nodes=8, early_stopping=False, random_state=0)
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return make_pipeline(StandardScaler(), LogisticRegression() if is_classes else Ridge(alpha=1.0))


def _fill(values_PX: Floats, filler_X: Floats) -> Floats:
    return np.where(np.isfinite(values_PX), values_PX, filler_X)
