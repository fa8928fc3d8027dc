"""The gradients of one batch within the memory that there is.

B photographs · T tasks
"""

import logging
from itertools import chain

import torch
from torch import Tensor

from sepl.memory import free_memory
from sepl.training.input.batches import Batch
from sepl.training.supervised.cooperative import CooperativeTurns
from sepl.training.supervised.passes import Passes

_log = logging.getLogger(__name__)


class BatchBackward:
    """Adds a batch's gradients to the parameters' `.grad`; when memory runs out, again in parts of half the size.

    What it learnt about the memory is `passes.micro_batch_size`, which a resumed run should be given.
    """

    def __init__(self, passes: Passes, turns: CooperativeTurns | None = None) -> None:
        """With `turns`, each step's gradients are those of one task group."""
        self._passes, self._turns = passes, turns

    def __call__(self, images_BCHW: Tensor, batch: Batch, step: int = 0) -> Tensor:
        """The losses (T,), detached; `step` says whose turn it is. Raises OutOfMemoryError when a single photograph is
        too much."""
        streams, weighting = self._passes.streams, self._passes.weighting
        while True:
            before = streams.now(), {name: value.clone() for name, value in weighting.state_dict().items()}
            try:
                if self._turns is not None:
                    return self._turns.backward(images_BCHW, batch, step)
                return self._passes.backward(images_BCHW, batch)
            except torch.OutOfMemoryError as problem:
                self._halve(len(batch.targets_BT), problem)
            self._start_again(*before)  # here no traceback holds the failed attempt's tensors

    def _halve(self, batch_size: int, problem: torch.OutOfMemoryError) -> None:
        size = min(self._passes.micro_batch_size or batch_size, batch_size)
        if size == 1:
            raise problem
        self._passes.micro_batch_size = -(-size // 2)
        _log.warning("memory ran out for %d photographs at once: going on with %d", size, self._passes.micro_batch_size)

    def _start_again(self, random: dict[str, Tensor], weighting: dict[str, Tensor]) -> None:
        self._passes.streams.jump(random)
        self._passes.weighting.load_state_dict(weighting)
        for parameter in chain(self._passes.network.parameters(), self._passes.weighting.parameters()):
            parameter.grad = None
        free_memory()
