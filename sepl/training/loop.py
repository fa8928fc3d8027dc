"""The training of one trial, an epoch at a time, to be interrupted and resumed at any step.

The paper's losses, with AdamW, a cosine schedule and mixed precision. Gradients are not clipped: L1 and cross-entropy
push no output with more than 1 / (labels in the batch), and AdamW divides a gradient by its own size anyway, so that a
norm over all parameters in every step would buy nothing.

    B photographs · N of a cohort split · T tasks
"""

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from timm.utils.model_ema import ModelEmaV3
from torch import Tensor

from sepl.config import TrialConfig
from sepl.errors import ConfigError, DivergedError
from sepl.memory import keep_freed_memory
from sepl.models.build import build_network
from sepl.models.depth import freeze_stages
from sepl.models.network import MultiTaskNetwork
from sepl.models.predict import predict_outputs
from sepl.training.augment import Augmenter
from sepl.training.backward import BatchBackward
from sepl.training.batches import Batch, TrainingData
from sepl.training.checkpoint import (
    Checkpoint,
    Progress,
    copy_to_cpu,
    load_checkpoint,
    load_optimiser_tensors,
    optimiser_tensors,
    save_checkpoint,
)
from sepl.training.cooperative import CooperativeBackward
from sepl.training.device import autocast, deterministic_kernels, pick_device, warn_of_emulation
from sepl.training.optimiser import build_optimiser, set_learning_rate
from sepl.training.patient_sets import PatientTrainSet
from sepl.training.schedule import CosineSchedule
from sepl.training.seeding import RandomStreams
from sepl.training.validation import labels_at_hand, validation_skills
from sepl.training.weighting import build_weighting


@dataclass(frozen=True)
class EpochResult:
    """What one epoch came to. Skills are NaN when there is nothing to validate on."""

    epoch: int
    """From 1."""
    num_epochs: int
    train_loss: float
    """Sum over tasks, mean over steps."""
    validation_skill: float
    """Per patient, mean over the tasks that the validation patients can judge."""
    best_skill: float
    """The highest validation skill so far; never falls."""
    skill_per_task: dict[str, float]
    """NaN for a task that the validation patients cannot judge."""
    is_last: bool
    """Whether the run is over: all its epochs are done, or it has stopped early."""
    seconds: float
    """Training and validation, since the run was made or restored if that was within the epoch."""
    photographs_per_second: float
    """Of training alone."""


