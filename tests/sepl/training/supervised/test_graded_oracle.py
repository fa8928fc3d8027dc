"""A grade that a picture shows only in part: how near a trained network comes to who knows all that can be known."""

import numpy as np
import pytest
from numpy.typing import NDArray
from planted_data import data_of

from sepl.config import TrialConfig
from sepl.levels import level_probabilities, output_values, predicted_level
from sepl.metrics.grades import quadratic_kappa
from sepl.models.predict import predict_outputs
from sepl.scoring.intervals import calibrate
from sepl.scoring.level_sets import calibrated_levels
from sepl.tasks import Task, TaskTable
from sepl.training.input.batches import TrainingData
from sepl.training.supervised.run import TrainingRun, train

LEVELS = ("none", "mild", "moderate", "severe", "proliferative")
GRADE = Task(name="grade", kind="ordinal", unit="", label="Grade", levels=LEVELS)
NUM_TRAIN, NUM_VALIDATION, NUM_CALIBRATION, NUM_TEST = 900, 150, 500, 1500
NOISE = 0.12


def test_a_planted_grade_is_predicted_nearly_as_well_as_can_be_and_its_sets_hold() -> None:
    rng = np.random.default_rng(0)
    shown_N = rng.random(NUM_TRAIN + NUM_VALIDATION + NUM_CALIBRATION + NUM_TEST)
    labels_N = (rng.random(len(shown_N))[:, None] < _above(shown_N)).sum(axis=1).astype(np.float64)
    pixels_NHWC = _pictures(shown_N, rng)
    tasks = TaskTable.of([GRADE])
    learned = NUM_TRAIN + NUM_VALIDATION
    data = data_of(labels_N[:learned, None], pixels_NHWC[:learned], NUM_TRAIN, tasks, photographs_each=1)

    outputs_NK = _outputs_of(_trained(data), pixels_NHWC[learned:])

    fit, test = slice(NUM_CALIBRATION), slice(NUM_CALIBRATION, None)
    labels_M = labels_N[learned:]
    kappa = _kappa(output_values(outputs_NK, tasks, data.scaler)[test, 0], labels_M[test])
    probabilities_NL = -np.diff(_above(shown_N[learned:][test]), axis=1, prepend=1.0, append=0.0)
    limit = _kappa(predicted_level(probabilities_NL, GRADE), labels_M[test])
    assert 0.7 < limit < 0.95  # something to learn, and something that nobody can know
    assert kappa > limit - 0.02

    intervals = calibrate(outputs_NK[fit], labels_M[fit, None], tasks, data.scaler)
    sets = calibrated_levels(outputs_NK[test], GRADE, intervals)
    assert sets.in_set_NL is not None
    covered = sets.in_set_NL[np.arange(NUM_TEST), labels_M[test].astype(int)].mean()
    assert covered == pytest.approx(0.9, abs=0.03)
    assert sets.in_set_NL.sum(axis=1).mean() < 3.5  # that all five levels hold the truth needs no network
    assert level_probabilities(outputs_NK[test], GRADE).sum(axis=1) == pytest.approx(1.0)


def _above(shown_N: NDArray[np.float64]) -> NDArray[np.float64]:
    """P(grade > k) (N, 4): a cumulative-link model of what the picture shows."""
    cuts_K = np.arange(1, len(LEVELS)) / len(LEVELS)
    return 1 / (1 + np.exp(-(shown_N[:, None] - cuts_K) / (NOISE / 2)))


def _pictures(shown_N: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.uint8]:
    """As bright as what they show, with noise in every pixel."""
    bright_NHWC = 40.0 + 170.0 * shown_N[:, None, None, None] + rng.normal(0, 12, (len(shown_N), 32, 32, 3))
    return np.clip(bright_NHWC, 0, 255).astype(np.uint8)


def _trained(data: TrainingData) -> TrainingRun:
    run = TrainingRun(
        TrialConfig.from_params(
            {
                "family": "hard_sharing",
                "backbone": "test_resnet",
                "batch_size": 30,
                "num_epochs": 20,
                "learning_rate": 3e-3,
                "augment_strength": 0.0,
            }
        ),
        data,
    )
    for _ in train(run):
        pass
    run.network.load_state_dict(run.best_state())
    return run


def _outputs_of(run: TrainingRun, pixels_NHWC: NDArray[np.uint8]) -> NDArray[np.float64]:
    patients = np.arange(len(pixels_NHWC))
    device = next(run.network.parameters()).device
    return predict_outputs(run.network, (pixels_NHWC,), device=device, patients=patients).astype(np.float64)


def _kappa(places_N: NDArray[np.float64], labels_N: NDArray[np.float64]) -> float:
    return float(quadratic_kappa(places_N, labels_N, np.ones((1, len(labels_N))))[0])
