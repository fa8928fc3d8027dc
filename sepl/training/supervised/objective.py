"""The objective of a trial: the tasks' losses weighed against each other, validated by skill per patient.

B, N photographs · T tasks · O outputs
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sepl.config import TrialConfig
from sepl.data.imaging.photograph import IMAGENET, Normalisation
from sepl.device import autocast
from sepl.errors import DivergedError
from sepl.models.parts.network import MultiTaskNetwork
from sepl.models.predict import predict_told
from sepl.training.engine.objective import Objective, Pace
from sepl.training.engine.seeding import RandomStreams
from sepl.training.input.augment import Augmenter
from sepl.training.input.batches import Batch, TrainingData, ValidationSet, with_known
from sepl.training.input.patient_sets import PatientTrainSet
from sepl.training.supervised.backward import BatchBackward
from sepl.training.supervised.cooperative import CooperativeTurns
from sepl.training.supervised.losses import TaskLosses
from sepl.training.supervised.passes import Passes
from sepl.training.supervised.validation import known_skills, labels_at_hand, validation_error, validation_skills
from sepl.training.weighting.build import build_weighting

Inputs: TypeAlias = tuple[Tensor, Batch]
"""Images (B, 3, H, W) as a network takes them, and the batch that they are of."""


@dataclass(frozen=True)
class EpochResult(Pace):
    """What one epoch came to. Skills are NaN when there is nothing to validate on."""

    train_loss: float
    """Sum over tasks, mean over steps."""
    validation_skill: float
    """Per patient, mean over the tasks that the validation patients can judge; where a study knows values of them, the
    mean of that and of the same with these values known, over the other tasks."""
    best_skill: float
    """The highest validation skill so far; never falls."""
    skill_per_task: dict[str, float]
    """With nothing known; NaN for a task that the validation patients cannot judge."""
    best_unknown_skill: float | None = None
    """What `best_skill` is the mean of, where a study knows values: the skill with nothing known,"""
    best_known_skill: float | None = None
    """and that with them known."""
    best_skill_error: float | None = field(default=None, compare=False)
    """Standard error over patients of the best skill, with nothing known; None where this process has not seen it."""


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
        self._known_skills: dict[str, float] = {}
        self._best_error: float | None = None
        self._best_pair = (math.nan, math.nan)  # with nothing known, and with what a study knows

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
        share, streams = self._config.model.known_share, self.passes.streams
        return self.augment(batch.pixels_BHWC), with_known(batch, share, streams.known)

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
        self._judge(network, epoch)
        if self._data.validation is None:
            return None
        if self._validation_skill <= self._best_skill:  # NaN before the first epoch
            return False
        self._best_skill = self._validation_skill
        self._best_pair = _mean(self._skills.values()), _mean(self._known_skills.values())
        return True

    def epoch_result(self, pace: Pace) -> EpochResult:
        return EpochResult(
            **vars(pace),
            train_loss=self._train_loss,
            validation_skill=self._validation_skill,
            best_skill=self._best_skill,
            skill_per_task=self._skills,
            best_unknown_skill=self._best_pair[0] if self._knows else None,
            best_known_skill=self._best_pair[1] if self._knows else None,
            best_skill_error=self._best_error,
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
            **({"best_pair": torch.tensor(self._best_pair, dtype=torch.float64)} if self._knows else {}),
        }

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self.weighting.load_state_dict({name: state[f"weighting.{name}"] for name in self.weighting.state_dict()})
        self._loss_sums_T.copy_(state["loss_sums"])
        self._best_skill = float(state["best_skill"])
        if self._knows:
            unknown, known = state["best_pair"].tolist()
            self._best_pair = unknown, known
        self.passes.micro_batch_size = int(state["micro_batch_size"])
        # Saves that do not tell are of the time when every network was trained as for ImageNet.
        told = state.get("normalisation")
        self._normalise_as(IMAGENET if told is None else Normalisation(*(tuple(row) for row in told.tolist())))

    def _normalise_as(self, normalisation: Normalisation) -> None:
        self.passes.network.normalisation = normalisation
        streams, strength = self.passes.streams, self._config.training.augment_strength
        self.augment = Augmenter(normalisation, strength, streams.augmentation)

    @property
    def _knows(self) -> bool:
        return self._data.validation is not None and self._data.validation.known is not None

    @property
    def _validation_skill(self) -> float:
        unknown = _mean(self._skills.values())
        return (unknown + _mean(self._known_skills.values())) / 2 if self._knows else unknown

    def _judge(self, network: nn.Module, epoch: int) -> None:
        validation, data = self._data.validation, self._data
        if validation is None:
            self._skills = dict.fromkeys(data.tasks.names, math.nan)
            return
        outputs_NO, told_NO = self._predict(network, validation)
        for rows_NO in (outputs_NO, outputs_NO if told_NO is None else told_NO):
            sums_O = rows_NO.sum(axis=0)
            sums_T = [float(sums_O[columns].sum()) for columns in data.tasks.outputs]
            self._check_finite(sums_T, "output for validation photographs", epoch)
        self._skills = validation_skills(outputs_NO, validation, data.scaler, data.tasks)
        if validation.known is not None:
            self._known_skills = known_skills(outputs_NO, told_NO, validation, data.scaler, data.tasks)
        if not self._validation_skill <= self._best_skill:  # as `validate` will find
            self._best_error = validation_error(outputs_NO, validation, data.scaler, data.tasks)

    def _predict(
        self, network: nn.Module, validation: ValidationSet
    ) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
        """Outputs (N, O), and those of a network that is told what the study knows."""
        assert isinstance(network, MultiTaskNetwork), "the run's own, or the average of its weights"
        network.normalisation = self.passes.network.normalisation  # an average was copied before a run was restored
        data, propagation = self._data, self._config.model.propagation
        tables = [labels_at_hand(propagation, validation.photographs, data.scaler, data.tasks)]
        if validation.known is not None and network.takes_known:
            tables.append(validation.known.labels_NT)
        with autocast(self._config.training.precision, data.device):
            outputs_NO, *told = predict_told(
                network,
                validation.photographs.shards,
                tables,
                device=data.device,
                batch_size=self._validation_batch_size(),
                patients=validation.photographs.patient_index,
            )
        return outputs_NO, told[0] if told else None

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
