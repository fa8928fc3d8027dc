import dataclasses

import pytest

from sepl.tuning.search.proposals import PriorTrial


def test_a_prior_trial_cannot_be_changed() -> None:
    known = PriorTrial({"x": 0.5}, 1.0)

    with pytest.raises(dataclasses.FrozenInstanceError):
        known.rank = 0.5  # pyright: ignore[reportAttributeAccessIssue]
