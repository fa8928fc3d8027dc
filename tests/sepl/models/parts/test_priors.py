"""What the targets are told of priors of every kind (the whole grid: tests/sepl/models/families/test_sepl.py)."""

import math

import pytest
import torch

from sepl.config import BinaryPrior
from sepl.models.parts.priors import TRUE_LOGIT, Priors
from sepl.tasks import TaskKind

KINDS: list[TaskKind] = ["regression", "ordinal", "binary", "categorical", "ordinal"]
NUM_OUTPUTS = [1, 3, 1, 3, 2]
IS_PRIOR = [True, True, True, True, False]


def priors(binary_prior: BinaryPrior = "logit") -> Priors:
    return Priors(KINDS, NUM_OUTPUTS, IS_PRIOR, binary_prior)


def test_predicted_ones_are_handed_on_as_they_are_or_as_probabilities() -> None:
    outputs_BP = 3 * torch.randn(5, 8)

    shares_BP = priors("probability")(outputs_BP)

    assert priors()(outputs_BP) is outputs_BP
    assert torch.equal(shares_BP[:, 0], outputs_BP[:, 0])
    torch.testing.assert_close(shares_BP[:, 1:5], outputs_BP[:, 1:5].sigmoid())
    torch.testing.assert_close(shares_BP[:, 5:], outputs_BP[:, 5:].softmax(dim=1))


@pytest.mark.parametrize(("binary_prior", "yes", "no"), [("logit", TRUE_LOGIT, -TRUE_LOGIT), ("probability", 1.0, 0.0)])
def test_the_truth_stands_in_the_place_of_every_output(binary_prior: BinaryPrior, yes: float, no: float) -> None:
    labels_BT = torch.tensor([[-0.5, 2.0, 1.0, 0.0, 1.0], [0.7, 0.0, 0.0, 2.0, 0.0]])

    true_BP = priors(binary_prior).true(labels_BT, torch.float32)

    expected_BP = torch.tensor([[-0.5, yes, yes, no, yes, yes, no, no], [0.7, no, no, no, no, no, no, yes]])
    torch.testing.assert_close(true_BP, expected_BP)


@pytest.mark.parametrize(("binary_prior", "unknown"), [("logit", [0.0] * 7), ("probability", [0.5] * 4 + [1 / 3] * 3)])
def test_an_absent_label_tells_nothing(binary_prior: BinaryPrior, unknown: list[float]) -> None:
    true_BP = priors(binary_prior).true(torch.full((1, 5), math.nan), torch.float32)

    assert true_BP[0].tolist() == pytest.approx([0.0, *unknown])


def test_they_have_no_state() -> None:
    assert priors().state_dict() == {}
    assert priors().num_outputs == 8
