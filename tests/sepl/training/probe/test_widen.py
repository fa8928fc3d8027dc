"""A head on a few directions and its widened self say the same."""

from typing import Any

import pytest
import torch
from planted_data import TASKS

from sepl.config import TrialConfig
from sepl.models.build import build_head
from sepl.training.probe.widen import widen


@pytest.mark.parametrize(
    "params",
    [
        {"task_split": "demographic"},
        {"task_split": "demographic", "gate_inputs": "image"},
        {"task_split": "demographic", "gate_inputs": "prior"},
        {"task_split": "none", "propagation": "none"},
        {"family": "hard_sharing"},
    ],
    ids=lambda params: "+".join(map(str, params.values())),
)
def test_a_widened_head_says_of_features_what_the_head_said_of_their_directions(params: dict[str, Any]) -> None:
    model = TrialConfig.from_params(params).model
    basis_FD, features_BF = torch.linalg.qr(torch.randn(20, 6)).Q, torch.randn(9, 20)
    narrow, wide = build_head(model, 6, TASKS), build_head(model, 20, TASKS)

    wide.load_state_dict(widen(narrow.state_dict(), basis_FD, model, TASKS))

    torch.testing.assert_close(wide(features_BF), narrow(features_BF @ basis_FD), rtol=1e-4, atol=1e-5)
