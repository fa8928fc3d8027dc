"""Training with some priors handed on as they are known: nothing else of a run changes, and none of its promises."""

from typing import Any

import pytest
import torch
from torch import Tensor

from sepl.config import TrialConfig
from sepl.errors import ConfigError
from sepl.models.build import build_network
from sepl.models.parts.network import NO_CONTEXT, Context
from sepl.training.engine.seeding import RandomStreams
from sepl.training.input.batches import TrainingData
from sepl.training.supervised.objective import Supervised
from sepl.training.supervised.run import TrainingRun, train


def _losses(config: TrialConfig, data: TrainingData) -> tuple[dict[str, float], TrainingRun]:
    """Of the first batch, by task."""
    run = TrainingRun(config, data)
    batch = next(run.supervised.batches(run.streams.order, 0))
    with run.active():
        images_BCHW, batch = run.supervised.inputs(batch)
        losses_T = run.supervised.passes.backward(images_BCHW, batch)
    return dict(zip(data.tasks.names, losses_T.tolist(), strict=True)), run


def test_priors_are_learned_as_ever_and_targets_from_what_is_known(config: TrialConfig, data: TrainingData) -> None:
    plain, _ = _losses(config, data)
    told, _ = _losses(config.with_params(known_share=1.0), data)

    assert {name: told[name] for name in ("sex", "age")} == {name: plain[name] for name in ("sex", "age")}
    assert all(told[name] != plain[name] for name in ("sbp", "hba1c", "diabetes"))


def test_a_run_without_known_priors_draws_none_and_one_with_them_draws_nothing_else(
    config: TrialConfig, data: TrainingData
) -> None:
    begun = RandomStreams(config.training.seed, data.device).state_dict()
    plain, told = (TrainingRun(config.with_params(num_epochs=1, known_share=share), data) for share in (0.0, 0.5))
    for run in (plain, told):
        list(train(run))

    after, after_told = plain.streams.state_dict(), told.streams.state_dict()
    assert torch.equal(after["known"], begun["known"])
    assert not torch.equal(after_told["known"], begun["known"])
    for name in set(after) - {"known"}:
        assert torch.equal(after[name], after_told[name]), name


@pytest.mark.parametrize("weighting", ["equal", "famo", "upgrad"])
@pytest.mark.parametrize("fusion", ["none", "attention"])
def test_parts_of_a_batch_are_told_what_the_whole_is(
    weighting: str, fusion: str, config: TrialConfig, data: TrainingData
) -> None:
    setting: dict[str, Any] = {"backbone": "test_vit", "known_share": 0.5, "weighting": weighting, "fusion": fusion}
    whole, run = _losses(config.with_params(**setting), data)
    parts, again = _losses(config.with_params(**setting, micro_batch_size=3), data)

    assert parts == pytest.approx(whole, rel=1e-4)
    assert torch.equal(run.streams.known.get_state(), again.streams.known.get_state())
    gradients = {name: parameter.grad for name, parameter in run.network.named_parameters()}
    torch.testing.assert_close(
        {name: parameter.grad for name, parameter in again.network.named_parameters()}, gradients, atol=1e-6, rtol=1e-3
    )


def test_with_fusion_what_is_told_is_told_of_patients(config: TrialConfig, data: TrainingData) -> None:
    _, run = _losses(config.with_params(fusion="mean", known_share=1.0), data)
    batch = next(run.supervised.batches(run.streams.order, 0))

    _, told = run.supervised.inputs(batch)

    assert told.labels_BT is not None
    assert told.labels_BT.shape == batch.targets_BT.shape
    assert len(batch.pixels_BHWC) == 2 * len(batch.targets_BT)
    assert torch.equal(told.labels_BT.isfinite(), batch.present_BT > 0)


def test_memory_that_runs_out_changes_nothing_of_what_is_told(config: TrialConfig, data: TrainingData) -> None:
    seen: list[Tensor] = []

    def first(limit: int) -> Tensor:
        run = TrainingRun(config.with_params(backbone="test_vit", known_share=0.5), data)
        batch = next(run.supervised.batches(run.streams.order, 0))
        backward = run.supervised.passes.backward

        def tight(images_BCHW: Tensor, batch: Any, turn: Any = None) -> Tensor:
            seen.append(batch.labels_BT)
            size = run.supervised.passes.micro_batch_size or len(batch.targets_BT)
            if size > limit:
                raise torch.OutOfMemoryError("CUDA out of memory.")
            return backward(images_BCHW, batch, turn)

        run.supervised.passes.backward = tight
        with run.active():
            return run.supervised.gradients(*run.supervised.inputs(batch))

    torch.testing.assert_close(first(4), first(1000))
    assert len(seen) > 2
    for labels_BT in seen[1:]:
        torch.testing.assert_close(labels_BT, seen[0], equal_nan=True, atol=0, rtol=0)


@pytest.mark.parametrize(
    "options", [{"task_groups": "each", "cooperative": True}, {"propagation": "detached", "weighting": "pcgrad"}]
)
def test_it_learns_beside_other_options(options: dict[str, Any], config: TrialConfig, data: TrainingData) -> None:
    results = list(train(TrainingRun(config.with_params(known_share=0.5, num_epochs=3, **options), data)))

    assert results[-1].train_loss < results[0].train_loss


def test_a_known_prior_reaches_the_targets_and_no_prior(config: TrialConfig, data: TrainingData) -> None:
    run = TrainingRun(config.with_params(known_share=0.5), data)
    network = run.network.eval()
    images_BCHW = torch.randn(6, 3, 32, 32)
    labels_BT = torch.full((6, len(data.tasks)), torch.nan)
    labels_BT[:, data.tasks.index("age")] = torch.linspace(-2, 2, 6)

    with torch.no_grad():
        nothing_BT, told_BT = network(images_BCHW, NO_CONTEXT), network(images_BCHW, Context(labels_BT=labels_BT))

    sbp, age = data.tasks.index("sbp"), data.tasks.index("age")
    assert torch.equal(told_BT[:, age], nothing_BT[:, age])
    assert not torch.allclose(told_BT[:, sbp], nothing_BT[:, sbp])


def test_validation_is_of_photographs_with_nothing_known(config: TrialConfig, data: TrainingData) -> None:
    found = []
    for share in (0.0, 1.0):
        setting = config.with_params(known_share=share)
        streams = RandomStreams(0, data.device)
        with streams.active():
            network = build_network(setting.model, data.tasks, data.image_spec.size)
            supervised = Supervised(setting, data, network, streams)
            supervised.validate(network, 1)
        found.append(supervised._skills)

    assert found[0] == found[1]


def test_where_no_task_is_a_prior_it_is_refused(config: TrialConfig, data: TrainingData) -> None:
    with pytest.raises(
        ConfigError, match=r"known_share should stay 0 where no task is a prior \(task_split\), was 0.5"
    ):
        TrainingRun(config.with_params(task_split="none", known_share=0.5), data)
