"""How tasks help each other, measured during one ordinary training run at a few per cent of its time.

Every few steps, on a batch of its own and without a trace in the training,

    cosine      cos(∂L_i/∂z, ∂L_j/∂z) at the shared representation z, all pairs from one pass forward
    lookahead   Z_ij = 1 − L_j(θ − η ∂L_i/∂θ) / L_j(θ) for the trunk's parameters θ and the learning rate η: how much a
                step for task i alone helps task j (TAG: Fifty et al., NeurIPS 2021, arXiv 2109.04617)

Full TAG passes the trunk 2 T times each time. Here one task i after the other takes its turn at being looked ahead for,
which costs 1 1/3 training steps each time whatever T is, so that measuring every 12th step costs about a tenth.

    B photographs · T tasks · O outputs · P tasks with a label in the batch
"""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sepl.config import Precision, TrialConfig
from sepl.device import autocast
from sepl.errors import ConfigError
from sepl.memory import free_memory
from sepl.models.parts.network import MultiTaskNetwork
from sepl.models.pixels import to_input
from sepl.training.affinity.record import EVERY, Affinity, benefit_when_known, rank_splits, to_matrix
from sepl.training.input.batches import TrainingData
from sepl.training.supervised.losses import TaskLosses
from sepl.training.supervised.run import EpochResult, TrainingRun, train
from sepl.training.weighting.base import as_tuple
from sepl.training.weighting.gradients import task_jacobians


def measure_affinity(
    config: TrialConfig,
    data: TrainingData,
    *,
    every: int = EVERY,
    on_epoch: Callable[[EpochResult], object] = lambda _: None,
) -> Affinity:
    """Trains as `config` says and measures every so many steps; the training is the same as without.

    Raises ConfigError for a family whose tasks share no representation, for a network that takes labels, for data
    without patients to validate on, and for fewer steps than `every`.
    """
    if data.validation is None:
        raise ConfigError("affinity should be measured with patients to validate on, had none")
    run = TrainingRun(config, data)
    if every > run.num_steps:
        raise ConfigError(f"affinity should be measured within the run's {run.num_steps} steps, was every {every}")
    probe = AffinityProbe(run.network, data, config, every=every)
    start = time.perf_counter()
    best_skill, skills = -math.inf, {}
    for epoch in train(run, after_step=probe):
        probe()  # an epoch's last step too: a small cohort has one alone
        on_epoch(epoch)
        if epoch.validation_skill > best_skill:
            best_skill, skills = epoch.validation_skill, epoch.skill_per_task
    seconds = time.perf_counter() - start
    skills_T = np.array([skills[name] for name in data.tasks.names])
    correlation_TT, cosine_TT = label_correlation(data), probe.cosine()
    benefit_TT = benefit_when_known(correlation_TT, cosine_TT, skills_T)
    return Affinity(
        tasks=data.tasks.names,
        fingerprint=data.fingerprint,
        num_steps=run.steps_done,
        num_measurements=probe.num_measurements,
        extra_time=probe.seconds / (seconds - probe.seconds),
        skills=to_matrix(skills_T[None])[0],
        label_correlation=to_matrix(correlation_TT),
        gradient_cosine=to_matrix(cosine_TT),
        lookahead=to_matrix(probe.lookahead()),
        benefit=to_matrix(benefit_TT),
        splits=rank_splits(benefit_TT, data.tasks),
    )


def label_correlation(data: TrainingData) -> NDArray[np.float64]:
    """Spearman's (T, T) over training photographs that have both labels; NaN where a label does not vary, and of a
    categorical task of more than two classes, which have no order."""
    targets_NT, present_NT = data.train.targets_NT.cpu().numpy(), data.train.present_NT.cpu().numpy()
    is_ordered_T = np.array([task.kind != "categorical" or task.num_outputs == 2 for task in data.tasks])
    labels = pd.DataFrame(np.where((present_NT > 0) & is_ordered_T, targets_NT, np.nan))
    return labels.corr(method="spearman").to_numpy(dtype=np.float64)


