import math
from dataclasses import replace
from itertools import chain, combinations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from planted_data import CAUSE_OF, TASKS, graded_data, planted_data
from torch import nn

from sepl.config import TrialConfig
from sepl.errors import ConfigError
from sepl.models.pixels import to_input
from sepl.tasks import CARDIOMETABOLIC_TASKS, Task, TaskTable
from sepl.training.affinity.measure import AffinityProbe, label_correlation, measure_affinity
from sepl.training.affinity.record import Affinity, benefit_when_known, rank_splits
from sepl.training.input.batches import TrainingData
from sepl.training.supervised.losses import TaskLosses
from sepl.training.supervised.run import TrainingRun, train

SETTING = TrialConfig.from_params(
    {"family": "hard_sharing", "backbone": "test_resnet", "num_epochs": 8, "batch_size": 32, "learning_rate": 3e-3}
)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_best_split_holds_the_planted_causes(seed: int) -> None:
    affinity = measure_affinity(SETTING, planted_data(seed), every=12)

    assert {"sex", "age"} <= set(affinity.splits[0].task_split.split("+"))
    benefit_TT = np.array(affinity.benefit, np.float64)
    for effect, cause in CAUSE_OF.items():
        column = benefit_TT[:, TASKS.index(effect)]
        assert benefit_TT[TASKS.index(cause), TASKS.index(effect)] == column.max()
        assert benefit_TT[TASKS.index(effect), TASKS.index(cause)] < column.max()


def test_measuring_leaves_the_training_as_it_was(config: TrialConfig, data: TrainingData) -> None:
    config = config.with_params(drop_path=0.1, backbone="test_convnext", num_epochs=2)
    plain, measured = TrainingRun(config, data), TrainingRun(config, data)
    list(train(plain))

    list(train(measured, after_step=AffinityProbe(measured.network, data, config, every=1)))

    expected = plain.best_state()
    assert all(torch.equal(value, expected[name]) for name, value in measured.best_state().items())


def test_a_measurement_is_its_formula() -> None:
    """One probe on the whole training set, against one backward pass a task."""
    data = planted_data(0, num_train=64)
    config = SETTING.with_params(batch_size=64)
    run = TrainingRun(config, data)
    network, task_losses = run.network, TaskLosses(data.tasks, data.device)
    probe = AffinityProbe(network, data, config, every=2)

    for _ in range(4):
        probe()

    assert probe.num_measurements == 2
    network.eval()
    (pixels_BHWC,) = data.train.pixels.batches(torch.arange(64)[None])
    images_BCHW = to_input(pixels_BHWC, *network.normalisation)
    targets_BT, present_BT = data.train.targets_NT, data.train.present_NT

    def losses() -> torch.Tensor:
        return task_losses(network(images_BCHW), targets_BT, present_BT)

    before_T, lookahead_TT = losses(), probe.lookahead()
    trunk = list(network.get_submodule("backbone").parameters())
    for source in range(2):
        steps = torch.autograd.grad(losses()[source], trunk)
        with torch.no_grad():
            for parameter, step in zip(trunk, steps, strict=True):
                parameter -= config.training.learning_rate * step
            helped_T = 1 - losses() / before_T
            for parameter, step in zip(trunk, steps, strict=True):
                parameter += config.training.learning_rate * step
        np.testing.assert_allclose(lookahead_TT[source], helped_T.detach().numpy(), rtol=2e-2, atol=1e-4)
    assert np.isnan(lookahead_TT[2:]).all()
    features_BF = network.represent(images_BCHW)
    assert isinstance(features_BF, torch.Tensor)
    features_BF = features_BF.detach().requires_grad_()
    losses_T = task_losses(network.predict(features_BF), targets_BT, present_BT)
    gradients = [torch.autograd.grad(loss, features_BF, retain_graph=True)[0].flatten() for loss in losses_T]
    cosine = nn.functional.cosine_similarity(gradients[1], gradients[4], dim=0)
    assert probe.cosine()[1, 4] == pytest.approx(float(cosine), abs=1e-4)


def test_label_correlation_is_over_photographs_that_have_both_labels() -> None:
    data = planted_data(0)
    targets_NT, present_NT = data.train.targets_NT.numpy(), data.train.present_NT.numpy() > 0

    correlation_TT = label_correlation(data)

    both = present_NT[:, 1] & present_NT[:, 4]
    ranks_2N = np.argsort(np.argsort(targets_NT[both][:, [1, 4]], axis=0), axis=0).T
    correlation_22 = np.asarray(np.corrcoef(ranks_2N))
    assert correlation_TT[1, 4] == pytest.approx(correlation_22[0, 1])


def test_grades_and_classes_are_measured_too() -> None:
    data = graded_data(0)

    affinity = measure_affinity(SETTING.with_params(num_epochs=2), data, every=3)

    correlation_TT = np.array(affinity.label_correlation, np.float64)
    grade, lens, worst = (data.tasks.index(name) for name in ("grade", "lens", "worst"))
    assert correlation_TT[grade, worst] == pytest.approx(1.0)
    assert np.isnan(correlation_TT[lens]).all()  # classes have no order
    assert np.isfinite(np.array(affinity.gradient_cosine, np.float64)).all()


