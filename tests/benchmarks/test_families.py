"""Settings of equal budget, and gains against a network a task."""

from typing import get_args

import numpy as np
import pytest

from benchmarks.families import _draw, _relative_gain
from sepl.config import Family
from sepl.tasks import BUILT_IN_TASKS, TaskTable


@pytest.mark.parametrize("family", get_args(Family))
def test_every_family_gets_as_many_settings_and_the_same_draws_of_what_is_common(family: Family) -> None:
    settings, others = _draw(family, 4), _draw("hard_sharing", 4)

    assert len(settings) == 4
    assert len(set(map(str, settings))) == 4
    assert {config.model.family for config in settings} == {family}
    for config, other in zip(settings, others, strict=True):
        assert config.training == other.training
        assert config.model.drop_path == other.model.drop_path


def test_the_gain_is_that_of_errors_and_areas_under_the_curve() -> None:
    tasks = TaskTable.of([BUILT_IN_TASKS["age"], BUILT_IN_TASKS["sex"]])
    alone_mae, mae, median_mae, alone_auc, auc = 5.0, 4.0, 10.0, 0.6, 0.75
    alone_SBT = np.array([[[1 - alone_mae / median_mae, 2 * alone_auc - 1]]])
    skills_SBT = np.array([[[1 - mae / median_mae, 2 * auc - 1]]])

    gain_SB = _relative_gain(skills_SBT, alone_SBT, tasks)

    expected = ((alone_mae - mae) / alone_mae + (auc - alone_auc) / alone_auc) / 2
    assert gain_SB == pytest.approx(100 * expected)
