"""The gradients of one batch, in as many parts as memory asks for, the same however many these are.

A loss is a mean over the photographs that have its label, so parts are joined by dividing each part's sum by the
whole batch's count. That is all for a plain sum of losses. Other ways of weighting look at the whole batch's losses, or
at its gradients at the representation, so the batch passes twice (Gao et al. 2021, arXiv 2101.06983): once without
gradients to find what the tasks are predicted from, then, when the weighting has said what gradient should arrive
there, part by part with gradients, random numbers repeated.

A network with batch norm normalises within what passes at once: there, and only there, parts change the result. Dropped
paths are drawn for each part, so that they are other draws of the same kind.

    B photographs · T tasks
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, pairwise

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sepl.config import Precision
from sepl.memory import free_memory
from sepl.models.network import MultiTaskNetwork, Representation
from sepl.training.batches import Batch
from sepl.training.device import autocast, compiled
from sepl.training.losses import task_losses
from sepl.training.seeding import RandomStreams
from sepl.training.weighting_base import Weighting, as_tuple

_log = logging.getLogger(__name__)


class BatchBackward:
    """Adds a batch's gradients to the parameters' `.grad`; when memory runs out, again in parts of half the size.

    What it learnt about the memory is `micro_batch_size`, which a resumed run should be given.
    """

    def __init__(
        self,
        network: MultiTaskNetwork,
        weighting: Weighting,
        is_binary_T: Tensor,
        *,
        precision: Precision,
        streams: RandomStreams,
        micro_batch_size: int = 0,
        compile_backbone: bool = False,
    ) -> None:
        """`micro_batch_size` 0 is whole batches. `streams` should be active while batches pass."""
        self.micro_batch_size = micro_batch_size
        self._network, self._weighting, self._is_binary_T = network, weighting, is_binary_T
        self._streams = streams
        self._precision: Precision = precision
        self._represent = compiled(network.represent) if compile_backbone else network.represent
        self._adds_up = _adds_up(network, weighting)

    def __call__(self, images_BCHW: Tensor, batch: Batch) -> Tensor:
        """The losses (T,), detached. Raises OutOfMemoryError when a single photograph is too much."""
        while True:
            before = self._streams.now(), {name: value.clone() for name, value in self._weighting.state_dict().items()}
            try:
                return self._backward(images_BCHW, batch)
            except torch.OutOfMemoryError as problem:
                self._halve(len(batch.targets_BT), problem)
            self._start_again(*before)  # here no traceback holds the failed attempt's tensors

    @torch.no_grad()
    def losses(self, images_BCHW: Tensor, batch: Batch) -> Tensor:
        """The losses (T,) as the network is now."""
        outputs = []
        with norms_at_rest(self._network):
            for rows in self._parts(batch):
                with self._autocast():
                    outputs.append(self._network(images_BCHW[batch.photographs(rows)], batch.context(rows)))
        return self._losses(torch.cat(outputs), batch)

    def _backward(self, images_BCHW: Tensor, batch: Batch) -> Tensor:
        parts = self._parts(batch)
        if len(parts) == 1 or self._adds_up:
            return self._backward_once(images_BCHW, batch, parts)
        return self._backward_twice(images_BCHW, batch, parts)

    def _backward_once(self, images_BCHW: Tensor, batch: Batch, parts: Sequence[slice]) -> Tensor:
        present_T = batch.present_BT.any(dim=0)
        losses = []
        for rows in parts:
            with self._autocast():
                representation = self._represent(images_BCHW[batch.photographs(rows)])
                outputs_BT = self._network.predict(self._branch(representation), batch.context(rows))
            losses_T = self._losses(outputs_BT, batch, rows)
            self._weighting.backward(losses_T, present_T, representation, self._network)
            losses.append(losses_T.detach())
        return sum(losses[1:], start=losses[0])

    def _backward_twice(self, images_BCHW: Tensor, batch: Batch, parts: Sequence[slice]) -> Tensor:
        draws, passed = [], []
        for rows in parts:
            draws.append(self._streams.now())
            with torch.no_grad(), norms_at_rest(self._network), self._autocast():
                passed.append(as_tuple(self._represent(images_BCHW[batch.photographs(rows)])))
        leaves = tuple(torch.cat(pieces).requires_grad_() for pieces in zip(*passed, strict=True))
        losses_T = self._backward_to(leaves, batch)
        after = self._streams.now()
        for rows, drawn in zip(parts, draws, strict=True):
            self._streams.jump(drawn)
            photographs = batch.photographs(rows)
            with self._autocast():
                pieces = as_tuple(self._represent(images_BCHW[photographs]))
            _send_back(pieces, [None if leaf.grad is None else leaf.grad[photographs] for leaf in leaves])
        self._streams.jump(after)
        return losses_T

    def _backward_to(self, leaves: tuple[Tensor, ...], batch: Batch) -> Tensor:
        """The losses of the whole batch; their gradients arrive at the leaves and at what lies behind them."""
        first, *others = leaves
        representation = leaves if others else first
        with self._autocast():
            outputs_BT = self._network.predict(self._branch(representation), batch.context())
        losses_T = self._losses(outputs_BT, batch)
        self._weighting.backward(losses_T, batch.present_BT.any(dim=0), representation, self._network)
        return losses_T.detach()

    def _branch(self, representation: Representation) -> Representation:
        branched = self._weighting.branch(representation)
        assert branched is not None, "only None branches to None"
        return branched

    def _losses(self, outputs_BT: Tensor, batch: Batch, rows: slice = slice(None)) -> Tensor:
        return task_losses(
            outputs_BT.float(),
            batch.targets_BT[rows],
            batch.present_BT[rows],
            self._is_binary_T,
            counts_T=batch.present_BT.sum(dim=0),
        )

    def _parts(self, batch: Batch) -> list[slice]:
        """Rows of a batch, photographs or patients, in parts as equal as can be.

        9 rows, at most 4 at a time, would else end with one alone, which a batch norm after the pooling refuses.
        """
        num_rows = len(batch.targets_BT)
        num_parts = -(-num_rows // self.micro_batch_size) if self.micro_batch_size else 1
        ends = [part * num_rows // num_parts for part in range(num_parts + 1)]
        return [slice(start, end) for start, end in pairwise(ends)]

    def _autocast(self) -> torch.autocast:
        return autocast(self._precision, self._is_binary_T.device)

    def _halve(self, batch_size: int, problem: torch.OutOfMemoryError) -> None:
        size = min(self.micro_batch_size or batch_size, batch_size)
        if size == 1:
            raise problem
        self.micro_batch_size = -(-size // 2)
        _log.warning("memory ran out for %d photographs at once: going on with %d", size, self.micro_batch_size)

    def _start_again(self, random: dict[str, Tensor], weighting: dict[str, Tensor]) -> None:
        self._streams.jump(random)
        self._weighting.load_state_dict(weighting)
        for parameter in chain(self._network.parameters(), self._weighting.parameters()):
            parameter.grad = None
        free_memory()


def _adds_up(network: MultiTaskNetwork, weighting: Weighting) -> bool:
    """Whether the gradient of a batch is the sum of its parts' gradients."""
    return weighting.adds_up and not network.has_penalty


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
