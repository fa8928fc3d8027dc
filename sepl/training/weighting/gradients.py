"""Ways of weighting that look at each task's gradient, all of them TorchJD's (Quinton & Rey, arXiv 2406.16232).

What is aggregated are the gradients at the representation that the tasks share, (T, everything in the batch's
representation): the head is passed T times in one batched pass, the trunk once. Parameters behind the representation
get the gradient of the plain sum, as in TorchJD's `mtl_backward` and in the papers' "task-specific" part; SePL's
experts and gates are such.

    T tasks with a label in the batch · R numbers of the batch's representation
"""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torchjd.aggregation import (
    IMTLG,
    MGDA,
    Aggregator,
    AlignedMTL,
    CAGrad,
    ConFIG,
    DualProj,
    GradDrop,
    GramianWeightedAggregator,
    NashMTL,
    PCGrad,
    UPGrad,
)
from torchjd.autojac import jac

from sepl.errors import ConfigError
from sepl.models.parts.network import Representation
from sepl.training.weighting.base import Weighting, as_tuple


@dataclass(frozen=True)
class GradientMethod:
    """One of TorchJD's aggregators."""

    build: Callable[[int], Aggregator]
    """For so many tasks. Built anew each step, because a batch may lack a task: those that remember what they saw, by
    row, would take one task for another; so GradVac and its like, which are nothing without memory, are not offered."""
    is_mean: bool
    """Whether it is the mean of the gradients where these agree, rather than their sum."""
    norm: float = 1.0
    """What the Jacobian's Frobenius norm is brought to before: solvers work within bounds that are not relative."""


def gradient_methods(*, cagrad_radius: float) -> dict[str, GradientMethod]:
    """The aggregators offered, with the paper that each is from in TorchJD's documentation."""
    cagrad = partial(CAGrad, c=cagrad_radius)
    return {
        "upgrad": GradientMethod(lambda _: UPGrad(), is_mean=True),
        "dualproj": GradientMethod(lambda _: DualProj(), is_mean=True),
        "pcgrad": GradientMethod(lambda _: PCGrad(), is_mean=False),
        "cagrad": GradientMethod(lambda _: cagrad(), is_mean=True),
        "mgda": GradientMethod(lambda _: MGDA(), is_mean=True),
        # With norm 30 the solver found no bargain in 1 of 12 cases of 15 tasks and TorchJD took the plain sum; with 100
        # in none.
        "nash_mtl": GradientMethod(_nash_mtl, is_mean=False, norm=100.0),
        "aligned_mtl": GradientMethod(lambda _: AlignedMTL(), is_mean=True),
        "imtl_g": GradientMethod(lambda _: IMTLG(), is_mean=True),
        "graddrop": GradientMethod(lambda _: GradDrop(), is_mean=False),
        "config": GradientMethod(lambda _: ConFIG(), is_mean=False),
    }


def _nash_mtl(num_tasks: int) -> Aggregator:
    """Its norm, which is that of the Jacobian times √T, is not clipped: AdamW asks for no bound."""
    return NashMTL(num_tasks, max_norm=0.0, update_weights_every=1, optim_niter=20)


