"""Ways of weighting that need the losses alone: one backward pass, as for their plain sum.

The sum that each of them descends, over the tasks that have a label in the batch:

    equal        Σ L                                                                  the paper's
    fixed        Σ w L                                                                weights set by hand
    uncertainty  Σ a e^−s L + b s, s learned                                          Kendall, Gal, Cipolla 2018
    dwa          Σ λ L, λ = T softmax(r / τ), r = L̄(e−1) / L̄(e−2) of earlier epochs   Liu, Johns, Davison 2019
    famo         c Σ z log L, z = softmax(w), c = 1 / Σ z/L, w learned from what a step brought     Liu et al. 2023
    stch         T µ log Σ exp(log(L / nadir) / µ)                                    Lin et al. 2024

TorchJD's own scalarizers know no absent labels; apart from STCH, whose sum leaves room for them, these are written here
and tested against TorchJD's where all are present.

    T tasks of the table
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from sepl.training.supervised.losses import total_loss
from sepl.training.weighting.base import Weighting

EPSILON = 1e-8
"""Added to a loss before its logarithm, as FAMO's authors do; Adam's too."""
FAMO_DECAY = 1e-3
ADAM_BETAS = (0.9, 0.999)
ABSENT_LOG = -1e4
"""A relative loss so small that it has no part in a smooth maximum; −∞ would not be a number where all are absent."""


class EqualWeighting(Weighting):
    """The plain sum."""

    adds_up = True

    def total(self, losses_T: Tensor, present_T: Tensor) -> Tensor:  # noqa: ARG002 - absent losses are 0
        return total_loss(losses_T)


class FixedWeighting(Weighting):
    """A weighted sum, the weights set by hand."""

    adds_up = True

    def __init__(self, weights_T: Sequence[float]) -> None:
        super().__init__()
        self.weights_T: Tensor
        self.register_buffer("weights_T", torch.tensor(weights_T), persistent=False)

    def total(self, losses_T: Tensor, present_T: Tensor) -> Tensor:  # noqa: ARG002 - absent losses are 0
        return (self.weights_T * losses_T).sum()


class UncertaintyWeighting(Weighting):
    """Each task's noise is learned; its loss is the likelihood of labels with that noise.

    With s the logarithm of the noise's variance (gaussian) or scale (laplace), a regression task's loss becomes
    ½ e^−s L + ½ s, or e^−s L + s; that of a task whose loss is a cross-entropy (binary or graded) e^−s L + ½ s in both,
    where s is the logarithm of the squared temperature of its logits (Kendall, Gal, Cipolla: CVPR 2018, arXiv
    1705.07115). L1 losses, as here, are the Laplace likelihood's; the Gaussian form is the one that most libraries
    apply to any loss.
    """

    def __init__(self, is_entropy: Sequence[bool], noise: Literal["gaussian", "laplace"]) -> None:
        super().__init__()
        regression = (0.5, 0.5) if noise == "gaussian" else (1.0, 1.0)
        factors_T2 = torch.tensor([(1.0, 0.5) if entropy else regression for entropy in is_entropy])
        self.log_noise_T = nn.Parameter(torch.zeros(len(is_entropy)))
        self._factors_T2: Tensor
        self.register_buffer("_factors_T2", factors_T2, persistent=False)

    def total(self, losses_T: Tensor, present_T: Tensor) -> Tensor:
        loss_factor_T, noise_factor_T = self._factors_T2.unbind(1)
        terms_T = loss_factor_T * torch.exp(-self.log_noise_T) * losses_T + noise_factor_T * self.log_noise_T
        return torch.where(present_T, terms_T, 0.0).sum()


class DynamicWeightAverage(Weighting):
    """Tasks whose loss fell least from the epoch before last to the last one weigh most (CVPR 2019, arXiv 1803.10704).

    An epoch's mean loss of a task is over the steps that had its label. In the first two epochs, and for a task that
    had no label in one of the last two, weights are 1.
    """

    def __init__(self, num_tasks: int, temperature: float) -> None:
        super().__init__()
        self._temperature = temperature
        self._sums_T: Tensor
        self._counts_T: Tensor
        self._means_2T: Tensor
        self.register_buffer("_sums_T", torch.zeros(num_tasks))
        self.register_buffer("_counts_T", torch.zeros(num_tasks))
        self.register_buffer("_means_2T", torch.full((2, num_tasks), torch.nan))

    def total(self, losses_T: Tensor, present_T: Tensor) -> Tensor:
        self._sums_T += losses_T.detach()  # 0 where absent
        self._counts_T += present_T
        return (self.weights() * losses_T).sum()

    def weights(self) -> Tensor:
        """Each task's weight (T,) in this epoch; their sum is the number of tasks."""
        older_T, newer_T = self._means_2T.unbind()
        rates_T = newer_T / older_T
        is_known_T = rates_T.isfinite()
        shares_T = _softmax_of_present(torch.where(is_known_T, rates_T / self._temperature, 0.0), is_known_T)
        return torch.where(is_known_T, is_known_T.sum() * shares_T, 1.0)

    def end_epoch(self) -> None:
        self._means_2T.copy_(torch.stack([self._means_2T[1], self._sums_T / self._counts_T]))  # 0 / 0 is NaN: unknown
        self._sums_T.zero_()
        self._counts_T.zero_()


