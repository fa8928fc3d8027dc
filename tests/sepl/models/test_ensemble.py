"""Laws of several networks as one, whatever their families, fusion, pixels and what they are told."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from bundles import TASKS
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sepl.config import ModelConfig
from sepl.data.imaging.photograph import Normalisation
from sepl.models.build import build_network
from sepl.models.ensemble import EnsembleNetwork
from sepl.models.parts.fusion import AttentionFusion
from sepl.models.parts.network import MultiTaskNetwork
from sepl.models.predict import join_patients, patient_outputs, predict_told, represent_pixels
from sepl.tasks import BUILT_IN_TASKS, Task, TaskTable

CPU = torch.device("cpu")
GRADE = Task(name="grade", kind="ordinal", unit="level", label="Grade", levels=("no", "mild", "bad"), patient="worst")
GRADED = TaskTable.of([*(BUILT_IN_TASKS[name] for name in ("sex", "age", "sbp")), GRADE])
SMALL: dict[str, Any] = {"task_split": "demographic", "num_experts": 2, "hidden_width": 8}
MODELS: dict[str, dict[str, Any]] = {
    "sepl": {"backbone": "test_resnet", **SMALL},
    "told": {"backbone": "test_resnet", "known_share": 0.5, **SMALL},
    "hard": {"backbone": "test_convnext", "family": "hard_sharing"},
    "own trunks": {"backbone": "test_resnet", "family": "single_task"},
    "fused": {"backbone": "test_convnext", "family": "hard_sharing", "fusion": "attention"},
    "fused and told": {"backbone": "test_resnet", "fusion": "mean", "known_share": 0.5, **SMALL},
}
OWN_PIXELS = Normalisation((0.5, 0.4, 0.3), (0.3, 0.2, 0.25))
names = st.lists(st.sampled_from(sorted(MODELS)), min_size=1, max_size=4)
PIXELS = np.random.default_rng(0).integers(0, 256, (9, 32, 32, 3), dtype=np.uint8)
PATIENTS = np.array([0, 1, 0, 2, 1, 1, 3, 0, 3])


@cache
def network_of(name: str, is_graded: bool = False) -> MultiTaskNetwork:
    torch.manual_seed(len(name))
    way = OWN_PIXELS if name in ("hard", "fused and told") else None
    tasks = GRADED if is_graded else TASKS
    network = build_network(ModelConfig.parse(MODELS[name], "test"), tasks, 32, normalisation=way)
    if isinstance(network.fusion, AttentionFusion):
        torch.nn.init.normal_(network.fusion.score.weight, std=0.5)
    return network.eval()


def outputs_of(network: MultiTaskNetwork, tables: Sequence[NDArray[np.floating] | None] = (None,)) -> NDArray:
    """Of the patients (P, O), with each table of what the network is told, as evaluation has them."""
    tasks = network.tasks
    told = predict_told(network, [PIXELS[:4], PIXELS[4:]], tables, device=CPU, batch_size=3, patients=PATIENTS)
    return np.stack([patient_outputs(outputs_NO, PATIENTS, tasks) for outputs_NO in told])


def known_of_patients(tasks: TaskTable = TASKS) -> NDArray[np.float64]:
    """(P, T) scaled: sex and age of the first and third."""
    told_PT = np.full((4, len(tasks)), np.nan)
    told_PT[[0, 2], :2] = [[1.0, 0.7], [0.0, -1.2]]
    return told_PT


@given(name=st.sampled_from(sorted(MODELS)))
@settings(max_examples=8, deadline=None)
def test_an_ensemble_of_one_is_that_network_to_the_bit(name: str) -> None:
    tables = [None, known_of_patients()[PATIENTS]] if network_of(name).takes_known else [None]

    alone, ensemble = network_of(name), EnsembleNetwork([network_of(name)], [3.0])

    assert (outputs_of(ensemble, tables) == outputs_of(alone, tables)).all()


@given(name=st.sampled_from(sorted(MODELS)), weight=st.floats(0.1, 10))
@settings(max_examples=8, deadline=None)
def test_an_ensemble_of_equals_is_one_of_them(name: str, weight: float) -> None:
    network = network_of(name)

    ensemble = EnsembleNetwork([network, network], [1.0, weight])

    np.testing.assert_allclose(outputs_of(ensemble), outputs_of(network), atol=1e-6, rtol=1e-6)


@given(members=names, data=st.data())
@settings(max_examples=10, deadline=None)
def test_the_order_of_members_does_not_matter(members: list[str], data: st.DataObject) -> None:
    weights = [1.0 + place for place in range(len(members))]
    order = data.draw(st.permutations(range(len(members))))
    ensemble = EnsembleNetwork([network_of(name) for name in members], weights)
    permuted = EnsembleNetwork([network_of(members[place]) for place in order], [weights[place] for place in order])

    np.testing.assert_allclose(outputs_of(permuted), outputs_of(ensemble), atol=1e-6, rtol=1e-6)


@given(members=names)
@settings(max_examples=10, deadline=None)
def test_outputs_are_the_weighted_mean_of_the_members_own(members: list[str]) -> None:
    """Whoever of them is told what is known, and joins a patient's photographs itself."""
    weights, tables = [1.0 + place for place in range(len(members))], [None, known_of_patients()[PATIENTS]]
    ensemble = EnsembleNetwork([network_of(name) for name in members], weights)
    own = [outputs_of(network_of(name), tables if network_of(name).takes_known else [None, None]) for name in members]

    expected = np.average(own, axis=0, weights=weights)

    np.testing.assert_allclose(outputs_of(ensemble, tables), expected, atol=2e-6, rtol=1e-5)


@given(members=names, is_told=st.booleans())
@settings(max_examples=10, deadline=None)
def test_a_patient_at_a_time_comes_to_the_same_as_all_at_once(members: list[str], is_told: bool) -> None:
    """Online scoring keeps what each photograph came to and joins patients later."""
    ensemble = EnsembleNetwork([network_of(name) for name in members], [1.0] * len(members)).eval()
    told_PT = known_of_patients() if is_told and ensemble.takes_known else None
    expected_PO = outputs_of(ensemble, [None if told_PT is None else told_PT[PATIENTS]])[0]

    with torch.inference_mode():
        kept_N = torch.cat([represent_pixels(ensemble, part, CPU) for part in (PIXELS[:5], PIXELS[5:])])
        found_PO = join_patients(ensemble, kept_N, PATIENTS, told_PT)

    np.testing.assert_allclose(found_PO, expected_PO, atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("members", [("sepl", "hard"), ("hard", "fused"), ("fused", "own trunks")])
def test_of_graded_tasks_logits_are_averaged_and_a_patient_has_one_row(members: tuple[str, ...]) -> None:
    ensemble = EnsembleNetwork([network_of(name, is_graded=True) for name in members], [1.0, 1.0])

    outputs_PO = outputs_of(ensemble)[0]

    assert outputs_PO.shape == (4, GRADED.num_outputs)
    assert np.isfinite(outputs_PO).all()


def test_weights_are_told_apart_by_member() -> None:
    ensemble = EnsembleNetwork([network_of("sepl"), network_of("fused")], [1.0, 1.0])

    heads = {name.split(".")[1] for name in ensemble.state_dict()}

    assert heads == {"0", "1"}
    assert all(name.startswith("members.") for name in ensemble.state_dict())
