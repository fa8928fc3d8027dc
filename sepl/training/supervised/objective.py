"""The objective of a trial: the tasks' losses weighed against each other, validated by skill per patient.

B, N photographs · T tasks · O outputs
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor, nn

from sepl.config import TrialConfig
from sepl.data.imaging.photograph import IMAGENET, Normalisation
from sepl.device import autocast
from sepl.errors import DivergedError
from sepl.models.parts.network import MultiTaskNetwork
from sepl.models.predict import predict_outputs
from sepl.training.engine.objective import Objective, Pace
from sepl.training.engine.seeding import RandomStreams
from sepl.training.input.augment import Augmenter
from sepl.training.input.batches import Batch, TrainingData
from sepl.training.input.patient_sets import PatientTrainSet
from sepl.training.supervised.backward import BatchBackward
from sepl.training.supervised.cooperative import CooperativeTurns
from sepl.training.supervised.losses import TaskLosses
from sepl.training.supervised.passes import Passes
from sepl.training.supervised.validation import labels_at_hand, validation_skills
from sepl.training.weighting.build import build_weighting

Inputs: TypeAlias = tuple[Tensor, Batch]
"""Images (B, 3, H, W) as a network takes them, and the batch that they are of."""


@dataclass(frozen=True)
class EpochResult(Pace):
    """What one epoch came to. Skills are NaN when there is nothing to validate on."""

    train_loss: float
    """Sum over tasks, mean over steps."""
    validation_skill: float
    """Per patient, mean over the tasks that the validation patients can judge."""
    best_skill: float
    """The highest validation skill so far; never falls."""
    skill_per_task: dict[str, float]
    """NaN for a task that the validation patients cannot judge."""


class Supervised(Objective[Batch, Inputs, EpochResult]):
    """Tasks learned from the labels of a prepared dataset."""

    def __init__(
        self, config: TrialConfig, data: TrainingData, network: MultiTaskNetwork, streams: RandomStreams
    ) -> None:
        """Raises ConfigError for a weighting, or turns of task groups, that the network does not allow."""
        training, model = config.training, config.model
        self._config, self._data = config, data
        self.weighting = build_weighting(training, data.tasks, network, data.device)
        self.passes = Passes(
            network,
            self.weighting,
            TaskLosses(data.tasks, data.device),
            precision=training.precision,
            streams=streams,
            micro_batch_size=training.micro_batch_size,
            compile_backbone=training.compile_backbone,
        )
        turns = CooperativeTurns(self.passes, training) if training.cooperative else None
        self.gradients = BatchBackward(self.passes, turns)
        self._normalise_as(network.normalisation)
        fused = model.fusion != "none"
        self._train = PatientTrainSet.of(data.train, model.photographs_per_patient, data.tasks) if fused else data.train
        self._loss_sums_T = torch.zeros(len(data.tasks), device=data.device)  # over the epoch's steps so far
        self._best_skill = math.nan
        self._train_loss = math.nan
        self._skills: dict[str, float] = {}

    @property
    def steps_per_epoch(self) -> int:
        return self._train.steps_per_epoch(self._config.training.batch_size)

    @property
    def beside(self) -> nn.Module:
        return self.weighting

    def batches(self, order: torch.Generator, num_skipped: int) -> Iterator[Batch]:
        return self._train.epoch(
            self._config.training.batch_size,
            order,
            num_skipped=num_skipped,
            handed_on=self._config.model.propagation,
        )

    def num_photographs(self, batch: Batch) -> int:
        return len(batch.pixels_BHWC)

    def inputs(self, batch: Batch) -> Inputs:
        return self.augment(batch.pixels_BHWC), batch

    def backward(self, inputs: Inputs, step: int) -> None:
        self._loss_sums_T += self.gradients(*inputs, step)

    def after_step(self, inputs: Inputs) -> None:
        if self.weighting.looks_again:
            _, batch = inputs
            self.weighting.after_step(self.passes.losses(*inputs), batch.present_BT.any(dim=0))

    def begin_epoch(self) -> None:
        self._loss_sums_T.zero_()

    def end_epoch(self, epoch: int) -> None:
        self.weighting.end_epoch()
        losses_T = (self._loss_sums_T / self.steps_per_epoch).tolist()
        self._check_finite(losses_T, "loss", epoch)
        self._train_loss = sum(losses_T)

    def validate(self, network: nn.Module, epoch: int) -> bool | None:
        self._skills = self._skill_per_task(network, epoch)
        if self._data.validation is None:
            return None
        if self._validation_skill <= self._best_skill:  # NaN before the first epoch
            return False
        self._best_skill = self._validation_skill
        return True

    def epoch_result(self, pace: Pace) -> EpochResult:
        return EpochResult(
            **vars(pace),
            train_loss=self._train_loss,
            validation_skill=self._validation_skill,
            best_skill=self._best_skill,
            skill_per_task=self._skills,
        )

    def state_dict(self) -> dict[str, Tensor]:
        """What the weighting remembers, the epoch's losses so far, the best skill, photographs at once, and how pixels
        are normalised."""
        return {
            **{f"weighting.{name}": value for name, value in self.weighting.state_dict().items()},
            "loss_sums": self._loss_sums_T,
            "best_skill": torch.tensor(self._best_skill, dtype=torch.float64),
            "micro_batch_size": torch.tensor(self.passes.micro_batch_size),
            "normalisation": torch.tensor(self.passes.network.normalisation, dtype=torch.float64),
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self.weighting.load_state_dict({name: state[f"weighting.{name}"] for name in self.weighting.state_dict()})
        self._loss_sums_T.copy_(state["loss_sums"])
        self._best_skill = float(state["best_skill"])
        self.passes.micro_batch_size = int(state["micro_batch_size"])
        # Saves that do not tell are of the time when every network was trained as for ImageNet.
        told = state.get("normalisation")
        self._normalise_as(IMAGENET if told is None else Normalisation(*(tuple(row) for row in told.tolist())))

    def _normalise_as(self, normalisation: Normalisation) -> None:
        self.passes.network.normalisation = normalisation
        streams, strength = self.passes.streams, self._config.training.augment_strength
        self.augment = Augmenter(normalisation, strength, streams.augmentation)

    @property
    def _validation_skill(self) -> float:
        return _mean(self._skills.values())

    def _skill_per_task(self, network: nn.Module, epoch: int) -> dict[str, float]:
        validation = self._data.validation
        if validation is None:
            return dict.fromkeys(self._data.tasks.names, math.nan)
        assert isinstance(network, MultiTaskNetwork), "the run's own, or the average of its weights"
        network.normalisation = self.passes.network.normalisation  # an average was copied before a run was restored
        with autocast(self._config.training.precision, self._data.device):
            outputs_NO = predict_outputs(
                network,
                validation.photographs.shards,
                device=self._data.device,
                batch_size=self._validation_batch_size(),
                patients=validation.photographs.patient_index,
                labels_NT=labels_at_hand(
                    self._config.model.propagation, validation.photographs, self._data.scaler, self._data.tasks
                ),
            )
        sums_O = outputs_NO.sum(axis=0)
        sums_T = [float(sums_O[columns].sum()) for columns in self._data.tasks.outputs]
        self._check_finite(sums_T, "output for validation photographs", epoch)
        return validation_skills(outputs_NO, validation, self._data.scaler, self._data.tasks)

    def _validation_batch_size(self) -> int:
        """Without gradients there is room for more photographs at once than a step has, but not for any number."""
        at_once = self.passes.micro_batch_size
        return min(64, 4 * at_once) if at_once else 64

    def _check_finite(self, figures_T: Sequence[float], what: str, epoch: int) -> None:
        training, names = self._config.training, self._data.tasks.names
        broken = [name for name, figure in zip(names, figures_T, strict=True) if not math.isfinite(figure)]
        if broken:
            raise DivergedError(
                f"{what} of {', '.join(broken)} is not finite in epoch {epoch} of {training.num_epochs}, "
                f"learning rate {training.learning_rate:g}"
            )


def _mean(skills: Iterable[float]) -> float:
    """Over the tasks that could be judged; NaN without any."""
    judged = [skill for skill in skills if not math.isnan(skill)]
    return sum(judged) / len(judged) if judged else math.nan