class GradientWeighting(Weighting):
    """Replaces the sum of the tasks' gradients at the shared representation by what an aggregator makes of them.

    The Jacobian is brought to a norm of 1 before and its own given back after: TorchJD takes one below 0.01 for zero,
    which that of a large batch can be, and only this way the losses' common scale does not matter. Aggregators that
    are means of gradients are multiplied by the number of tasks, so that where no tasks conflict the trunk moves as far
    as under the plain sum. Solvers run on the CPU: a GPU is waited for once a step.
    """

    needs_shared_trunk = True

    def __init__(self, method: GradientMethod) -> None:
        super().__init__()
        self._method = method
        self._leaves: tuple[Tensor, ...] = ()

    def branch(self, representation: Representation | None) -> Representation | None:
        if representation is None:
            raise ConfigError("a weighting of gradients needs a representation that all tasks share, had none")
        self._leaves = tuple(part.detach().requires_grad_() for part in as_tuple(representation))
        return self._leaves if isinstance(representation, tuple) else self._leaves[0]

    def backward(
        self, losses_T: Tensor, present_T: Tensor, representation: Representation | None, penalty: Tensor
    ) -> None:
        assert representation is not None, "branch refused it"
        leaves, self._leaves = self._leaves, ()
        gradients = self._at_leaves(losses_T, present_T, leaves)
        extras = _gradients_of(penalty, leaves)
        (losses_T.sum() + penalty).backward()  # moves what lies behind the leaves
        arriving = [
            (part, gradient + extra)
            for part, gradient, extra in zip(as_tuple(representation), gradients, extras, strict=True)
            if part.requires_grad
        ]
        if arriving:
            torch.autograd.backward([part for part, _ in arriving], [gradient for _, gradient in arriving])

    def _at_leaves(self, losses_T: Tensor, present_T: Tensor, leaves: tuple[Tensor, ...]) -> list[Tensor]:
        """What should arrive at each part of the representation in place of the sum of the tasks' gradients."""
        rows_P = present_T.nonzero().flatten()
        if len(rows_P) == 0:
            return [torch.zeros_like(leaf) for leaf in leaves]
        jacobians = task_jacobians(losses_T[rows_P], leaves, retain_graph=True)
        vectors = self.aggregate([jacobian.flatten(1).float() for jacobian in jacobians])
        return [vector_R.view_as(leaf).to(leaf.dtype) for vector_R, leaf in zip(vectors, leaves, strict=True)]

    def aggregate(self, matrices: list[Tensor]) -> list[Tensor]:
        """A vector (R,) of each part's matrix (P, R); together they are the aggregation of the whole Jacobian."""
        num_tasks = len(matrices[0])
        if num_tasks == 1:
            return [matrix_1R[0] for matrix_1R in matrices]
        norm = torch.stack([matrix_PR.norm() for matrix_PR in matrices]).norm().item()
        if not 0 < norm < math.inf:
            return [matrix_PR.sum(dim=0) for matrix_PR in matrices]  # nothing to weigh, or the loop is about to refuse
        scale = self._method.norm / norm
        aggregator = self._method.build(num_tasks)
        factor = num_tasks if self._method.is_mean else 1
        if isinstance(aggregator, GramianWeightedAggregator):
            gramian_PP = torch.stack([matrix_PR @ matrix_PR.T for matrix_PR in matrices]).sum(dim=0) * scale**2
            weights_P = factor * aggregator.gramian_weighting(gramian_PP.cpu()).to(gramian_PP)
            return [weights_P @ matrix_PR for matrix_PR in matrices]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of cvxpy, each step, on how TorchJD poses Nash-MTL's problem
            vector_R = factor / scale * aggregator(torch.cat(matrices, dim=1) * scale)
        return list(vector_R.split([matrix_PR.shape[1] for matrix_PR in matrices]))


def task_jacobians(losses_P: Tensor, leaves: Sequence[Tensor], *, retain_graph: bool = False) -> tuple[Tensor, ...]:
    """The gradients of each loss at the leaves, (P, …) each, in one batched pass."""
    with warnings.catch_warnings():  # of attention, which is then passed loss by loss (ctan)
        warnings.filterwarnings("ignore", message=".*not yet implemented the batching rule", category=UserWarning)
        return jac(losses_P, leaves, retain_graph=retain_graph)


def _gradients_of(penalty: Tensor, leaves: tuple[Tensor, ...]) -> list[Tensor]:
    """Zeros where it depends on no leaf."""
    if not penalty.requires_grad:
        return [torch.zeros_like(leaf) for leaf in leaves]
    return list(torch.autograd.grad(penalty, leaves, retain_graph=True, allow_unused=True, materialize_grads=True))
