"""Batches of features, and features along their leading directions."""

import pytest
import torch
from planted_data import planted_features

from sepl.config import TrialConfig
from sepl.training.probe.data import leading_directions
from sepl.training.probe.heads import train_heads


def test_an_epoch_shows_each_photograph_once_at_most_in_one_of_its_views() -> None:
    data = planted_features(num_views=3)

    batches = list(data.epoch(20, torch.Generator().manual_seed(0)))

    assert [len(batch.features_BF) for batch in batches] == [19] * 5
    rows = torch.cat([batch.features_BF for batch in batches])
    is_view = torch.stack([(rows[:, None] == view_NF).all(dim=2).any(dim=1) for view_NF in data.views])
    assert is_view.any(dim=0).all()
    assert (is_view.sum(dim=1) > 10).all()


def test_the_same_random_numbers_give_the_same_batches() -> None:
    data = planted_features(num_views=2)

    first, again = (list(data.epoch(16, torch.Generator().manual_seed(3))) for _ in range(2))

    assert all(torch.equal(a.features_BF, b.features_BF) for a, b in zip(first, again, strict=True))


def test_along_all_but_the_empty_directions_nothing_of_features_is_lost() -> None:
    low_rank = torch.randn(50, 4) @ torch.randn(4, 10)

    basis_FD = leading_directions(low_rank, 4)

    assert basis_FD is not None
    torch.testing.assert_close(low_rank @ basis_FD @ basis_FD.T, low_rank, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(basis_FD.T @ basis_FD, torch.eye(4), rtol=1e-4, atol=1e-4)
    assert leading_directions(low_rank, 10) is None


def test_heads_learn_along_directions_what_there_is_to_learn() -> None:
    data = planted_features(num_features=12)
    basis_FD = leading_directions(data.views[0], 8)
    assert basis_FD is not None
    config = TrialConfig.from_params(
        {"task_split": "none", "propagation": "none", "hidden_width": 16, "batch_size": 16, "num_epochs": 8}
    ).with_params(learning_rate=3e-2)

    few, all_of_them = train_heads([config], data.along(basis_FD)), train_heads([config], data)

    assert few[0].skill == pytest.approx(all_of_them[0].skill, abs=0.15)
