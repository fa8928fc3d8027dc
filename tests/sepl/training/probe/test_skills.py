"""Skills of many heads at once are those of each."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from planted_data import graded_data, planted_data

from sepl.metrics.measures import auc
from sepl.training.input.batches import TrainingData
from sepl.training.probe.skills import areas, mean_skills, stacked_skills
from sepl.training.supervised.validation import validation_skills


@given(
    st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=2, max_size=25).filter(
        lambda pairs: len({case for _, case in pairs}) == 2
    )
)
def test_areas_are_those_of_the_measure_with_ties_counted_half(pairs: list[tuple[int, bool]]) -> None:
    values_P = np.array([value for value, _ in pairs], float)
    cases_P = np.array([case for _, case in pairs])

    both = areas(np.stack([values_P, -values_P]), cases_P)

    expected = [auc(sign * values_P, cases_P.astype(float), np.ones((1, len(pairs))))[0] for sign in (1, -1)]
    assert both == pytest.approx(expected)


def test_one_class_alone_has_no_area() -> None:
    assert np.isnan(areas(np.ones((2, 3)), np.ones(3, bool))).all()


@pytest.mark.parametrize("data", [planted_data(0, 20, 60), graded_data(0, 20, 60)], ids=["plain", "graded"])
def test_skills_of_many_heads_are_those_of_each(data: TrainingData) -> None:
    assert data.validation is not None
    num = data.validation.photographs.num_photographs
    outputs_CNO = np.random.default_rng(1).normal(size=(3, num, data.tasks.num_outputs)).astype(np.float32)

    skills_CT = stacked_skills(outputs_CNO, data.validation, data.scaler, data.tasks)

    for outputs_NO, skills_T in zip(outputs_CNO, skills_CT, strict=True):
        alone = validation_skills(outputs_NO, data.validation, data.scaler, data.tasks)
        assert skills_T == pytest.approx(list(alone.values()), abs=1e-9, nan_ok=True)


def test_a_head_whose_outputs_are_no_numbers_has_no_skill_and_spoils_no_other() -> None:
    data = planted_data(0, 20, 60)
    assert data.validation is not None
    outputs_CNO = np.zeros((2, data.validation.photographs.num_photographs, data.tasks.num_outputs), np.float32)
    outputs_CNO[0, 0, 0] = np.nan

    means_C = mean_skills(stacked_skills(outputs_CNO, data.validation, data.scaler, data.tasks))

    assert np.isnan(means_C[0])
    assert np.isfinite(means_C[1])
