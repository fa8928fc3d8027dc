import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from sepl.config import TrialConfig
from sepl.data.dataset.dataset import PreparedDataset
from sepl.errors import DivergedError
from sepl.models.build import build_network
from sepl.models.predict import predict_outputs
from sepl.training.engine.checkpoint import copy_to_cpu
from sepl.training.input.batches import TrainingData
from sepl.training.supervised.run import TrainingRun, train
from sepl.training.supervised.validation import validation_skills


def assert_same_state(state: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert state.keys() == expected.keys()
    different = [name for name in state if not torch.equal(state[name], expected[name])]
    assert not different


@pytest.mark.parametrize("backbone", ["test_efficientnet", "test_convnext", "test_vit"])
def test_a_small_cohort_is_learnt_in_few_epochs(backbone: str, config: TrialConfig, data: TrainingData) -> None:
    run = TrainingRun(config.with_params(backbone=backbone, num_epochs=8, augment_strength=0.5), data)

    results = list(train(run))

    assert results[-1].best_skill > 0.3
    assert results[-1].train_loss < results[0].train_loss


def test_results_tell_of_every_epoch_and_the_best_never_falls(config: TrialConfig, data: TrainingData) -> None:
    run = TrainingRun(config.with_params(learning_rate=0.03), data)  # so high that validation skill goes up and down

    results = list(train(run))

    skills = [result.validation_skill for result in results]
    assert [result.epoch for result in results] == [1, 2, 3, 4]
    assert run.finished
    assert all(before.best_skill <= after.best_skill for before, after in pairwise(results))
    assert results[-1].best_skill == max(skills)
    assert skills.index(max(skills)) + 1 == run.best_epoch
    for result in results:
        assert set(result.skill_per_task) == set(data.tasks.names)
        assert result.validation_skill == pytest.approx(sum(result.skill_per_task.values()) / len(data.tasks))
        assert result.photographs_per_second > 0


def test_the_state_kept_is_the_best_epochs_even_when_the_network_forgets(
    config: TrialConfig, data: TrainingData
) -> None:
    run = TrainingRun(config.with_params(backbone="test_vit"), data)
    best = max((run.run_epoch() for _ in range(3)), key=lambda result: result.validation_skill)
    with torch.no_grad():
        for parameter in run.network.parameters():
            parameter.zero_()

    last = run.run_epoch()

    network = build_network(config.model.model_copy(update={"backbone": "test_vit"}), data.tasks, data.image_spec.size)
    network.load_state_dict(run.best_state())
    assert data.validation is not None
    outputs_NT = predict_outputs(network, data.validation.photographs.shards, device=data.device)
    skills = validation_skills(outputs_NT, data.validation, data.scaler, data.tasks)
    assert last.validation_skill < last.best_skill == best.validation_skill
    assert run.best_epoch == best.epoch
    assert skills == pytest.approx(best.skill_per_task)


def test_the_same_seed_gives_the_same_bits_beside_another_run_and_another_seed_does_not(
    config: TrialConfig, data: TrainingData
) -> None:
    alone = TrainingRun(config, data)
    list(train(alone))

    run, other = TrainingRun(config, data), TrainingRun(config.with_params(seed=1), data)
    for _ in zip(train(run), train(other), strict=True):
        pass

    assert_same_state(run.best_state(), alone.best_state())
    with pytest.raises(AssertionError):
        assert_same_state(other.best_state(), alone.best_state())


def test_training_leaves_the_global_generator_alone(config: TrialConfig, data: TrainingData) -> None:
    before = torch.get_rng_state()

    TrainingRun(config.with_params(drop_path=0.1, backbone="test_vit"), data).run_epoch()

    assert torch.equal(torch.get_rng_state(), before)


def test_a_number_that_is_not_finite_raises_and_names_epoch_tasks_and_learning_rate(
    config: TrialConfig, data: TrainingData
) -> None:
    run = TrainingRun(config.with_params(learning_rate=1e30, backbone="test_vit"), data)

    with pytest.raises(DivergedError, match=r"of .*sbp.* is not finite in epoch \d of 4, learning rate 1e\+30"):
        list(train(run))


def test_without_validation_the_last_epoch_is_kept(config: TrialConfig, dataset: PreparedDataset) -> None:
    data = TrainingData.load(dataset, ("train", "validation"), None, "cpu")
    run = TrainingRun(config.with_params(num_epochs=2), data)

    first = run.run_epoch()
    state = run.best_state()
    run.run_epoch()

    assert math.isnan(first.validation_skill)
    assert math.isnan(first.best_skill)
    assert run.best_epoch == 2
    with pytest.raises(AssertionError):
        assert_same_state(run.best_state(), state)


def test_a_best_state_that_was_taken_does_not_change_with_later_epochs(config: TrialConfig, data: TrainingData) -> None:
    run = TrainingRun(config.with_params(backbone="test_vit"), data)
    run.run_epoch()
    taken = run.best_state()
    kept = {name: tensor.clone() for name, tensor in taken.items()}

    list(train(run))

    assert run.best_epoch > 1
    assert_same_state(taken, kept)


def test_a_task_without_any_label_trains_the_others(config: TrialConfig, data: TrainingData) -> None:
    present_NT = data.train.present_NT.clone()
    present_NT[:, data.tasks.index("sbp")] = 0
    masked = replace(data, train=replace(data.train, present_NT=present_NT))
    run = TrainingRun(config.with_params(num_epochs=1), masked)
    untrained = TrainingRun(config, data).best_state()

    run.run_epoch()

    state = run.best_state()
    target = [name for name in data.tasks.names if name not in ("sex", "age")].index("sbp")
    assert torch.equal(state["head.target_heads.bias"][target], untrained["head.target_heads.bias"][target])
    assert not torch.equal(state["head.target_heads.bias"], untrained["head.target_heads.bias"])


def test_the_moving_average_is_what_is_validated_and_kept(config: TrialConfig, data: TrainingData) -> None:
    config = config.with_params(backbone="test_vit", num_epochs=1)
    averaged, plain = TrainingRun(config.with_params(ema_decay=0.9), data), TrainingRun(config, data)
    steps: list[dict[str, Tensor]] = [TrainingRun(config, data).best_state()]

    result = averaged.run_epoch(lambda: steps.append(copy_to_cpu(averaged.network.state_dict())))
    plain.run_epoch()

    steps.append(copy_to_cpu(averaged.network.state_dict()))
    assert_same_state(steps[-1], plain.best_state())  # what is trained is the same
    mean = steps[1]["head.gates.weight"]
    for step, state in enumerate(steps[2:], start=1):
        decay = min(0.9, 1 - (1 + step) ** (-2 / 3))  # warms up, else it would stay near the random start
        mean = decay * mean + (1 - decay) * state["head.gates.weight"]
    kept = averaged.best_state()
    torch.testing.assert_close(kept["head.gates.weight"], mean)
    network = build_network(config.model, data.tasks, data.image_spec.size)
    network.load_state_dict(kept)
    assert data.validation is not None
    outputs_NT = predict_outputs(network, data.validation.photographs.shards, device=data.device)
    skills = validation_skills(outputs_NT, data.validation, data.scaler, data.tasks)
    assert skills == pytest.approx(result.skill_per_task)


def test_a_run_that_gets_no_better_stops_early(config: TrialConfig, data: TrainingData) -> None:
    config = config.with_params(num_epochs=9, early_stopping_epochs=2)
    run = TrainingRun(config, data)
    results = [run.run_epoch()]
    with torch.no_grad():
        for parameter in run.network.parameters():
            parameter.fill_(0)  # from here on it can only say the median

    results += train(run)

    assert run.best_epoch == 1
    assert [result.is_last for result in results] == [False, False, True]
    assert run.finished


def test_without_validation_nothing_stops_early(config: TrialConfig, dataset: PreparedDataset) -> None:
    data = TrainingData.load(dataset, ("train", "validation"), None, "cpu")
    run = TrainingRun(config.with_params(num_epochs=3, early_stopping_epochs=1), data)

    assert [result.is_last for result in train(run)] == [False, False, True]


@pytest.mark.parametrize("backbone", ["test_resnet", "test_vit"])
def test_frozen_stages_keep_every_bit_and_the_others_learn(
    backbone: str, config: TrialConfig, data: TrainingData
) -> None:
    config = config.with_params(backbone=backbone, frozen_stages=2, num_epochs=1)
    run = TrainingRun(config, data)
    before = run.best_state()

    run.run_epoch()

    after = run.best_state()
    frozen = (
        ("backbone.conv1.", "backbone.bn1.", "backbone.layer1.")
        if backbone == "test_resnet"
        else ("backbone.cls_token", "backbone.pos_embed", "backbone.patch_embed.", "backbone.blocks.0.")
    )
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert not {name for name in changed if name.startswith(frozen)}
    assert {name for name in changed if name.startswith("backbone.")}


def test_a_deterministic_run_leaves_torchs_setting_alone(config: TrialConfig, data: TrainingData) -> None:
    run = TrainingRun(config.with_params(deterministic=True), data)
    seen: list[bool] = []

    run.run_epoch(lambda: seen.append(torch.are_deterministic_algorithms_enabled()))

    assert seen
    assert all(seen)
    assert not torch.are_deterministic_algorithms_enabled()


@pytest.mark.gpu
@pytest.mark.parametrize("backbone", ["test_efficientnet", "test_vit"])
def test_a_gpu_learns_and_resumes(
    backbone: str, config: TrialConfig, dataset: PreparedDataset, tmp_path_factory: pytest.TempPathFactory
) -> None:
    config = config.with_params(backbone=backbone, num_epochs=8, augment_strength=0.5)
    data = TrainingData.load(dataset)
    first = TrainingRun(config, data)
    for _ in range(4):
        first.run_epoch()
    folder = tmp_path_factory.mktemp("checkpoint")
    first.save(folder)

    second = TrainingRun(config, data)
    second.restore(folder)
    results = list(train(second))

    assert data.device.type == "cuda"
    assert [result.epoch for result in results] == [5, 6, 7, 8]
    assert results[-1].best_skill > 0.3


@pytest.mark.gpu
def test_a_training_step_on_a_gpu_waits_for_nothing(config: TrialConfig, dataset: PreparedDataset) -> None:
    data = TrainingData.load(dataset)
    run = TrainingRun(config, data)
    run.run_epoch()  # first use of a kernel may wait
    batch = next(data.train.epoch(16, torch.Generator()))

    torch.cuda.set_sync_debug_mode("error")
    try:
        run.step(batch, 1e-3)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
def test_a_deterministic_run_repeats_on_a_gpu(config: TrialConfig, dataset: PreparedDataset) -> None:
    data = TrainingData.load(dataset)
    config = config.with_params(deterministic=True, backbone="test_vit", num_epochs=2)
    first, second = TrainingRun(config, data), TrainingRun(config, data)

    for run in (first, second):
        list(train(run))

    assert_same_state(second.best_state(), first.best_state())
