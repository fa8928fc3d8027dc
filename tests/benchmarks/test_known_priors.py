"""Ways to use known values: what they must not change, what they must find, and a comparison from end to end."""

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from builders import build_dataset

from benchmarks import known_priors
from benchmarks.known_priors import FAMILIES, PATTERNS, setting
from benchmarks.support.film import film_network
from benchmarks.support.known_arms import Learned, Patients, condition_on, stack_on, worst_of
from benchmarks.support.skills import Floats
from sepl.data.dataset.dataset import PreparedDataset
from sepl.data.dataset.scaling import LabelScaler
from sepl.models.parts.network import Context
from sepl.tasks import BUILT_IN_TASKS, TaskTable
from sepl.training.input.batches import TrainingData

LEARNED = Learned(
    TaskTable.of(BUILT_IN_TASKS[name] for name in ("sex", "age", "sbp", "dbp")),
    LabelScaler(medians=(0.0, 50.0, 120.0, 75.0), iqrs=(1.0, 14.0, 20.0, 12.0)),
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    return build_dataset(tmp_path_factory.mktemp("data"), num_patients=60)


def patients(num_patients: int, seed: int) -> Patients:
    """Whose errors in age and pressures go together."""
    rng = np.random.default_rng(seed)
    truth_PT = rng.normal(size=(num_patients, 4))
    common_P1 = rng.normal(size=(num_patients, 1))
    errors_PT = 0.8 * common_P1 * np.array([0, 1, 1, 1]) + 0.3 * rng.normal(size=(num_patients, 4))
    labels_PT = np.array(LEARNED.scaler.unscale(truth_PT), float)
    labels_PT[:, 0] = truth_PT[:, 0] > 0
    return Patients(truth_PT - errors_PT, labels_PT)


def off(values_PT: Floats, judged: Patients) -> Floats:
    return np.abs(values_PT - judged.labels_PT)[:, 2:].mean(axis=0)


@pytest.mark.parametrize("way", [condition_on, stack_on])
def test_a_way_to_use_known_values_helps_where_errors_go_together_and_another_patients_values_do_not(way) -> None:
    fit, judged = patients(200, 0), patients(1000, 1)

    moved = way(("age",), fit, judged, LEARNED)

    before = off(LEARNED.values(judged.outputs_PT), judged)
    assert (off(moved.values_PT, judged) < 0.9 * before).all()
    assert (off(moved.shuffled_PT, judged) > before).all()
    if way is condition_on:
        assert moved.coverage(judged.labels_PT) == pytest.approx(0.9, abs=0.05)


@pytest.mark.parametrize("family", FAMILIES)
def test_film_with_nothing_learned_or_nothing_known_changes_nothing(dataset: PreparedDataset, family) -> None:
    data = TrainingData.load(dataset)
    network = film_network(setting(family, 1), data, ("sex", "age")).eval()
    images_BCHW, labels_BT = torch.randn(2, 3, 32, 32), torch.full((2, 5), torch.nan)
    known_BT = labels_BT.clone()
    known_BT[:, 1] = 2.0

    with torch.inference_mode():
        plain, told = network(images_BCHW), network(images_BCHW, Context(labels_BT=known_BT))
        torch.nn.init.normal_(network.film.linear.weight)
        learned, untold = (network(images_BCHW, Context(labels_BT=labels)) for labels in (known_BT, labels_BT))

    torch.testing.assert_close(told, plain)
    torch.testing.assert_close(untold, plain)
    assert not learned.allclose(plain)


def test_the_worst_task_is_the_one_that_loses_most() -> None:
    assert worst_of({"sbp": 0.02, "dbp": -0.01}) == {"task": "dbp", "difference": -0.01}


def test_the_comparison_has_every_way_with_intervals_and_the_ratios(
    dataset: PreparedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(known_priors, "PATTERNS", {"age + sex": PATTERNS["age + sex"]})
    options = argparse.Namespace(
        families=("sepl",), num_fitted=(22, 30), num_epochs=1, num_seeds=1, num_bootstrap=20, quick=True
    )
    options.json = tmp_path / "out.json"

    known_priors._compare(options, dataset, dataset)

    measured = json.loads(options.json.read_text())["measured"]
    rows = measured["sepl"]["age + sex"]
    ways = {"stage 1, 22", "stage 1, 30", "stacked ridge, 22", "stacked ridge, 30", "FiLM"}
    assert ways <= rows.keys()
    assert ways <= measured["ratios"]["age + sex"].keys()
    for way in ways:
        assert {"mean target skill", "known − unknown", "known − floor", "another patient's", "worst task"} <= (
            rows[way].keys()
        )
    assert json.loads(options.json.read_text())["ratio"] == measured["ratios"]["age + sex"]["stage 1, 30"]
