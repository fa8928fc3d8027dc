import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from sepl.config import TrialConfig
from sepl.errors import ConfigError
from sepl.models.build import build_network
from sepl.models.parts.group_adapters import GroupedHead
from sepl.training.engine.seeding import RandomStreams
from sepl.training.input.batches import Batch, TrainingData
from sepl.training.supervised.backward import BatchBackward
from sepl.training.supervised.cooperative import CooperativeTurns, Turns, ascent, bounded_noise
from sepl.training.supervised.losses import TaskLosses
from sepl.training.supervised.passes import Passes
from sepl.training.supervised.run import TrainingRun, train
from sepl.training.weighting.losses_only import EqualWeighting

GROUPS = "sex+age/sbp/hba1c+diabetes"
WAYS: list[dict[str, Any]] = [
    {"cooperative_noise": "none"},
    {"cooperative_noise": "uniform", "cooperative_inner_steps": 3},
    {"cooperative_noise": "gaussian", "cooperative_order": "random"},
    {"cooperative_noise": "ascent"},
    {"cooperative_place": "parameters", "cooperative_noise": "uniform", "cooperative_draws": 4},
    {"cooperative_place": "parameters", "cooperative_noise": "gaussian"},
    {"cooperative_place": "parameters", "cooperative_noise": "ascent", "family": "hard_sharing"},
]


def cooperative(config: TrialConfig, **options: Any) -> TrialConfig:
    if options.get("family") == "hard_sharing":
        defaults = type(config.model)()
        options |= {"num_experts": defaults.num_experts, "hidden_width": defaults.hidden_width}
    return config.with_params(task_groups=GROUPS, group_width=8, cooperative=True, **options)


def first_batch(data: TrainingData) -> tuple[Tensor, Batch]:
    batch = next(iter(data.train.epoch(16, torch.Generator().manual_seed(0))))
    return batch.pixels_BHWC.permute(0, 3, 1, 2).float() / 255, batch


def grouped_head(run: TrainingRun) -> GroupedHead:
    head = run.network.get_submodule("head")
    assert isinstance(head, GroupedHead)
    with torch.no_grad():  # as after some steps: at first the sub-models are not heard at all
        for mixer in head.mixers:
            mixer.copy_(0.1 * torch.randn(mixer.shape, generator=torch.Generator().manual_seed(0)))
    return head


@pytest.mark.parametrize("options", WAYS)
def test_every_way_learns_and_a_restored_run_ends_with_the_same_bits(
    options: dict[str, Any], config: TrialConfig, data: TrainingData, tmp_path_factory: pytest.TempPathFactory
) -> None:
    config = cooperative(config, num_epochs=3, **options)
    folder = tmp_path_factory.mktemp("checkpoint")
    uninterrupted = TrainingRun(config, data)
    results = list(train(uninterrupted))

    first = TrainingRun(config, data)
    first.run_epoch()
    first.save(folder)
    second = TrainingRun(config, data)
    second.restore(folder)
    list(train(second))

    assert all(math.isfinite(result.train_loss) for result in results)
    assert results[-1].train_loss < results[0].train_loss
    expected = uninterrupted.best_state()
    assert all(torch.equal(value, expected[name]) for name, value in second.best_state().items())


@pytest.mark.parametrize(
    "options",
    [
        {"fusion": "attention"},
        {"weighting": "upgrad"},
        {"weighting": "stch", "stch_warmup_epochs": 1},
        {"propagation": "oracle"},
    ],
)
def test_turns_go_with_fusion_weightings_and_labels(
    options: dict[str, Any], config: TrialConfig, data: TrainingData
) -> None:
    results = list(train(TrainingRun(cooperative(config, cooperative_noise="ascent", **options), data)))

    assert math.isfinite(results[-1].train_loss)
    assert options.get("weighting") == "stch" or results[-1].train_loss < results[0].train_loss