class AffinityProbe:
    """Called after each training step; measures at every n-th."""

    def __init__(self, network: MultiTaskNetwork, data: TrainingData, config: TrialConfig, *, every: int) -> None:
        if not network.has_shared_trunk:
            raise ConfigError("affinity is measured where all tasks share a representation, which this family has not")
        if network.needs_labels:
            raise ConfigError("affinity should be measured with a network of photographs alone, this one takes labels")
        if every < 1:
            raise ConfigError(f"affinity should be measured every 1 or more steps, was {every}")
        self.seconds = 0.0
        self.num_measurements = 0
        self._network, self._data, self._every = network, data, every
        training = config.training
        most = min(training.batch_size, training.micro_batch_size or training.batch_size)
        self._batch_size = min(most, data.train.pixels.num_photographs)
        self._learning_rate = config.training.learning_rate
        self._precision: Precision = config.training.precision
        self._task_losses = TaskLosses(data.tasks, data.device)
        self._order = torch.Generator().manual_seed(0)  # of no influence on the training
        self._num_steps = 0
        num_tasks = len(data.tasks)
        self._next_source = 0
        self._cosines = _Mean(num_tasks)
        self._lookaheads = _Mean(num_tasks)

    def __call__(self) -> None:
        self._num_steps += 1
        if self._num_steps % self._every:
            return
        if self._data.device.type == "cuda":
            torch.cuda.synchronize(self._data.device)  # steps still under way are not the measurement's
        start = time.perf_counter()
        with _at_rest(self._network):
            self._measure_within_memory()
        self.num_measurements += 1
        self.seconds += time.perf_counter() - start

    def cosine(self) -> NDArray[np.float64]:
        """Mean cosines (T, T) of gradients; NaN for tasks never seen together."""
        return self._cosines.value()

    def lookahead(self) -> NDArray[np.float64]:
        """Mean affinities (T, T) from the row's task to the column's; NaN where not measured."""
        return self._lookaheads.value()

    def _measure_within_memory(self) -> None:
        """On half the photographs from now on where memory runs out, as training goes on in halves."""
        while True:
            try:
                return self._measure()
            except torch.OutOfMemoryError:
                if self._batch_size == 1:
                    raise
                self._batch_size = -(-self._batch_size // 2)
            free_memory()  # here no traceback holds the failed attempt's tensors

    def _measure(self) -> None:
        images_BCHW, targets_BT, present_BT = self._draw()
        present_P = present_BT.any(dim=0).nonzero().flatten().cpu()
        if len(present_P) == 0:
            return
        with self._autocast():
            parts = as_tuple(self._network.represent(images_BCHW))
            leaves = tuple(part.detach().requires_grad_() for part in parts)
            outputs_BO = self._network.predict(leaves[0] if len(leaves) == 1 else leaves)
        losses_T = self._losses(outputs_BO, targets_BT, present_BT)
        jacobians = task_jacobians(losses_T[present_P], leaves)
        source = self._take_source(present_P)
        row = present_P.tolist().index(source)
        with self._stepped(parts, [jacobian[row] for jacobian in jacobians]), torch.no_grad(), self._autocast():
            after_BO = self._network(images_BCHW)
        after_T = self._losses(after_BO, targets_BT, present_BT)
        helped_P = (1 - after_T / losses_T.detach())[present_P].cpu().numpy()
        self._add_cosines(present_P, jacobians)
        self._lookaheads.add(np.array([source]), present_P.numpy(), helped_P[None])

    def _add_cosines(self, present_P: Tensor, jacobians: Sequence[Tensor]) -> None:
        flat_PR = torch.cat([jacobian.flatten(1).float() for jacobian in jacobians], dim=1)
        unit_PR = nn.functional.normalize(flat_PR, dim=1)
        self._cosines.add(present_P.numpy(), present_P.numpy(), (unit_PR @ unit_PR.T).cpu().numpy())

    def _take_source(self, present_P: Tensor) -> int:
        """The next task, in turn, that has a label in the batch."""
        num_tasks = len(self._data.tasks)
        waiting = (present_P - self._next_source) % num_tasks
        source = int(present_P[int(waiting.argmin())])
        self._next_source = (source + 1) % num_tasks
        return source

    @contextmanager
    def _stepped(self, parts: tuple[Tensor, ...], gradients: list[Tensor]) -> Iterator[None]:
        """The trunk's parameters one plain gradient step on, then as they were, to the bit."""
        parameters = [parameter for parameter in self._network.parameters() if parameter.requires_grad]
        reached = [(part, gradient) for part, gradient in zip(parts, gradients, strict=True) if part.requires_grad]
        if not reached:
            yield
            return
        steps = torch.autograd.grad(
            [part for part, _ in reached], parameters, [gradient for _, gradient in reached], allow_unused=True
        )
        moved = [(parameter, step) for parameter, step in zip(parameters, steps, strict=True) if step is not None]
        before = [parameter.detach().clone() for parameter, _ in moved]
        with torch.no_grad():
            for parameter, step in moved:
                parameter.sub_(step, alpha=self._learning_rate)
        try:
            yield
        finally:
            with torch.no_grad():
                for (parameter, _), value in zip(moved, before, strict=True):
                    parameter.copy_(value)

    def _draw(self) -> tuple[Tensor, Tensor, Tensor]:
        train_set = self._data.train
        order_1B = torch.randperm(train_set.pixels.num_photographs, generator=self._order)[None, : self._batch_size]
        pixels_BHWC = next(iter(train_set.pixels.batches(order_1B)))
        rows_B = order_1B[0].to(self._data.device)
        images_BCHW = to_input(pixels_BHWC, *self._network.normalisation)
        return images_BCHW, train_set.targets_NT[rows_B], train_set.present_NT[rows_B]

    def _losses(self, outputs_BO: Tensor, targets_BT: Tensor, present_BT: Tensor) -> Tensor:
        return self._task_losses(outputs_BO.float(), targets_BT, present_BT)

    def _autocast(self) -> torch.autocast:
        return autocast(self._precision, self._data.device)


class _Mean:
    """Of matrices (T, T) of which each measurement knows a part."""

    def __init__(self, num_tasks: int) -> None:
        self._sums_TT = np.zeros((num_tasks, num_tasks))
        self._counts_TT = np.zeros((num_tasks, num_tasks))

    def add(self, rows: NDArray[np.int64], columns: NDArray[np.int64], values: NDArray[np.floating]) -> None:
        known = np.isfinite(values)  # a loss of 0 has no share that a step could take
        self._sums_TT[np.ix_(rows, columns)] += np.where(known, values, 0.0)
        self._counts_TT[np.ix_(rows, columns)] += known

    def value(self) -> NDArray[np.float64]:
        with np.errstate(invalid="ignore"):
            return self._sums_TT / self._counts_TT


@contextmanager
def _at_rest(network: nn.Module) -> Iterator[None]:
    """In evaluation mode, where nothing is drawn and no statistics run, then each module in the mode that it had."""
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training