class FamoWeighting(Weighting):
    """All losses fall at about the same rate (FAMO: NeurIPS 2023, arXiv 2306.03792).

    After each step the batch's losses are computed once more: weights w move by Adam along d softmax(w)/dw · δ with
    δ = log L before − log L after. Learning rate 0.025 and decay 1e-3 are the paper's.
    """

    looks_again = True

    def __init__(self, num_tasks: int, learning_rate: float) -> None:
        super().__init__()
        self._learning_rate = learning_rate
        self._logits_T: Tensor
        self._moments_2T: Tensor
        self._counts_T: Tensor
        self._before_T: Tensor
        self.register_buffer("_logits_T", torch.zeros(num_tasks))
        self.register_buffer("_moments_2T", torch.zeros(2, num_tasks))
        self.register_buffer("_counts_T", torch.zeros(num_tasks))
        self.register_buffer("_before_T", torch.ones(num_tasks), persistent=False)

    def total(self, losses_T: Tensor, present_T: Tensor) -> Tensor:
        self._before_T.copy_(losses_T.detach())
        shifted_T = losses_T + EPSILON
        shares_T = self.shares(present_T)
        scale = 1 / (shares_T / shifted_T.detach()).sum().clamp(min=EPSILON)
        return scale * (shares_T * shifted_T.log()).sum()

    def shares(self, present_T: Tensor) -> Tensor:
        """z (T,): softmax of w over the tasks that are present, 0 for the others."""
        return _softmax_of_present(self._logits_T, present_T)

    @torch.no_grad()
    def after_step(self, losses_T: Tensor, present_T: Tensor) -> None:
        fell_T = (self._before_T + EPSILON).log() - (losses_T + EPSILON).log()
        shares_T = self.shares(present_T)
        gradient_T = shares_T * (fell_T - (shares_T * fell_T).sum())  # of softmax(w) · δ; 0 where absent
        self._adam_step(gradient_T + FAMO_DECAY * self._logits_T, present_T)

    def _adam_step(self, gradient_T: Tensor, present_T: Tensor) -> None:
        """torch's Adam, but a task that is absent keeps its moments, its count of steps and its weight."""
        counts_T = self._counts_T + present_T
        slow_T = torch.lerp(gradient_T, self._moments_2T[0], ADAM_BETAS[0])
        square_T = torch.lerp(gradient_T.square(), self._moments_2T[1], ADAM_BETAS[1])
        slow_hat_T, square_hat_T = (
            moment_T / (1 - beta**counts_T) for moment_T, beta in zip((slow_T, square_T), ADAM_BETAS, strict=True)
        )
        logits_T = self._logits_T - self._learning_rate * slow_hat_T / (square_hat_T.sqrt() + EPSILON)
        self._logits_T.copy_(torch.where(present_T, logits_T, self._logits_T))
        self._moments_2T.copy_(torch.where(present_T, torch.stack([slow_T, square_T]), self._moments_2T))
        self._counts_T.copy_(counts_T)


class SmoothTchebycheffWeighting(Weighting):
    """The smooth maximum of the tasks' logarithmic losses (STCH: ICML 2024, arXiv 2402.19078).

    As LibMTL has it: over the first epochs the sum of log L is descended; each task's mean loss over the last of these
    is its nadir, against which all later losses are judged. `smoothness` is µ: towards 0 only the worst task counts.
    """

    def __init__(self, num_tasks: int, smoothness: float, num_warmup_epochs: int) -> None:
        super().__init__()
        from torchjd.scalarization import STCH  # alone here, so that no other weighting loads TorchJD

        self._smooth_maximum = STCH(smoothness)
        self._num_warmup_epochs = num_warmup_epochs
        self._sums_T: Tensor
        self._counts_T: Tensor
        self._nadir_T: Tensor
        self._num_epochs: Tensor
        self.register_buffer("_sums_T", torch.zeros(num_tasks))
        self.register_buffer("_counts_T", torch.zeros(num_tasks))
        self.register_buffer("_nadir_T", torch.ones(num_tasks))
        self.register_buffer("_num_epochs", torch.zeros(()))

    def total(self, losses_T: Tensor, present_T: Tensor) -> Tensor:
        self._sums_T += losses_T.detach()  # 0 where absent
        self._counts_T += present_T
        logs_T = (losses_T + EPSILON).log()
        descended = torch.where(present_T, logs_T, 0.0).sum()
        relative_T = torch.where(present_T, logs_T - (self._nadir_T + EPSILON).log(), ABSENT_LOG)
        smooth = present_T.sum() * self._smooth_maximum(len(losses_T) * relative_T)  # TorchJD itself weighs with 1 / T
        return torch.where(self._num_epochs < self._num_warmup_epochs, descended, smooth)  # asking would wait

    def end_epoch(self) -> None:
        self._num_epochs += 1
        means_T = torch.where(self._counts_T > 0, self._sums_T / self._counts_T, self._nadir_T)
        is_nadir = self._num_epochs == self._num_warmup_epochs
        self._nadir_T.copy_(torch.where(is_nadir, means_T, self._nadir_T))
        self._sums_T.zero_()
        self._counts_T.zero_()


def _softmax_of_present(logits_T: Tensor, present_T: Tensor) -> Tensor:
    """0 for all where none is present, where torch's softmax is not a number."""
    powers_T = present_T * (logits_T - logits_T.max()).exp()
    return powers_T / powers_T.sum().clamp(min=EPSILON)
