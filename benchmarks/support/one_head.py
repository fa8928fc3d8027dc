"""One head trained by itself on features, as anybody would write it: the module, torch's AdamW, a loop.

Axes: B photograph, O output, T task.
"""

import math

import torch

from sepl.config import TrialConfig
from sepl.models.build import build_head
from sepl.training.engine.optimiser import build_optimiser, set_learning_rate
from sepl.training.engine.schedule import CosineSchedule
from sepl.training.engine.seeding import RandomStreams
from sepl.training.probe.data import ProbeData
from sepl.training.supervised.losses import TaskLosses
from sepl.training.supervised.validation import validation_skills


def train_one_head(config: TrialConfig, data: ProbeData, seed: int = 0) -> float:
    """The best epoch's mean validation skill; the weights, batches and figures of `train_heads`."""
    device, training = torch.device("cpu"), config.training
    streams, losses = RandomStreams(seed, device), TaskLosses(data.tasks, device)
    with streams.active():
        head = build_head(config.model, data.num_features, data.tasks)
    optimiser = build_optimiser(head, learning_rate=training.learning_rate, weight_decay=training.weight_decay)
    schedule = CosineSchedule.over(
        training.learning_rate,
        num_epochs=training.num_epochs,
        steps_per_epoch=data.steps_per_epoch(training.batch_size),
        warmup_epochs=training.warmup_epochs,
    )
    best, step = -math.inf, 0
    for _ in range(training.num_epochs):
        for batch in data.epoch(training.batch_size, streams.order):
            set_learning_rate(optimiser, schedule.learning_rate(step))
            losses(head(batch.features_BF), batch.targets_BT, batch.present_BT).sum().backward()
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
            step += 1
        best = max(best, _skill(head, data))
    return best


@torch.no_grad()
def _skill(head: torch.nn.Module, data: ProbeData) -> float:
    assert data.validation is not None, "there are patients to choose by"
    outputs_NO = head(data.judged_NF).numpy()
    skills = validation_skills(outputs_NO, data.validation, data.scaler, data.tasks).values()
    judged = [skill for skill in skills if not math.isnan(skill)]
    return sum(judged) / len(judged)
