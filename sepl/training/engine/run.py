"""A run of any objective, an epoch at a time, to be interrupted and resumed at any step.

AdamW with a cosine schedule. Gradients are not clipped: L1 and cross-entropy push no output with more than
1 / (labels in the batch), and AdamW divides a gradient by its own size anyway, so that a norm over all parameters in
every step would buy nothing.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic

from timm.utils.model_ema import ModelEmaV3
from torch import Tensor, nn
from torch.optim import AdamW

from sepl.device import deterministic_kernels
from sepl.models.backbone.depth import freeze_stages
from sepl.training.engine.checkpoint import (
    Checkpoint,
    Progress,
    copy_to_cpu,
    load_checkpoint,
    load_optimiser_tensors,
    optimiser_tensors,
    save_checkpoint,
)
from sepl.training.engine.objective import BatchT, InputsT, Objective, Pace, ResultT
from sepl.training.engine.optimiser import build_optimiser, set_learning_rate
from sepl.training.engine.schedule import CosineSchedule
from sepl.training.engine.seeding import RandomStreams
from sepl.training.engine.settings import EngineSettings


class Engine(Generic[BatchT, InputsT, ResultT]):
    """One network in training: run epochs, take the best weights, save and restore between any two steps.

    The same network, objective, settings and streams give the same weights, on a CPU bit for bit (with the same number
    of threads), whatever else runs in the process. With `ema_decay`, the weights that are validated and kept are the
    moving average.
    """

    def __init__(
        self,
        network: nn.Module,
        objective: Objective[BatchT, InputsT, ResultT],
        settings: EngineSettings,
        streams: RandomStreams,
        identity: Mapping[str, Any],
    ) -> None:
        """Trains nothing yet.

        `identity` are JSON values by name that say of what the run is; a save of another identity is refused. Raises
        ConfigError for more `frozen_stages` than the network has.
        """
        self._network, self._objective, self._settings = network, objective, settings
        self._streams, self._identity = streams, dict(identity)
        self._frozen = freeze_stages(network, settings.frozen_stages) if settings.frozen_stages else []
        self._optimiser = build_optimiser(
            network,
            learning_rate=settings.learning_rate,
            weight_decay=settings.weight_decay,
            layer_decay=settings.layer_decay,
            beside=objective.beside,
        )
        self._average = ModelEmaV3(network, decay=settings.ema_decay, use_warmup=True) if settings.ema_decay else None
        self._steps_per_epoch = objective.steps_per_epoch
        self._schedule = CosineSchedule.over(
            settings.learning_rate,
            num_epochs=settings.num_epochs,
            steps_per_epoch=self._steps_per_epoch,
            warmup_epochs=settings.warmup_epochs,
        )
        self._epoch = 0
        self._steps_done = 0  # of the epoch that has begun
        self._best_epoch = 0
        self._best: dict[str, Tensor] = {}

    @property
    def optimiser(self) -> AdamW:
        """Of the network's parameters, and of what the objective learns beside them."""
        return self._optimiser

    @property
    def streams(self) -> RandomStreams:
        """The run's random numbers."""
        return self._streams

    @property
    def finished(self) -> bool:
        """All epochs are done, or as many without a better one as `early_stopping_epochs` allows."""
        patience = self._settings.early_stopping_epochs
        has_stalled = patience > 0 and self._epoch - self._best_epoch >= patience
        return self._epoch >= self._settings.num_epochs or has_stalled

    @property
    def steps_done(self) -> int:
        """Optimiser steps since the beginning of the run."""
        return self._epoch * self._steps_per_epoch + self._steps_done

    @property
    def num_steps(self) -> int:
        """Optimiser steps of the whole run, unless it stops early."""
        return self._settings.num_epochs * self._steps_per_epoch

    @property
    def best_epoch(self) -> int:
        """The epoch, from 1, of `best_state`; 0 before the first."""
        return self._best_epoch

    @contextmanager
    def active(self) -> Iterator[None]:
        """Until the end of the block, random numbers and kernels are the run's: what single steps are made in."""
        with self._streams.active(), deterministic_kernels(self._settings.deterministic):
            yield

    def run_epoch(self, after_step: Callable[[], object] | None = None) -> ResultT:
        """Trains for one epoch, or what is left of it, then validates.

        `after_step` is called between the steps of the epoch, where the run can be saved; it should not wait for the
        device each time. Raises DivergedError when the objective finds a figure that is not finite.
        """
        assert not self.finished, "a finished run has no epoch left"
        start = time.perf_counter()
        with self.active():
            num_photographs = self._train_epoch(after_step)
            seconds_of_training = time.perf_counter() - start
            # decides which epoch is kept, so it has to repeat as the steps do
            is_better = self._objective.validate(self._kept_network, self._epoch + 1)
        self._epoch += 1
        self._keep_if(is_better)
        pace = Pace(
            epoch=self._epoch,
            num_epochs=self._settings.num_epochs,
            is_last=self.finished,
            seconds=time.perf_counter() - start,
            photographs_per_second=num_photographs / seconds_of_training,
        )
        return self._objective.epoch_result(pace)

    def step(self, batch: BatchT, learning_rate: float) -> None:
        """One optimiser step within `active()`, which `steps_done` does not count: an epoch counts its own."""
        set_learning_rate(self._optimiser, learning_rate)
        inputs = self._objective.inputs(batch)
        self._objective.backward(inputs, self.steps_done)
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)
        if self._average is not None:
            self._average.update(self._network, step=self.steps_done + 1)
        self._objective.after_step(inputs)

    def best_state(self) -> dict[str, Tensor]:
        """The best epoch's weights, on the CPU; without validation, the latest ones."""
        return copy_to_cpu(self._best or self._kept_network.state_dict())

    def save(self, folder: Path) -> None:
        """Writes all that the steps to come depend on: weights, average, optimiser, objective, random streams, …"""
        random = self._streams.state_dict()
        if self._steps_done:
            random["order"] = self._order_before  # the epoch's order is drawn again
        checkpoint = Checkpoint(
            Progress(
                identity=self._identity,
                epoch=self._epoch,
                steps_done=self._steps_done,
                best_epoch=self._best_epoch,
            ),
            weights=copy_to_cpu(self._network.state_dict()),
            best=self._best,
            average={} if self._average is None else copy_to_cpu(self._average.module.state_dict()),
            optimiser=optimiser_tensors(self._optimiser),
            objective=copy_to_cpu(self._objective.state_dict()),
            random=random,
        )
        save_checkpoint(folder, checkpoint)

    def restore(self, folder: Path) -> None:
        """Goes on where `save` left off, exactly: on a CPU to the same bits as a run that was never interrupted.

        Raises StorageError when the folder holds no whole checkpoint, ConfigError when it is of another run.
        """
        checkpoint = load_checkpoint(folder)
        progress = checkpoint.progress
        progress.check_is_of(self._identity, folder)
        self._network.load_state_dict(checkpoint.weights)
        if self._average is not None:
            self._average.module.load_state_dict(checkpoint.average)
        load_optimiser_tensors(self._optimiser, checkpoint.optimiser)
        self._objective.load_state_dict(checkpoint.objective)
        self._streams.load_state_dict(checkpoint.random)
        self._best = checkpoint.best
        self._epoch, self._steps_done = progress.epoch, progress.steps_done
        self._best_epoch = progress.best_epoch

    @property
    def _kept_network(self) -> nn.Module:
        return self._network if self._average is None else self._average.module

    def _train_epoch(self, after_step: Callable[[], object] | None) -> int:
        """How many photographs there were; the only wait for the device is at the end."""
        self._network.train()
        for module in self._frozen:
            module.eval()
        if self._steps_done == 0:
            self._objective.begin_epoch()
        self._order_before = self._streams.order.get_state()
        num_photographs = 0
        for batch in self._objective.batches(self._streams.order, num_skipped=self._steps_done):
            self.step(batch, self._schedule.learning_rate(self.steps_done))
            num_photographs += self._objective.num_photographs(batch)
            self._steps_done += 1
            if after_step is not None and self._steps_done < self._steps_per_epoch:
                after_step()
        self._steps_done = 0
        self._objective.end_epoch(self._epoch + 1)
        return num_photographs

    def _keep_if(self, is_better: bool | None) -> None:
        if is_better is None:
            self._best_epoch = self._epoch
        elif is_better:
            self._best_epoch = self._epoch
            self._best = copy_to_cpu(self._kept_network.state_dict(), into=self._best)