class TrainingRun:
    """One network in training: run epochs, take the best weights, save and restore between any two steps.

    The same config, data and seed give the same weights, on a CPU bit for bit (with the same number of threads),
    whatever else runs in the process. With `ema_decay`, the weights that are validated and kept are the moving average.
    """

    def __init__(self, config: TrialConfig, data: TrainingData, *, device: str = "auto") -> None:
        """Builds the network; nothing is trained yet.

        `device` 'auto' is where the data lie; another name has to mean that place. Raises ConfigError when it does
        not, and for a config that cannot be built.
        """
        if device != "auto" and pick_device(device) != data.device:
            raise ConfigError(f"device should be {data.device}, where the training data lie, was {device}")
        if data.device.type == "cpu":
            keep_freed_memory()
        training = config.training
        warn_of_emulation(training.precision, data.device)
        self._config, self._data = config, data
        self._streams = RandomStreams(training.seed, data.device)
        with self._streams.active():
            self._network = build_network(config.model, data.tasks, data.image_spec.size).to(data.device)
        self._frozen = freeze_stages(self._network, training.frozen_stages) if training.frozen_stages else []
        self._weighting = build_weighting(training, data.tasks, self._network, data.device)
        self._optimiser = build_optimiser(
            self._network,
            learning_rate=training.learning_rate,
            weight_decay=training.weight_decay,
            layer_decay=training.layer_decay,
            weighting=self._weighting,
        )
        self._average = (
            ModelEmaV3(self._network, decay=training.ema_decay, use_warmup=True) if training.ema_decay else None
        )
        make_backward = partial(CooperativeBackward, settings=training, step=lambda: self.steps_done)
        self._backward = (make_backward if training.cooperative else BatchBackward)(
            self._network,
            self._weighting,
            data.is_binary_T,
            precision=training.precision,
            streams=self._streams,
            micro_batch_size=training.micro_batch_size,
            compile_backbone=training.compile_backbone,
        )
        self._augment = Augmenter(data.image_spec, training.augment_strength, self._streams.augmentation)
        fused = config.model.fusion != "none"
        self._train = PatientTrainSet.of(data.train, config.model.photographs_per_patient) if fused else data.train
        self._steps_per_epoch = self._train.steps_per_epoch(training.batch_size)
        self._schedule = CosineSchedule.over(
            training.learning_rate,
            num_epochs=training.num_epochs,
            steps_per_epoch=self._steps_per_epoch,
            warmup_epochs=training.warmup_epochs,
        )
        self._epoch = 0
        self._steps_done = 0  # of the epoch that has begun
        self._loss_sums_T = torch.zeros(len(data.tasks), device=data.device)
        self._best_epoch = 0
        self._best_skill = math.nan
        self._best: dict[str, Tensor] = {}

    @property
    def network(self) -> MultiTaskNetwork:
        """The one in training."""
        return self._network

    @property
    def finished(self) -> bool:
        """All epochs are done, or as many without a better skill as `early_stopping_epochs` allows."""
        training = self._config.training
        patience = training.early_stopping_epochs
        has_stalled = patience > 0 and self._epoch - self._best_epoch >= patience
        return self._epoch >= training.num_epochs or has_stalled

    @property
    def steps_done(self) -> int:
        """Optimiser steps since the beginning of the run."""
        return self._epoch * self._steps_per_epoch + self._steps_done

    @property
    def num_steps(self) -> int:
        """Optimiser steps of the whole run, unless it stops early."""
        return self._config.training.num_epochs * self._steps_per_epoch

    @property
    def best_epoch(self) -> int:
        """The epoch, from 1, of `best_state`; 0 before the first."""
        return self._best_epoch

    def run_epoch(self, after_step: Callable[[], object] | None = None) -> EpochResult:
        """Trains for one epoch, or what is left of it, then validates.

        `after_step` is called between the steps of the epoch, where the run can be saved; it should not wait for the
        device each time. Raises DivergedError, naming epoch, tasks and learning rate, when a loss or an output is not
        finite.
        """
        assert not self.finished, "a finished run has no epoch left"
        start = time.perf_counter()
        with self._streams.active(), deterministic_kernels(self._config.training.deterministic):
            losses_T, num_photographs = self._train_epoch(after_step)
            trained = time.perf_counter()
            skills = self._validate()  # decides which epoch is kept, so it has to repeat as the steps do
        self._epoch += 1
        skill = _mean(skills.values())
        self._keep_if_best(skill)
        return EpochResult(
            epoch=self._epoch,
            num_epochs=self._config.training.num_epochs,
            train_loss=sum(losses_T),
            validation_skill=skill,
            best_skill=self._best_skill,
            skill_per_task=skills,
            is_last=self.finished,
            seconds=time.perf_counter() - start,
            photographs_per_second=num_photographs / (trained - start),
        )

    def best_state(self) -> dict[str, Tensor]:
        """The best epoch's weights, on the CPU; without validation, the latest ones."""
        return copy_to_cpu(self._best or self._kept_network.state_dict())

    def save(self, folder: Path) -> None:
        """Writes all that the steps to come depend on: weights, average, optimiser, weighting, random streams, …"""
        progress = Progress(
            config=self._config,
            fingerprint=self._data.fingerprint,
            epoch=self._epoch,
            steps_done=self._steps_done,
            micro_batch_size=self._backward.micro_batch_size,
            best_epoch=self._best_epoch,
            best_skill=None if math.isnan(self._best_skill) else self._best_skill,
        )
        random = self._streams.state_dict()
        if self._steps_done:
            random["order"] = self._order_before  # the epoch's order is drawn again
        checkpoint = Checkpoint(
            progress,
            weights=copy_to_cpu(self._network.state_dict()),
            best=self._best,
            average={} if self._average is None else copy_to_cpu(self._average.module.state_dict()),
            optimiser=optimiser_tensors(self._optimiser),
            weighting=copy_to_cpu(self._weighting.state_dict()),
            losses=copy_to_cpu({"sums": self._loss_sums_T}),
            random=random,
        )
        save_checkpoint(folder, checkpoint)

    def restore(self, folder: Path) -> None:
        """Goes on where `save` left off, exactly: on a CPU to the same bits as a run that was never interrupted.

        Raises StorageError when the folder holds no whole checkpoint, ConfigError when it is of another config or
        dataset.
        """
        checkpoint = load_checkpoint(folder)
        progress = checkpoint.progress
        progress.check_is_of(self._config, self._data.fingerprint, folder)
        self._network.load_state_dict(checkpoint.weights)
        if self._average is not None:
            self._average.module.load_state_dict(checkpoint.average)
        load_optimiser_tensors(self._optimiser, checkpoint.optimiser)
        self._weighting.load_state_dict(checkpoint.weighting)
        self._streams.load_state_dict(checkpoint.random)
        self._loss_sums_T.copy_(checkpoint.losses["sums"])
        self._backward.micro_batch_size = progress.micro_batch_size
        self._best = checkpoint.best
        self._epoch, self._steps_done = progress.epoch, progress.steps_done
        self._best_epoch = progress.best_epoch
        self._best_skill = math.nan if progress.best_skill is None else progress.best_skill

    @property
    def _kept_network(self) -> torch.nn.Module:
        return self._network if self._average is None else self._average.module

    def _train_epoch(self, after_step: Callable[[], object] | None) -> tuple[list[float], int]:
        """Mean losses (T,), and how many photographs there were; the only wait for the device is at the end."""
        self._network.train()
        for module in self._frozen:
            module.eval()
        if self._steps_done == 0:
            self._loss_sums_T.zero_()
        self._order_before = self._streams.order.get_state()
        num_photographs = 0
        batches = self._train.epoch(
            self._config.training.batch_size,
            self._streams.order,
            num_skipped=self._steps_done,
            handed_on=self._config.model.propagation,
        )
        for batch in batches:
            self._loss_sums_T += self._train_step(batch, self._schedule.learning_rate(self.steps_done))
            num_photographs += len(batch.pixels_BHWC)
            self._steps_done += 1
            if after_step is not None and self._steps_done < self._steps_per_epoch:
                after_step()
        self._steps_done = 0
        self._weighting.end_epoch()
        losses_T = (self._loss_sums_T / self._steps_per_epoch).tolist()
        self._check_finite(losses_T, "loss")
        return losses_T, num_photographs

    def _train_step(self, batch: Batch, learning_rate: float) -> Tensor:
        """One optimiser step; the losses (T,) before it, still on the device."""
        set_learning_rate(self._optimiser, learning_rate)
        images_BCHW = self._augment(batch.pixels_BHWC)
        losses_T = self._backward(images_BCHW, batch)
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)
        if self._average is not None:
            self._average.update(self._network, step=self.steps_done + 1)
        if self._weighting.looks_again:
            self._weighting.after_step(self._backward.losses(images_BCHW, batch), batch.present_BT.any(dim=0))
        return losses_T

    def _validate(self) -> dict[str, float]:
        validation = self._data.validation
        if validation is None:
            return dict.fromkeys(self._data.tasks.names, math.nan)
        with autocast(self._config.training.precision, self._data.device):
            outputs_NT = predict_outputs(
                self._kept_network,
                validation.photographs.shards,
                self._data.image_spec,
                device=self._data.device,
                batch_size=self._validation_batch_size(),
                patients=validation.photographs.patient_index,
                labels_NT=labels_at_hand(self._config.model.propagation, validation.photographs, self._data.scaler),
            )
        self._check_finite(outputs_NT.sum(axis=0).tolist(), "output for validation photographs")
        return validation_skills(outputs_NT, validation, self._data.scaler, self._data.tasks)

    def _validation_batch_size(self) -> int:
        """Without gradients there is room for more photographs at once than a step has, but not for any number."""
        at_once = self._backward.micro_batch_size
        return min(64, 4 * at_once) if at_once else 64

    def _keep_if_best(self, skill: float) -> None:
        if self._data.validation is None:
            self._best_epoch = self._epoch
        elif not skill <= self._best_skill:  # NaN before the first epoch
            self._best_epoch, self._best_skill = self._epoch, skill
            self._best = copy_to_cpu(self._kept_network.state_dict(), into=self._best)

    def _check_finite(self, figures_T: Sequence[float], what: str) -> None:
        training, names = self._config.training, self._data.tasks.names
        broken = [name for name, figure in zip(names, figures_T, strict=True) if not math.isfinite(figure)]
        if broken:
            raise DivergedError(
                f"{what} of {', '.join(broken)} is not finite in epoch {self._epoch + 1} of {training.num_epochs}, "
                f"learning rate {training.learning_rate:g}"
            )


def train(run: TrainingRun, after_step: Callable[[], object] | None = None) -> Iterator[EpochResult]:
    """Runs the epochs that are left, one result each; stop taking them to stop the training."""
    while not run.finished:
        yield run.run_epoch(after_step)


def _mean(skills: Iterable[float]) -> float:
    """Over the tasks that could be judged; NaN without any."""
    known = [skill for skill in skills if not math.isnan(skill)]
    return sum(known) / len(known) if known else math.nan
