"""Weightings of losses, against their formulas and TorchJD's."""

import math
from typing import Any

import pytest
import torch
from torchjd import scalarization

from sepl.training.weighting.losses_only import (
    DynamicWeightAverage,
    FamoWeighting,
    SmoothTchebycheffWeighting,
    UncertaintyWeighting,
)


def test_gaussian_uncertainty_of_regressions_is_torchjds() -> None:
    weighting, reference = UncertaintyWeighting([False] * 4, "gaussian"), scalarization.UW(4)
    with torch.no_grad():
        weighting.log_noise_T.copy_(torch.tensor([-1.0, 0.0, 0.5, 2.0]))
        reference.log_var.copy_(weighting.log_noise_T)
    losses_T = torch.tensor([0.3, 1.0, 2.0, 0.1])

    torch.testing.assert_close(weighting.total(losses_T, torch.ones(4, dtype=torch.bool)), reference(losses_T))


@pytest.mark.parametrize(("noise", "shares"), [("gaussian", (1.0, 1.0)), ("laplace", (1.0, 0.5))])
def test_learned_noise_settles_where_the_likelihood_is_highest(noise: Any, shares: tuple[float, float]) -> None:
    """A Laplace scale is the mean absolute error; ½ e^−s L + ½ s is lowest at e^s = L; a binary e^−s L + ½ s at 2 L."""
    weighting = UncertaintyWeighting([False, True], noise)
    losses_T, present_T = torch.tensor([0.2, 0.6]), torch.ones(2, dtype=torch.bool)
    optimiser = torch.optim.Adam(weighting.parameters(), lr=0.05)
    for _ in range(500):
        optimiser.zero_grad()
        weighting.total(losses_T, present_T).backward()
        optimiser.step()

    torch.testing.assert_close(weighting.log_noise_T.detach().exp(), torch.tensor([0.2, 1.2]), rtol=1e-3, atol=0)


def test_dynamic_weights_follow_the_papers_formula_and_torchjds() -> None:
    weighting, reference = DynamicWeightAverage(3, temperature=2.0), scalarization.DWA(temperature=2.0)
    present_T = torch.ones(3, dtype=torch.bool)
    means = []
    for epoch in range(5):
        generator = torch.Generator().manual_seed(epoch)
        batches_NT = torch.rand(4, 3, generator=generator) + 0.1
        for losses_T in batches_NT:
            torch.testing.assert_close(weighting.total(losses_T, present_T), reference(losses_T))
        if epoch >= 2:
            rates = [means[-1][t] / means[-2][t] for t in range(3)]
            powers = [math.exp(rate / 2.0) for rate in rates]
            expected = [3 * power / sum(powers) for power in powers]
            assert weighting.weights().tolist() == pytest.approx(expected, rel=1e-5)
        means.append(batches_NT.mean(dim=0).tolist())
        weighting.end_epoch()
        reference.step()


def test_dynamic_weights_average_over_the_steps_that_had_the_label() -> None:
    often, seldom = DynamicWeightAverage(2, 2.0), DynamicWeightAverage(2, 2.0)
    for epoch_losses in ([0.5, 0.4], [0.2, 0.3]):
        losses_T = torch.tensor(epoch_losses)
        often.total(losses_T, torch.tensor([True, True]))
        seldom.total(losses_T, torch.tensor([True, True]))
        seldom.total(losses_T * torch.tensor([1.0, 0.0]), torch.tensor([True, False]))
        often.end_epoch()
        seldom.end_epoch()

    assert torch.equal(often.weights(), seldom.weights())


def test_famo_is_torchjds_over_many_steps() -> None:
    weighting, reference = FamoWeighting(4, learning_rate=0.025), scalarization.FAMO(4)
    present_T = torch.ones(4, dtype=torch.bool)
    generator = torch.Generator().manual_seed(0)
    for _ in range(30):
        before_T = (torch.rand(4, generator=generator) + 0.1).requires_grad_()
        after_T = torch.rand(4, generator=generator) + 0.1
        (gradient_T,) = torch.autograd.grad(weighting.total(before_T, present_T), before_T)
        (expected_T,) = torch.autograd.grad(reference(before_T), before_T)
        weighting.after_step(after_T, present_T)
        reference.update(after_T)
        torch.testing.assert_close(gradient_T, expected_T)

    assert not torch.allclose(weighting.shares(present_T), torch.full((4,), 0.25), atol=0.01)


def test_famo_gives_weight_to_the_task_that_falls_slowest() -> None:
    weighting, present_T = FamoWeighting(2, learning_rate=0.025), torch.ones(2, dtype=torch.bool)
    for _ in range(20):
        weighting.total(torch.tensor([1.0, 1.0]), present_T)
        weighting.after_step(torch.tensor([0.9, 0.5]), present_T)

    slow, fast = weighting.shares(present_T).tolist()
    assert slow > fast


def test_stch_is_its_formula_after_warm_up_and_the_sum_of_logarithms_before() -> None:
    weighting = SmoothTchebycheffWeighting(3, smoothness=0.7, num_warmup_epochs=2)
    present_T = torch.ones(3, dtype=torch.bool)
    losses_T = torch.tensor([0.5, 1.5, 2.0])
    for epoch_losses in ([9.0, 9.0, 9.0], [1.0, 2.0, 4.0]):
        warm = weighting.total(torch.tensor(epoch_losses), present_T)
        assert float(warm) == pytest.approx(sum(math.log(loss) for loss in epoch_losses))
        weighting.end_epoch()

    logs = [math.log(loss / nadir) for loss, nadir in zip(losses_T.tolist(), (1.0, 2.0, 4.0), strict=True)]
    expected = 3 * 0.7 * math.log(sum(math.exp(log / 0.7) for log in logs))
    assert float(weighting.total(losses_T, present_T)) == pytest.approx(expected, rel=1e-5)
