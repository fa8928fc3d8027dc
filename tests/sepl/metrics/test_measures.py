import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import mean_absolute_error, r2_score, roc_auc_score, root_mean_squared_error

from sepl.metrics import measures, skill_per_task
from sepl.tasks import Task, TaskTable

SBP = Task(name="sbp", kind="regression", unit="mmHg", label="Systolic blood pressure")
SEX = Task(name="sex", kind="binary", unit="probability", label="Sex")
SCORES = arrays(np.float64, 30, elements=st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]))
COUNTS = arrays(np.int64, 30, elements=st.integers(0, 4))


@given(scores=SCORES, labels=arrays(np.float64, 30, elements=st.sampled_from([0.0, 1.0])), counts=COUNTS)
def test_auc_with_weights_is_the_auc_of_repeated_patients(scores, labels, counts):
    repeated_scores, repeated_labels = np.repeat(scores, counts), np.repeat(labels, counts)

    found = measures.auc(scores, labels, counts[None].astype(float))[0]

    if len(set(repeated_labels)) < 2:
        assert np.isnan(found)
    else:
        assert found == pytest.approx(roc_auc_score(repeated_labels, repeated_scores))


@pytest.mark.parametrize(
    ("measure", "reference"),
    [
        (measures.mae, mean_absolute_error),
        (measures.rmse, root_mean_squared_error),
        (measures.r2, r2_score),
    ],
)
@given(counts=COUNTS.filter(lambda counts: (counts > 0).sum() > 2), seed=st.integers(0, 99))
def test_a_weighted_measure_is_scikit_learns_on_repeated_patients(measure, reference, counts, seed):
    values, labels = np.random.default_rng(seed).normal(120, 15, (2, 30))

    found = measure(values, labels, counts[None].astype(float))[0]

    assert found == pytest.approx(reference(np.repeat(labels, counts), np.repeat(values, counts)))


def test_the_median_predictor_has_no_skill_and_the_labels_themselves_have_all_of_it():
    labels_PT = np.array([[110.0, 1], [120, 0], [140, 1], [np.nan, 0]])
    tasks = TaskTable.of([SBP, SEX])

    of_median = skill_per_task(np.array([[120.0, 0.5]] * 4), labels_PT, [120.0, 0.5], tasks)
    of_labels = skill_per_task(np.nan_to_num(labels_PT), labels_PT, [120.0, 0.5], tasks)

    assert of_median == pytest.approx([0.0, 0.0])
    assert of_labels == pytest.approx([1.0, 1.0])


def test_a_task_without_labels_has_no_skill_figure():
    skills = skill_per_task(np.ones((3, 1)), np.full((3, 1), np.nan), [120.0], TaskTable.of([SBP]))

    assert np.isnan(skills).all()


def test_skill_of_a_binary_task_needs_only_the_order_of_the_scores():
    labels_PT = np.array([[0.0], [1], [0], [1], [1]])
    logits_PT = np.array([[-2.0], [1], [0.5], [0.1], [3]])
    tasks = TaskTable.of([SEX])

    from_logits = skill_per_task(logits_PT, labels_PT, [0.0], tasks)
    from_probabilities = skill_per_task(1 / (1 + np.exp(-logits_PT)), labels_PT, [0.0], tasks)

    assert from_logits == pytest.approx(from_probabilities)
