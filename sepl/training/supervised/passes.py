"""The gradients of one batch, in as many parts as memory asks for, the same however many these are.

A loss is a mean over the photographs that have its label, so parts are joined by dividing each part's sum by the
whole batch's count. That is all for a plain sum of losses. Other ways of weighting look at the whole batch's losses, or
at its gradients at the representation, so the batch passes twice (Gao et al. 2021, arXiv 2101.06983): once without
gradients to find what the tasks are predicted from, then, when the weighting has said what gradient should arrive
there, part by part with gradients, random numbers repeated.

A network with batch norm normalises within what passes at once: there, and only there, parts change the result. Dropped
paths are drawn for each part, so that they are other draws of the same kind.

    B photographs · T tasks · O outputs
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sepl.config import Precision
from sepl.device import autocast, compiled
from sepl.models.parts.group_adapters import Turn
from sepl.models.parts.network import Context, MultiTaskNetwork, Representation
from sepl.training.engine.seeding import RandomStreams
from sepl.training.input.batches import Batch
from sepl.training.supervised.losses import TaskLosses
from sepl.training.weighting.base import Weighting, as_tuple


class Passes:
    """Batches through a network, `micro_batch_size` rows at a time (0: whole batches), and gradients back."""

    def __init__(
        self,
        network: MultiTaskNetwork,
        weighting: Weighting,
        task_losses: TaskLosses,
        *,
        precision: Precision,
        streams: RandomStreams,
        micro_batch_size: int = 0,
        compile_backbone: bool = False,
    ) -> None:
        """`streams` should be active while batches pass."""
        self.micro_batch_size = micro_batch_size
        self.network, self.weighting, self.streams = network, weighting, streams
        self._task_losses = task_losses
        self._precision: Precision = precision
        self._compiled = compiled(network.represent) if compile_backbone else None
        self._adds_up = weighting.adds_up and not network.has_penalty

    def backward(self, images_BCHW: Tensor, batch: Batch, turn: Turn | None = None) -> Tensor:
        """Adds the batch's gradients to the parameters' `.grad`; its losses (T,), detached."""
        parts = self.parts(batch)
        if len(parts) == 1 or (self._adds_up and not (turn is not None and turn.is_of_batch)):
            return self._backward_once(images_BCHW, batch, parts, turn)
        return self._backward_twice(images_BCHW, batch, parts, turn)

    @torch.no_grad()
    def losses(self, images_BCHW: Tensor, batch: Batch) -> Tensor:
        """The losses (T,) as the network is now."""
        outputs = []
        with norms_at_rest(self.network):
            for rows in self.parts(batch):
                with self.autocast():
                    outputs.append(self.network(images_BCHW[batch.photographs(rows)], batch.context(rows)))
        return self.losses_of(torch.cat(outputs), batch)

    def _backward_once(self, images_BCHW: Tensor, batch: Batch, parts: Sequence[slice], turn: Turn | None) -> Tensor:
        present_T = batch.present_BT.any(dim=0)
        losses = []
        for rows in parts:
            context = _context(batch, rows, turn)
            with self.autocast():
                representation = self._represent(images_BCHW[batch.photographs(rows)])
                outputs_BO = self.network.predict(self._branch(representation), context)
            losses_T = self.losses_of(outputs_BO, batch, rows)
            self.weighting.backward(losses_T, present_T, representation, self.network.penalty(context))
            losses.append(losses_T.detach())
        return sum(losses[1:], start=losses[0])

    def _backward_twice(self, images_BCHW: Tensor, batch: Batch, parts: Sequence[slice], turn: Turn | None) -> Tensor:
        draws, passed = [], []
        for rows in parts:
            draws.append(self.streams.now())
            with torch.no_grad(), norms_at_rest(self.network), self.autocast():
                passed.append(as_tuple(self._represent(images_BCHW[batch.photographs(rows)])))
        leaves = tuple(torch.cat(pieces).requires_grad_() for pieces in zip(*passed, strict=True))
        losses_T = self._backward_to(leaves, batch, turn)
        after = self.streams.now()
        for rows, drawn in zip(parts, draws, strict=True):
            self.streams.jump(drawn)
            photographs = batch.photographs(rows)
            with self.autocast():
                pieces = as_tuple(self._represent(images_BCHW[photographs]))
            _send_back(pieces, [None if leaf.grad is None else leaf.grad[photographs] for leaf in leaves])
        self.streams.jump(after)
        return losses_T

    def _backward_to(self, leaves: tuple[Tensor, ...], batch: Batch, turn: Turn | None) -> Tensor:
        """The losses of the whole batch; their gradients arrive at the leaves and at what lies behind them."""
        first, *others = leaves
        representation = leaves if others else first
        context = _context(batch, slice(None), turn)
        with self.autocast():
            outputs_BO = self.network.predict(self._branch(representation), context)
        losses_T = self.losses_of(outputs_BO, batch)
        penalty = self.network.penalty(context)
        self.weighting.backward(losses_T, batch.present_BT.any(dim=0), representation, penalty)
        return losses_T.detach()

    def _represent(self, images_BCHW: Tensor) -> Representation:
        return (self._compiled or self.network.represent)(images_BCHW)

    def _branch(self, representation: Representation) -> Representation:
        branched = self.weighting.branch(representation)
        assert branched is not None, "only None branches to None"
        return branched

    def losses_of(self, outputs_BO: Tensor, batch: Batch, rows: slice = slice(None)) -> Tensor:
        """The losses (T,) of these rows' outputs, divided by the whole batch's labels."""
        return self._task_losses(
            outputs_BO.float(),
            batch.targets_BT[rows],
            batch.present_BT[rows],
            counts_T=batch.present_BT.sum(dim=0),
        )

    def parts(self, batch: Batch) -> list[slice]:
        """Rows of a batch, photographs or patients, in parts as equal as can be.

        9 rows, at most 4 at a time, would else end with one alone, which a batch norm after the pooling refuses.
        """
        num_rows = len(batch.targets_BT)
        num_parts = -(-num_rows // self.micro_batch_size) if self.micro_batch_size else 1
        ends = [part * num_rows // num_parts for part in range(num_parts + 1)]
        return [slice(start, end) for start, end in pairwise(ends)]

    def autocast(self) -> torch.autocast:
        """The precision of a pass."""
        return autocast(self._precision, self._task_losses.device)


def _context(batch: Batch, rows: slice, turn: Turn | None) -> Context:
    """Of a forward whose penalty is asked for."""
    return replace(batch.context(rows), turn=turn, penalties=[])


def _send_back(pieces: Sequence[Tensor], gradients: Sequence[Tensor | None]) -> None:
    arriving = [
        (piece, gradient)
        for piece, gradient in zip(pieces, gradients, strict=True)
        if gradient is not None and piece.requires_grad
    ]
    if arriving:
        torch.autograd.backward([piece for piece, _ in arriving], [gradient for _, gradient in arriving])


@contextmanager
def norms_at_rest(network: nn.Module) -> Iterator[None]:
    """Photographs that pass a second time do not count twice in the running statistics."""
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
