"""Heads trained side by side: each as if it were alone."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_data import planted_features
from torch import Tensor

from sepl.config import TrialConfig
from sepl.models.build import build_head
from sepl.training.engine.optimiser import build_optimiser, set_learning_rate
from sepl.training.engine.schedule import CosineSchedule
from sepl.training.engine.seeding import RandomStreams
from sepl.training.probe.data import ProbeData
from sepl.training.probe.heads import train_heads
from sepl.training.supervised.losses import TaskLosses
from sepl.training.supervised.validation import validation_skills
from sepl.training.weighting.build import constant_weights

SMALL: dict[str, Any] = {
    "task_split": "demographic",
    "num_experts": 2,
    "hidden_width": 8,
    "batch_size": 16,
    "num_epochs": 3,
    "learning_rate": 1e-2,
}
DATA = planted_features()


def setting(**params: Any) -> TrialConfig:
    return TrialConfig.from_params({**SMALL, **params})


def alone(config: TrialConfig, data: ProbeData, seed: int = 0) -> tuple[float, dict[str, Tensor]]:
    """Skill and state of the best epoch, as anybody would train the real head with torch's own optimiser."""
    streams, training = RandomStreams(seed, torch.device("cpu")), config.training
    with streams.active():
        head = build_head(config.model, data.num_features, data.tasks)
    optimiser = build_optimiser(head, learning_rate=training.learning_rate, weight_decay=training.weight_decay)
    steps = data.steps_per_epoch(training.batch_size)
    schedule = CosineSchedule.over(
        training.learning_rate, num_epochs=training.num_epochs, steps_per_epoch=steps, warmup_epochs=1.0
    )
    weights_T = torch.tensor(constant_weights(training, data.tasks))
    losses = TaskLosses(data.tasks, torch.device("cpu"))
    best, state, step = -math.inf, {}, 0
    for _ in range(training.num_epochs):
        for batch in data.epoch(training.batch_size, streams.order):
            set_learning_rate(optimiser, schedule.learning_rate(step))
            penalties: list[Tensor] = []
            told = {"penalties": penalties} if config.model.load_balance else {}
            outputs_BO = head(batch.features_BF, **told)
            total = (weights_T * losses(outputs_BO, batch.targets_BT, batch.present_BT)).sum() + sum(penalties)
            optimiser.zero_grad()
            total.backward()
            optimiser.step()
            step += 1
        assert data.validation is not None
        with torch.no_grad():
            skills = validation_skills(head(data.judged_NF).numpy(), data.validation, data.scaler, data.tasks)
        mean = sum(skills.values()) / len(skills)
        if mean > best:
            best, state = mean, {name: value.clone() for name, value in head.state_dict().items()}
    return best, state


@settings(max_examples=8)
@given(
    st.lists(
        st.fixed_dictionaries(
            {
                "learning_rate": st.sampled_from([1e-3, 1e-2, 3e-2]),
                "weight_decay": st.sampled_from([0.0, 0.05]),
                "task_split": st.sampled_from(["demographic", "sex+age+sbp"]),
                "num_experts": st.sampled_from([1, 2]),
                "propagation": st.sampled_from(["predicted", "detached"]),
            }
        ),
        min_size=2,
        max_size=5,
    )
)
def test_heads_trained_side_by_side_come_to_what_each_comes_to_alone(params: list[dict[str, Any]]) -> None:
    configs = [setting(**each) for each in params]

    results = train_heads(configs, DATA)

    for config, result in zip(configs, results, strict=True):
        skill, state = alone(config, DATA)
        assert result.config == config
        assert result.skill == pytest.approx(skill, abs=2e-3)
        for name, tensor in state.items():
            torch.testing.assert_close(result.state[name], tensor, rtol=2e-2, atol=2e-3)


@pytest.mark.parametrize(
    "params",
    [
        {"family": "hard_sharing", "num_experts": 4, "hidden_width": 512},
        {"weighting": "fixed", "task_weights": {"sbp": 3.0, "sex": 0.0}},
        {"load_balance": 0.1, "gate_top_k": 1},
        {"propagation": "none", "gate_inputs": "uniform"},
        {"num_stages": 1, "propagation": "none"},
        {"binary_prior": "probability", "prior_attention": False},
    ],
    ids=lambda params: "+".join(params),
)
def test_every_kind_of_head_that_is_taken_is_trained_as_it_would_be_alone(params: dict[str, Any]) -> None:
    configs = [setting(**params), setting(**params, learning_rate=1e-3)]

    results = train_heads(configs, DATA)

    assert [result.skill for result in results] == pytest.approx([alone(c, DATA)[0] for c in configs], abs=2e-3)


def test_grades_and_classes_are_learned_as_they_would_be_alone() -> None:
    data = planted_features(graded=True)
    config = setting(task_split="grade+sex")

    (result,) = train_heads([config], data)

    assert result.skill == pytest.approx(alone(config, data)[0], abs=5e-3)


def test_a_head_is_the_same_whoever_is_trained_beside_it_and_however_many_at_once() -> None:
    configs = [setting(learning_rate=rate) for rate in (1e-3, 3e-3, 1e-2)]

    together, apart = train_heads(configs, DATA), train_heads(configs, DATA, at_once=1)

    for one, other in zip(together, apart, strict=True):
        assert one.best_epoch == other.best_epoch
        for name in one.state:
            torch.testing.assert_close(one.state[name], other.state[name], rtol=1e-3, atol=1e-4)


def test_the_head_that_is_kept_is_that_of_the_best_epoch() -> None:
    (result,) = train_heads([setting(num_epochs=6, learning_rate=0.05)], DATA)
    head = build_head(result.config.model, DATA.num_features, DATA.tasks)
    head.load_state_dict(result.state)
    assert DATA.validation is not None

    with torch.no_grad():
        skills = validation_skills(head(DATA.judged_NF).numpy(), DATA.validation, DATA.scaler, DATA.tasks)

    assert sum(skills.values()) / len(skills) == pytest.approx(result.skill, abs=1e-5)
    assert result.skills == pytest.approx(skills, abs=1e-5)


def test_a_head_that_diverges_takes_no_other_with_it() -> None:
    configs = [setting(), setting(learning_rate=1e30)]

    calm, wild = train_heads(configs, DATA)

    assert math.isnan(wild.skill)
    assert calm.skill == pytest.approx(train_heads(configs[:1], DATA)[0].skill, abs=1e-6)


def test_without_patients_to_choose_by_the_last_epoch_is_kept() -> None:
    (result,) = train_heads([setting()], replace(DATA, validation=None))

    assert result.best_epoch == 3
    assert math.isnan(result.skill)


def test_it_is_heard_how_many_are_done() -> None:
    heard: list[int] = []

    train_heads([setting(num_experts=count, num_epochs=1) for count in (1, 2, 1)], DATA, tell=heard.append)

    assert heard == [2, 3]