@pytest.mark.parametrize("place", ["features", "parameters"])
def test_a_turn_moves_no_other_groups_sub_model_and_heeds_no_other_groups_labels(
    place: str, config: TrialConfig, data: TrainingData
) -> None:
    run = TrainingRun(cooperative(config, cooperative_place=place, cooperative_noise="none"), data)
    grouped_head(run)
    images_BCHW, batch = first_batch(data)
    gradients = []
    for shift_T in (torch.zeros(5), torch.tensor([0.0, 0.0, 9.0, 9.0, 0.0])):  # sex and age train first
        run.network.zero_grad(set_to_none=True)
        losses_T = run.supervised.gradients(images_BCHW, replace(batch, targets_BT=batch.targets_BT + shift_T))
        gradients.append({name: parameter.grad for name, parameter in run.network.named_parameters()})

    assert (losses_T > 0).tolist() == [True, True, False, False, False]
    for group in (1, 2):
        assert gradients[0][f"head.adapters.{group}.weight"] is None
        assert gradients[0][f"head.mixers.{group}"] is None
    own = gradients[0]["head.adapters.0.weight"]
    assert own is not None
    assert own.abs().sum() > 0
    for name, gradient in gradients[0].items():
        other = gradients[1][name]
        assert (gradient is None) == (other is None)
        assert gradient is None or other is None or torch.equal(gradient, other)


def test_optimiser_steps_leave_the_sub_models_of_others_as_they_are(config: TrialConfig, data: TrainingData) -> None:
    run = TrainingRun(cooperative(config, num_epochs=1, cooperative_inner_steps=1000), data)
    before = {name: value.clone() for name, value in run.network.state_dict().items()}

    list(train(run))

    moved = {name for name, value in run.network.state_dict().items() if not torch.equal(value, before[name])}
    assert {"head.adapters.0.weight", "head.mixers.0"} <= moved
    assert not [name for name in moved if name.startswith(("head.adapters.1", "head.mixers.1", "head.mixers.2"))]


def test_before_the_first_step_the_network_is_the_familys_own(config: TrialConfig, data: TrainingData) -> None:
    plain = build_network(config.model, data.tasks, 32).eval()
    grouped = build_network(cooperative(config).model, data.tasks, 32).eval()
    state = {f"head.{name}" if name.startswith("head.") else name: value for name, value in plain.state_dict().items()}
    grouped.load_state_dict(state, strict=False)
    images_BCHW = torch.rand(3, 3, 32, 32)

    torch.testing.assert_close(grouped(images_BCHW), plain(images_BCHW))


def test_in_a_turn_without_noise_the_groups_outputs_are_the_networks(config: TrialConfig, data: TrainingData) -> None:
    """So that what is trained is what is used."""
    run_config = cooperative(config, cooperative_noise="none", augment_strength=0.0)
    run = TrainingRun(run_config, data)
    grouped_head(run)
    network = run.network.eval()
    images_BCHW, batch = first_batch(data)
    together_BT = network(images_BCHW)

    turn = CooperativeTurns(run.supervised.passes, run_config.training).turn(1, images_BCHW, batch)
    in_turn_BT = network(images_BCHW, replace(batch.context(), turn=turn))

    torch.testing.assert_close(in_turn_BT[:, 2], together_BT[:, 2])
    assert not in_turn_BT[:, [0, 1, 3, 4]].any()


@pytest.mark.parametrize("place", ["features", "parameters"])
def test_ascent_raises_the_loss_more_than_noise_of_its_size(
    place: str, config: TrialConfig, data: TrainingData
) -> None:
    images_BCHW, batch = first_batch(data)
    losses = {}
    for noise in ("none", "uniform", "ascent"):
        options: dict[str, Any] = {"cooperative_place": place, "cooperative_noise": noise}
        if noise != "none":
            options["cooperative_radius"] = 0.3
        run = TrainingRun(cooperative(config, **options), data)
        grouped_head(run)
        with run.active():
            losses[noise] = float(run.supervised.gradients(images_BCHW, batch).sum())

    assert losses["ascent"] > max(losses["none"], losses["uniform"])


@given(st.integers(1, 6), st.integers(1, 4), st.integers(0, 50), st.integers(0, 9))
def test_each_group_has_one_turn_a_round(num_groups: int, inner_steps: int, round_: int, seed: int) -> None:
    for is_random in (False, True):
        turns = Turns(num_groups, inner_steps, is_random, seed)
        length = num_groups * inner_steps

        groups = [turns.group(step) for step in range(round_ * length, (round_ + 1) * length)]

        assert sorted(groups[::inner_steps]) == list(range(num_groups))
        assert all(groups[step] == groups[step - step % inner_steps] for step in range(length))


