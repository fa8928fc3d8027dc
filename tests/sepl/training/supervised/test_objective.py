"""The supervised objective by itself: what an epoch comes to, what is remembered, and when it is broken."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sepl.config import TrialConfig
from sepl.errors import DivergedError
from sepl.models.build import build_network
from sepl.training.engine.objective import Pace
from sepl.training.engine.seeding import RandomStreams
from sepl.training.input.batches import TrainingData
from sepl.training.supervised import objective as module
from sepl.training.supervised.objective import Supervised

PACE = Pace(epoch=1, num_epochs=4, is_last=False, seconds=1.0, photographs_per_second=1.0)
Make = Callable[[], Supervised]


@pytest.fixture(scope="module")
def make(config: TrialConfig, data: TrainingData) -> Make:
    plain = config.with_params(backbone="test_resnet")

    def new() -> Supervised:
        network = build_network(plain.model, data.tasks, data.image_spec.size)
        return Supervised(plain, data, network, RandomStreams(plain.training.seed, data.device))

    return new


def validate(objective: Supervised, monkeypatch: pytest.MonkeyPatch, skills: dict[str, float]) -> bool | None:
    """As if the validation patients had been judged so."""
    monkeypatch.setattr(module, "validation_skills", lambda *_: skills)
    return objective.validate(objective.passes.network, 1)


def test_the_train_loss_is_the_sum_over_tasks_of_the_mean_over_steps(make: Make) -> None:
    objective = make()
    losses = []
    objective.begin_epoch()
    for step, batch in enumerate(objective.batches(torch.Generator().manual_seed(0), 0)):
        before_T = objective.state_dict()["loss_sums"].clone()
        with objective.passes.streams.active():
            objective.backward(objective.inputs(batch), step)
        losses.append(float((objective.state_dict()["loss_sums"] - before_T).sum()))
    objective.end_epoch(1)

    assert len(losses) == objective.steps_per_epoch
    assert objective.epoch_result(PACE).train_loss == pytest.approx(sum(losses) / len(losses), rel=1e-4)


def test_an_epoch_begins_without_the_losses_of_the_one_before(make: Make) -> None:
    objective = make()
    objective._loss_sums_T += 3.0

    objective.begin_epoch()

    assert not objective.state_dict()["loss_sums"].any()


@pytest.mark.parametrize("broken", [math.nan, math.inf])
def test_a_loss_that_is_no_number_ends_the_run_and_names_its_task(make: Make, broken: float) -> None:
    objective = make()
    objective._loss_sums_T[1] = broken

    with pytest.raises(DivergedError, match=r"loss of age is not finite in epoch 2 of 4, learning rate 0\.003"):
        objective.end_epoch(2)


def test_an_output_that_is_no_number_ends_the_run(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    objective = make()
    with torch.no_grad():
        next(objective.passes.network.parameters()).fill_(math.nan)

    with pytest.raises(DivergedError, match=r"output for validation photographs of .*age.* is not finite in epoch 1"):
        objective.validate(objective.passes.network, 1)


@given(skills=st.lists(st.one_of(st.just(math.nan), st.floats(-1.0, 1.0)), min_size=1, max_size=6))
def test_the_skill_is_the_mean_over_the_tasks_that_could_be_judged(skills: list[float]) -> None:
    judged = [skill for skill in skills if not math.isnan(skill)]

    found = module._mean(skills)

    assert math.isnan(found) if not judged else found == pytest.approx(sum(judged) / len(judged))


def test_the_best_skill_never_falls_and_only_a_better_epoch_is_kept(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    objective = make()
    seen: list[Any] = []
    for skill in (0.2, 0.1, 0.2, 0.3):
        is_better = validate(objective, monkeypatch, {"age": skill, "sbp": math.nan})
        result = objective.epoch_result(PACE)
        seen.append((is_better, result.validation_skill, result.best_skill))

    assert seen == [(True, 0.2, 0.2), (False, 0.1, 0.2), (False, 0.2, 0.2), (True, 0.3, 0.3)]


def test_another_objective_goes_on_from_what_was_remembered(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = make(), make()
    validate(first, monkeypatch, {"age": 0.4})
    first._loss_sums_T += 2.0
    first.passes.micro_batch_size = 3

    second.load_state_dict(first.state_dict())

    assert second.passes.micro_batch_size == 3
    assert second._validation_batch_size() == 12
    assert validate(second, monkeypatch, {"age": 0.3}) is False
    for name, value in first.state_dict().items():
        torch.testing.assert_close(second.state_dict()[name], value)
