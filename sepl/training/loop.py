"""The training of one trial, an epoch at a time.

The paper's losses, with AdamW, a cosine schedule and mixed precision. Gradients are not clipped: L1 and cross-entropy
push no output with more than 1 / (labels in the batch), and AdamW divides a gradient by its own size anyway, so that a
norm over all parameters in every step would buy nothing.

    B photographs · N of a cohort split · T tasks
"""

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from sepl.config import TrialConfig
from sepl.errors import ConfigError, DivergedError
from sepl.models.build import build_network
from sepl.models.predict import predict_outputs
from sepl.training.augment import Augmenter
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
from sepl.training.device import autocast, pick_device
from sepl.training.losses import task_losses
from sepl.training.optimiser import build_optimiser
from sepl.training.schedule import CosineSchedule
from sepl.training.seeding import RandomStreams
from sepl.training.validation import validation_skills
from sepl.training.weighting_equal import EqualWeighting


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
    seconds: float
    """Training and validation."""
    photographs_per_second: float
    """Of training alone."""


class TrainingRun:
    """One network in training: run epochs, take the best weights, save and restore between epochs.

    The same config, data and seed give the same weights, on a CPU bit for bit, whatever else runs in the process.
    """

    def __init__(self, config: TrialConfig, data: TrainingData, *, device: str = "auto") -> None:
        """Builds the network; nothing is trained yet.

        `device` 'auto' is where the data lie; another name has to mean that place. Raises ConfigError when it does
        not, and for a config that cannot be built.
        """
        if device != "auto" and pick_device(device) != data.device:
            raise ConfigError(f"device should be {data.device}, where the training data lie, was {device}")
        training = config.training
        self._config, self._data = config, data
        self._streams = RandomStreams(training.seed, data.device)
        with self._streams.active():
            self._network = build_network(config.model, data.tasks, data.image_spec.size).to(data.device)
        self._optimiser = build_optimiser(
            self._network, learning_rate=training.learning_rate, weight_decay=training.weight_decay
        )
        self._weighting = EqualWeighting()
        self._augment = Augmenter(data.image_spec, training.augment_strength, self._streams.augmentation)
        self._steps_per_epoch = data.train.steps_per_epoch(training.batch_size)
        self._schedule = CosineSchedule.over(
            training.learning_rate,
            num_epochs=training.num_epochs,
            steps_per_epoch=self._steps_per_epoch,
            warmup_epochs=training.warmup_epochs,
        )
        self._epoch = 0
        self._best_epoch = 0
        self._best_skill = math.nan
        self._best: dict[str, Tensor] = {}

    @property
    def finished(self) -> bool:
        return self._epoch >= self._config.training.num_epochs

    @property
    def best_epoch(self) -> int:
        """The epoch, from 1, of `best_state`; 0 before the first."""
        return self._best_epoch

    def run_epoch(self) -> EpochResult:
        """Trains for one epoch, then validates.

        Raises DivergedError, naming epoch, tasks and learning rate, when a loss or an output is not finite.
        """
        assert not self.finished, "a finished run has no epoch left"
        start = time.perf_counter()
        with self._streams.active():
            losses_T, num_photographs = self._train_epoch()
        trained = time.perf_counter()
        skills = self._validate()
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
            seconds=time.perf_counter() - start,
            photographs_per_second=num_photographs / (trained - start),
        )

    def best_state(self) -> dict[str, Tensor]:
        """The best epoch's weights, on the CPU; without validation, the latest ones."""
        return copy_to_cpu(self._best or self._network.state_dict())

    def save(self, folder: Path) -> None:
        """Writes all that the epochs to come depend on: weights, best weights, optimiser, random streams, progress."""
        progress = Progress(
            config=self._config,
            fingerprint=self._data.fingerprint,
            epoch=self._epoch,
            best_epoch=self._best_epoch,
            best_skill=None if math.isnan(self._best_skill) else self._best_skill,
        )
        weights = copy_to_cpu(self._network.state_dict())
        tensors = optimiser_tensors(self._optimiser)
        save_checkpoint(folder, Checkpoint(progress, weights, self._best, tensors, self._streams.state_dict()))

    def restore(self, folder: Path) -> None:
        """Goes on where `save` left off, exactly: on a CPU to the same bits as a run that was never interrupted.

        Raises StorageError when the folder holds no whole checkpoint, ConfigError when it is of another config or
        dataset.
        """
        checkpoint = load_checkpoint(folder)
        checkpoint.progress.check_is_of(self._config, self._data.fingerprint, folder)
        self._network.load_state_dict(checkpoint.weights)
        load_optimiser_tensors(self._optimiser, checkpoint.optimiser)
        self._streams.load_state_dict(checkpoint.random)
        self._best = checkpoint.best
        self._epoch, self._best_epoch = checkpoint.progress.epoch, checkpoint.progress.best_epoch
        best_skill = checkpoint.progress.best_skill
        self._best_skill = math.nan if best_skill is None else best_skill

    def _train_epoch(self) -> tuple[list[float], int]:
        """Mean losses (T,), and how many photographs there were; the only wait for the device is at the end."""
        self._network.train()
        loss_sums_T = torch.zeros(len(self._data.tasks), device=self._data.device)
        num_photographs = 0
        batches = self._data.train.epoch(self._config.training.batch_size, self._streams.order)
        for step, batch in enumerate(batches, start=self._epoch * self._steps_per_epoch):
            loss_sums_T += self._train_step(batch, self._schedule.learning_rate(step))
            num_photographs += len(batch.targets_BT)
        self._weighting.end_epoch()
        losses_T = (loss_sums_T / self._steps_per_epoch).tolist()
        self._check_finite(losses_T, "loss")
        return losses_T, num_photographs

    def _train_step(self, batch: Batch, learning_rate: float) -> Tensor:
        """One optimiser step; the losses (T,) before it, still on the device."""
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate
        images_BCHW = self._augment(batch.pixels_BHWC)
        present_T = batch.present_BT.any(dim=0)
        with autocast(self._config.training.precision, self._data.device):
            representation = self._network.backbone(images_BCHW)
            outputs_BT = self._network.head(self._weighting.branch(representation))
        losses_T = self._losses(outputs_BT, batch)
        self._weighting.backward(losses_T, present_T, representation, self._network)
        self._optimiser.step()
        self._optimiser.zero_grad(set_to_none=True)
        if self._weighting.looks_again:
            with torch.no_grad(), autocast(self._config.training.precision, self._data.device):
                outputs_BT = self._network(images_BCHW)
            self._weighting.after_step(self._losses(outputs_BT, batch), present_T)
        return losses_T.detach()

    def _losses(self, outputs_BT: Tensor, batch: Batch) -> Tensor:
        return task_losses(outputs_BT.float(), batch.targets_BT, batch.present_BT, self._data.is_binary_T)

    def _validate(self) -> dict[str, float]:
        validation = self._data.validation
        if validation is None:
            return dict.fromkeys(self._data.tasks.names, math.nan)
        with autocast(self._config.training.precision, self._data.device):
            outputs_NT = predict_outputs(
                self._network, validation.photographs.shards, self._data.image_spec, device=self._data.device
            )
        self._check_finite(outputs_NT.sum(axis=0).tolist(), "output for validation photographs")
        return validation_skills(outputs_NT, validation, self._data.scaler, self._data.tasks)

    def _keep_if_best(self, skill: float) -> None:
        if self._data.validation is None:
            self._best_epoch = self._epoch
        elif not skill <= self._best_skill:  # NaN before the first epoch
            self._best_epoch, self._best_skill = self._epoch, skill
            self._best = copy_to_cpu(self._network.state_dict(), into=self._best)

    def _check_finite(self, figures_T: Sequence[float], what: str) -> None:
        training, names = self._config.training, self._data.tasks.names
        broken = [name for name, figure in zip(names, figures_T, strict=True) if not math.isfinite(figure)]
        if broken:
            raise DivergedError(
                f"{what} of {', '.join(broken)} is not finite in epoch {self._epoch + 1} of {training.num_epochs}, "
                f"learning rate {training.learning_rate:g}"
            )


def train(run: TrainingRun) -> Iterator[EpochResult]:
    """Runs the epochs that are left, one result each; stop taking them to stop the training."""
    while not run.finished:
        yield run.run_epoch()


def _mean(skills: Iterable[float]) -> float:
    """Over the tasks that could be judged; NaN without any."""
    known = [skill for skill in skills if not math.isnan(skill)]
    return sum(known) / len(known) if known else math.nan
