"""Heads asked of a search space."""

from pathlib import Path

import pytest

from sepl.config import TrialConfig
from sepl.errors import ConfigError
from sepl.tuning.probe.sampling import NUM_EPOCHS, head_config, sample_heads, sources_of
from sepl.tuning.space.space import SearchSpace, load_space

TRANSFER = load_space("search_spaces/transfer.py")


def space_of(folder: Path, returned: str) -> SearchSpace:
    text = f"""
NUM_EPOCHS = 3
FIRST_POINTS = []


def space(trial):
    family = trial.suggest_categorical("family", ["sepl", "mmoe"])
    return {{"backbone": "test_resnet", "hidden_width": 8, {returned}}}
"""
    (folder / "space.py").write_text(text)
    return load_space(str(folder / "space.py"))


def test_heads_differ_and_are_the_same_every_time() -> None:
    heads = sample_heads(TRANSFER, 32)

    assert len(heads) == 32
    assert len({str(sorted(head.params.items())) for head in heads}) == 32
    assert heads == sample_heads(TRANSFER, 32)


def test_a_few_structures_are_drawn_and_many_rates_for_each() -> None:
    heads = sample_heads(TRANSFER, 32)

    structures = [
        (head.config["num_experts"], head.config["hidden_width"], head.config["task_split"]) for head in heads
    ]
    assert 1 < len(set(structures)) <= 4
    assert len({head.config["learning_rate"] for head in heads}) > 20


def test_every_head_is_a_trial_that_the_space_allows() -> None:
    for head in sample_heads(TRANSFER, 32):
        trial, constants = TRANSFER.answer(head.params, "here")

        assert set(trial.distributions) == set(head.params)
        assert {**constants, **head.params} == head.config


def test_every_backbone_with_weights_is_a_source_and_a_head_moves_to_any() -> None:
    sources = sources_of(TRANSFER)
    (head, *_) = sample_heads(TRANSFER, 8)

    moved = [head.on(source) for source in sources]

    assert [source[0] for source in sources] == [f"tf_efficientnet_lite{number}" for number in range(3)]
    assert [each.source for each in moved] == list(sources)
    assert all(each.params["backbone"] == each.config["backbone"] for each in moved)


def test_a_space_without_initial_weights_has_nothing_to_probe(tmp_path: Path) -> None:
    space = space_of(tmp_path, '"weights": "none"')

    assert sources_of(space) == ()
    assert sample_heads(space, 8) == ()


def test_families_that_no_probe_can_try_are_passed_over(tmp_path: Path) -> None:
    heads = sample_heads(space_of(tmp_path, '"weights": "pretrained"'), 8)

    assert [head.config["family"] for head in heads] == ["sepl"]


def test_a_heads_setting_leaves_out_what_concerns_the_backbone_alone() -> None:
    params = {
        "backbone": "tf_efficientnet_lite0",
        "weights": "pretrained",
        "frozen_stages": 2,
        "layer_decay": 0.8,
        "drop_path": 0.2,
        "num_epochs": 40,
        "learning_rate": 1e-3,
        "num_experts": 2,
    }

    config = head_config(params, strength=0.5)

    assert config == TrialConfig.from_params(
        {
            "backbone": "tf_efficientnet_lite0",
            "weights": "pretrained",
            "num_epochs": NUM_EPOCHS,
            "learning_rate": 1e-3,
            "num_experts": 2,
            "augment_strength": 0.5,
        }
    )
    with pytest.raises(ConfigError, match="family"):
        head_config({"family": "ctan"}, strength=0.0)