def test_a_benefit_needs_a_readable_prior_a_link_and_room_to_gain() -> None:
    linked_TT = np.full((2, 2), 0.8)
    none_TT = np.zeros((2, 2))

    assert benefit_when_known(linked_TT, none_TT, np.array([0.9, 0.5]))[0, 1] == pytest.approx(0.9 * 0.64 * 0.5)
    assert benefit_when_known(linked_TT, none_TT, np.array([0.0, 0.5]))[0, 1] == 0
    assert benefit_when_known(none_TT, none_TT, np.array([0.9, 0.5]))[0, 1] == 0
    assert benefit_when_known(linked_TT, none_TT, np.array([0.9, 1.0]))[0, 1] == 0
    assert benefit_when_known(none_TT, linked_TT, np.array([0.9, 0.5]))[0, 1] == pytest.approx(0.9 * 0.8 * 0.5)
    assert benefit_when_known(none_TT, -linked_TT, np.array([0.9, 0.5]))[0, 1] == 0
    assert benefit_when_known(linked_TT, none_TT, np.array([math.nan, 0.5])).max() == 0


@given(st.integers(0, 1000), st.integers(2, 5))
def test_the_ranking_is_that_of_all_sets_tried_one_by_one(seed: int, num_tasks: int) -> None:
    tasks = TaskTable.of(CARDIOMETABOLIC_TASKS[:2] + CARDIOMETABOLIC_TASKS[6:9])
    tasks = TaskTable.of(list(tasks)[:num_tasks])
    benefit_TT = np.random.default_rng(seed).normal(size=(num_tasks, num_tasks))

    ranked = rank_splits(benefit_TT, tasks, most=3)

    scores = {}
    subsets = chain.from_iterable(combinations(range(num_tasks), size) for size in range(1, num_tasks))
    for priors in subsets:
        targets = [task for task in range(num_tasks) if task not in priors]
        gains = [max(0.0, *(benefit_TT[prior, target] for prior in priors)) for target in targets]
        scores["+".join(tasks.names[prior] for prior in priors)] = sum(gains) / num_tasks
    best = sorted((score for score in scores.values() if score > 0), reverse=True)
    assert [split.score for split in ranked] == pytest.approx(best[:3])
    assert all(scores[split.task_split] == pytest.approx(split.score) for split in ranked)


def test_a_split_that_hands_a_target_its_answer_is_left_out() -> None:
    derived = Task(name="obese", kind="binary", unit="probability", label="Obese", derived_from=("bmi",))
    tasks = TaskTable.of([*(task for task in CARDIOMETABOLIC_TASKS if task.name in ("age", "bmi")), derived])
    benefit_TT = np.array([[0, 0, 0.1], [0, 0, 0.9], [0, 0, 0]])

    assert [split.task_split for split in rank_splits(benefit_TT, tasks)] == ["age"]


def test_what_cannot_be_measured_is_refused(data: TrainingData, config: TrialConfig) -> None:
    with pytest.raises(ConfigError, match="which this family has not"):
        measure_affinity(SETTING.with_params(family="single_task"), planted_data(0))
    with pytest.raises(ConfigError, match="patients to validate on"):
        measure_affinity(config, replace(data, validation=None))
    with pytest.raises(ConfigError, match="every 1 or more steps, was 0"):
        measure_affinity(config, data, every=0)
    with pytest.raises(ConfigError, match=r"within the run's \d+ steps, was every 1000"):
        measure_affinity(config, data, every=1000)


def test_a_cohort_of_one_step_an_epoch_is_measured_too() -> None:
    data = planted_data(0, num_train=32)

    affinity = measure_affinity(SETTING.with_params(num_epochs=3), data, every=1)

    assert affinity.num_measurements == affinity.num_steps == 3
    assert np.isfinite(np.array(affinity.gradient_cosine, np.float64)).all()


def test_where_memory_runs_out_half_the_photographs_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    data = planted_data(0, num_train=64)
    run = TrainingRun(SETTING, data)
    probe, whole, tried = AffinityProbe(run.network, data, SETTING, every=1), run.network.represent, []

    def represent(images_BCHW: torch.Tensor) -> object:
        tried.append(len(images_BCHW))
        if len(images_BCHW) > 10:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return whole(images_BCHW)

    monkeypatch.setattr(run.network, "represent", represent)
    probe()
    probe()

    assert tried == [32, 16, 8, 8, 8, 8]  # the second pass of a measurement is the lookahead's
    assert probe.num_measurements == 2


def test_as_many_photographs_are_measured_at_once_as_training_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    config, data = SETTING.with_params(micro_batch_size=4), planted_data(0, num_train=64)
    run = TrainingRun(config, data)
    probe, whole, tried = AffinityProbe(run.network, data, config, every=1), run.network.represent, []
    monkeypatch.setattr(run.network, "represent", lambda images: (tried.append(len(images)), whole(images))[1])

    probe()

    assert tried == [4, 4]


def test_an_affinity_survives_its_file() -> None:
    affinity = measure_affinity(SETTING.with_params(num_epochs=1), planted_data(0), every=5)

    assert Affinity.parse_json(affinity.model_dump_json(), "test") == affinity
    assert affinity.num_measurements == affinity.num_steps // 5