@given(st.sampled_from(["uniform", "gaussian"]), st.floats(1e-3, 2), st.integers(0, 100))
def test_noise_is_bounded_by_its_radius_in_every_group(kind: str, radius: float, seed: int) -> None:
    torch.manual_seed(seed)
    tensor_GBD = torch.randn(3, 5, 4) * torch.tensor([1e-3, 1.0, 50.0])[:, None, None]

    noise_GBD = bounded_noise(tensor_GBD, kind=kind, radius=radius)

    rms_G = tensor_GBD.square().mean(dim=(1, 2)).sqrt()
    assert (noise_GBD.abs().amax(dim=(1, 2)) <= radius * rms_G * (1 + 1e-6)).all()
    assert (noise_GBD.abs().amax(dim=(1, 2)) > 0.3 * radius * rms_G).all()


def test_an_ascent_is_as_long_as_its_radius_says_and_goes_along_the_gradient() -> None:
    tensor_GD = torch.tensor([[3.0, 4.0], [0.0, 1.0], [1.0, 1.0]])
    gradient_GD = torch.tensor([[0.0, 2.0], [-3.0, 4.0], [0.0, 0.0]])

    step_GD = ascent(tensor_GD, gradient_GD, radius=0.5)

    torch.testing.assert_close(step_GD, torch.tensor([[0.0, 2.5], [-0.3, 0.4], [0.0, 0.0]]))


def test_what_cannot_take_turns_is_refused(config: TrialConfig, data: TrainingData) -> None:
    with pytest.raises(ConfigError, match="task_groups, which should be set"):
        TrainingRun(config.with_params(cooperative=True), data)
    with pytest.raises(ConfigError, match="weighting should not be 'famo' in cooperative training"):
        TrainingRun(cooperative(config, weighting="famo"), data)
    with pytest.raises(ConfigError, match="cooperative_radius should stay"):
        config.with_params(cooperative_radius=0.5)
    with pytest.raises(ConfigError, match="cooperative_draws should stay 1"):
        cooperative(config, cooperative_draws=2)
    with pytest.raises(ConfigError, match="two groups or more"):
        TrainingRun(config.with_params(task_groups="sex+age+sbp+hba1c+diabetes"), data)
    with pytest.raises(ConfigError, match="not a task: pulse"):
        TrainingRun(config.with_params(task_groups="sex/pulse"), data)


def test_parts_of_a_batch_add_up_to_the_batch(config: TrialConfig, data: TrainingData) -> None:
    network = build_network(cooperative(config, backbone="test_vit").model, data.tasks, 32)
    images_BCHW, batch = first_batch(data)
    gradients = []
    for micro_batch_size in (0, 5):
        network.zero_grad()
        passes = Passes(
            network,
            EqualWeighting(),
            TaskLosses(data.tasks, data.device),
            precision="float32",
            streams=RandomStreams(0, data.device),
            micro_batch_size=micro_batch_size,
        )
        turns = CooperativeTurns(passes, cooperative(config, cooperative_noise="none").training)
        BatchBackward(passes, turns)(images_BCHW, batch, step=1)
        gradients.append({name: p.grad.clone() for name, p in network.named_parameters() if p.grad is not None})

    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("place", ["features", "parameters"])
def test_a_batch_in_parts_climbs_the_same_ascent(place: str, config: TrialConfig, data: TrainingData) -> None:
    settings = cooperative(config, backbone="test_vit", cooperative_place=place, cooperative_noise="ascent")
    images_BCHW, batch = first_batch(data)
    gradients = []
    for micro_batch_size in (0, 5):
        run = TrainingRun(settings.with_params(micro_batch_size=micro_batch_size), data)
        grouped_head(run)
        with run.active():
            run.supervised.gradients(images_BCHW, batch)
        gradients.append({name: p.grad for name, p in run.network.named_parameters() if p.grad is not None})

    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradients[1][name], gradient, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("place", ["features", "parameters"])
def test_an_ascent_that_memory_has_no_room_for_is_climbed_in_halves(
    place: str, config: TrialConfig, data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = TrainingRun(cooperative(config, cooperative_place=place, cooperative_noise="ascent", num_epochs=1), data)
    represent = run.network.represent
    rooms: list[int] = []

    def represent_if_there_is_room(images_BCHW: Tensor) -> Any:
        rooms.append(len(images_BCHW))
        in_the_ascent = len(rooms) == 1
        if run.network.training and len(images_BCHW) > 8 and (place == "features" or not in_the_ascent):
            raise torch.OutOfMemoryError("no room")
        return represent(images_BCHW)

    monkeypatch.setattr(run.network, "represent", represent_if_there_is_room)

    result = run.run_epoch()

    assert math.isfinite(result.train_loss)
    assert run.supervised.passes.micro_batch_size == 8
