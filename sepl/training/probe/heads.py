"""Many settings of a head, trained side by side on the features of a backbone that stays as it is.

The loss, the schedule, the decay and the skill are those of a trial. Settings that build the same head and pass the
same batches are one stack (`stacked`); what they differ in is learning rate, weight decay and the tasks' weights. All
heads of a shape begin with the same weights and see the same batches, so that what they differ in is the setting.

    C head · N photograph · F feature · O output · T task
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sepl.config import ModelConfig, TrialConfig
from sepl.models.build import build_head
from sepl.training.engine.schedule import CosineSchedule
from sepl.training.engine.seeding import RandomStreams
from sepl.training.probe.data import ProbeData
from sepl.training.probe.eligible import check_head
from sepl.training.probe.skills import mean_skills, stacked_skills
from sepl.training.probe.stacked import HeadStack, StackedAdamW, stacked_losses
from sepl.training.supervised.losses import TaskLosses
from sepl.training.weighting.build import constant_weights

_OF_BACKBONE = ("backbone", "weights", "drop_path", "final_norm")
_OF_STEPS = ("batch_size", "num_epochs", "warmup_epochs")
_MOST_BYTES = 2**29
"""Of a stack's parameters; gradients, moments and the best are five times as much again."""
_ROWS_AT_ONCE = 512


@dataclass(frozen=True, eq=False)
class HeadResult:
    """What a setting came to."""

    config: TrialConfig
    skill: float
    """Mean over tasks on the validation patients, best of the epochs; NaN of a head that diverged."""
    best_epoch: int
    skills: dict[str, float]
    """Per task, of the best epoch."""
    state: dict[str, Tensor]
    """The head's, of the best epoch; without validation, of the last one."""


def train_heads(
    configs: Sequence[TrialConfig],
    data: ProbeData,
    *,
    seed: int = 0,
    at_once: int = 64,
    last_epoch: int | None = None,
    tell: Callable[[int], object] = lambda _: None,
) -> list[HeadResult]:
    """Each setting's head of its best epoch, in the order of the settings; `tell` hears how many are done.

    With `last_epoch` training stops there, its schedule still that of all epochs.

    The same settings, data and seed give the same heads, whichever others are trained beside them, to rounding. Raises
    ConfigError for a setting of `check_head`, and one that does not fit the tasks.
    """
    results: dict[int, HeadResult] = {}
    for members in _stacks(configs, data, at_once):
        settings = [configs[place] for place in members]
        results |= dict(zip(members, _Training(settings, data, seed).run(last_epoch), strict=True))
        tell(len(results))
    return [results[place] for place in range(len(configs))]


def _stacks(configs: Sequence[TrialConfig], data: ProbeData, at_once: int) -> Iterator[list[int]]:
    """Places of settings that are trained as one."""
    alike: dict[str, list[int]] = {}
    for place, config in enumerate(configs):
        check_head(config)
        alike.setdefault(_shape_of(config), []).append(place)
    for members in alike.values():
        num_bytes = 4 * sum(parameter.numel() for parameter in _build(configs[members[0]].model, data, 0).parameters())
        most = max(1, min(at_once, _MOST_BYTES // num_bytes))
        for start in range(0, len(members), most):
            yield members[start : start + most]


def _shape_of(config: TrialConfig) -> str:
    steps = {name: getattr(config.training, name) for name in _OF_STEPS}
    return f"{config.model.model_dump_json(exclude=set(_OF_BACKBONE))} {steps}"


def _build(model: ModelConfig, data: ProbeData, seed: int) -> nn.Module:
    with RandomStreams(seed, torch.device("cpu")).active():
        return build_head(model, data.num_features, data.tasks)


class _Training:
    """One stack of heads."""

    def __init__(self, configs: Sequence[TrialConfig], data: ProbeData, seed: int) -> None:
        training = [config.training for config in configs]
        self._configs, self._data = configs, data
        self._stack = HeadStack(_build(configs[0].model, data, seed), len(configs))
        self._weights_CT = torch.tensor([constant_weights(each, data.tasks) for each in training])
        self._optimiser = StackedAdamW(
            self._stack,
            [each.learning_rate for each in training],
            [each.weight_decay for each in training],
        )
        self._batch_size, self._num_epochs = training[0].batch_size, training[0].num_epochs
        self._losses = TaskLosses(data.tasks, torch.device("cpu"))
        self._schedule = CosineSchedule.over(
            1.0,
            num_epochs=self._num_epochs,
            steps_per_epoch=data.steps_per_epoch(self._batch_size),
            warmup_epochs=training[0].warmup_epochs,
        )
        self._order = RandomStreams(seed, torch.device("cpu")).order
        self._best = self._stack.state()
        self._best_skills_CT = np.full((len(configs), len(data.tasks)), np.nan)
        self._best_C = np.full(len(configs), np.nan)
        self._best_epoch_C = np.zeros(len(configs), np.int64)

    def run(self, last_epoch: int | None = None) -> list[HeadResult]:
        step = 0
        for epoch in range(1, (last_epoch or self._num_epochs) + 1):
            for batch in self._data.epoch(self._batch_size, self._order):
                outputs_CBO, penalties_C = self._stack.outputs(batch.features_BF)
                losses_CT = stacked_losses(self._losses, outputs_CBO, batch.targets_BT, batch.present_BT)
                total = (self._weights_CT * losses_CT).sum() + penalties_C.sum()
                gradients = torch.autograd.grad(total, list(self._stack.parameters.values()))
                self._optimiser.step(gradients, self._schedule.learning_rate(step))
                step += 1
            self._keep(epoch)
        return [self._result(place) for place in range(len(self._configs))]

    def _keep(self, epoch: int) -> None:
        data = self._data
        if data.validation is None:
            self._best_epoch_C[:] = epoch
            self._best = self._stack.state()
            return
        skills_CT = stacked_skills(self._judged(), data.validation, data.scaler, data.tasks)
        means_C = mean_skills(skills_CT)
        is_better_C = (means_C > self._best_C) | (np.isnan(self._best_C) & np.isfinite(means_C))
        self._best_C[np.isnan(means_C)] = np.nan  # diverged: no earlier epoch stands for it
        self._best_C[is_better_C], self._best_epoch_C[is_better_C] = means_C[is_better_C], epoch
        self._best_skills_CT[is_better_C] = skills_CT[is_better_C]
        places = torch.from_numpy(np.flatnonzero(is_better_C))
        for name, parameter in self._stack.parameters.items():
            self._best[name][places] = parameter.detach()[places]

    @torch.no_grad()
    def _judged(self) -> NDArray[np.float32]:
        """Outputs (C, N, O)."""
        parts = self._data.judged_NF.split(_ROWS_AT_ONCE)
        return torch.cat([self._stack.outputs(part_BF)[0] for part_BF in parts], dim=1).numpy()

    def _result(self, place: int) -> HeadResult:
        skill = float(self._best_C[place])
        named = zip(self._data.tasks.names, self._best_skills_CT[place].tolist(), strict=True)
        return HeadResult(
            config=self._configs[place],
            skill=skill,
            best_epoch=int(self._best_epoch_C[place]),
            skills={name: value for name, value in named if not math.isnan(value)},
            state={name: best[place].clone() for name, best in self._best.items()},
        )
