"""Every family on a table of all kinds of task, some of them with several outputs."""

from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import Tensor

from sepl.config import BinaryPrior, Family, ModelConfig, Propagation
from sepl.levels import expected_level, level_probabilities
from sepl.models.build import build_network
from sepl.models.parts.network import Context, MultiTaskNetwork
from sepl.models.predict import join_patients, patient_outputs, predict_outputs
from sepl.tasks import BUILT_IN_TASKS, Task, TaskTable
from sepl.training.supervised.losses import TaskLosses

FAMILIES = get_args(Family)
IMAGE_SIZE = 32
CPU = torch.device("cpu")
GRADE = Task(
    name="grade", kind="ordinal", unit="", label="Grade", levels=("none", "mild", "moderate", "severe"), patient="worst"
)
CAMERA = Task(name="camera", kind="categorical", unit="", label="Camera", levels=("a", "b", "c", "d", "e"))
TASKS = TaskTable.of([GRADE, BUILT_IN_TASKS["sex"], CAMERA, BUILT_IN_TASKS["sbp"]])
PLAIN = TaskTable.of(
    [BUILT_IN_TASKS[name] for name in ("age", "sex", "height", "sbp")]  # as many tasks, an output each
)
_WIDTHS: dict[str, dict[str, Any]] = {
    "sepl": {"num_experts": 3, "hidden_width": 12, "task_split": "grade+sex"},
    "mmoe": {"num_experts": 3, "hidden_width": 12},
    "cgc": {"num_experts": 2, "hidden_width": 12, "num_task_experts": 2},
    "ple": {"num_experts": 2, "hidden_width": 12, "num_task_experts": 2},
    "ctan": {"hidden_width": 12},
}


def build(family: str, tasks: TaskTable = TASKS, **changes: Any) -> MultiTaskNetwork:
    params = {"family": family, "backbone": "test_resnet", **_WIDTHS.get(family, {}), **changes}
    return build_network(ModelConfig.parse(params, "test"), tasks, IMAGE_SIZE)


def images(num: int = 6) -> Tensor:
    return torch.randn(num, 3, IMAGE_SIZE, IMAGE_SIZE)


LABELS_BT = torch.tensor(
    [
        [0.0, 1.0, 4.0, 0.3],
        [3.0, 0.0, 0.0, -1.0],
        [1.0, 1.0, 2.0, 0.0],
        [2.0, 0.0, 1.0, 0.5],
        [2.0, 1.0, 3.0, 2.0],
        [0.0, 0.0, 0.0, -0.1],
    ]
)


def losses_of(network: MultiTaskNetwork, present_BT: Tensor, context: Context | None = None) -> Tensor:
    outputs_BO = network(images(), context or Context(penalties=[]))
    return TaskLosses(TASKS, CPU)(outputs_BO, LABELS_BT, present_BT)


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_learns_all_kinds_of_task(family: str) -> None:
    network = build(family)
    context = Context(penalties=[])

    losses_T = losses_of(network, torch.ones(6, 4), context)
    (losses_T.sum() + network.penalty(context)).backward()

    assert network.num_outputs == TASKS.num_outputs == 3 + 1 + 5 + 1
    assert network(images()).shape == (6, 10)
    assert losses_T.isfinite().all()
    assert [name for name, p in network.named_parameters() if p.grad is None or not p.grad.isfinite().all()] == []


@pytest.mark.parametrize("family", FAMILIES)
def test_a_grade_without_labels_moves_none_of_its_outputs(family: str) -> None:
    network, present_BT = build(family), torch.ones(6, 4)
    present_BT[:, [0, 2]] = 0
    outputs_BO = network(images()).detach().requires_grad_()

    losses_T = TaskLosses(TASKS, CPU)(outputs_BO, LABELS_BT, present_BT)
    losses_T.sum().backward()

    assert losses_T[[0, 2]].tolist() == [0.0, 0.0]
    assert outputs_BO.grad is not None
    moved_O = outputs_BO.grad.any(dim=0)
    assert moved_O.tolist() == [False] * 3 + [True] + [False] * 5 + [True]


_HANDED = [(propagation, scale) for propagation in get_args(Propagation) for scale in get_args(BinaryPrior)]


@pytest.mark.parametrize(("propagation", "binary_prior"), [pair for pair in _HANDED if pair != ("none", "probability")])
@pytest.mark.parametrize("task_split", ["grade", "sex+camera", "grade+camera"])
def test_graded_priors_are_propagated_output_by_output(propagation: str, binary_prior: str, task_split: str) -> None:
    network = build("sepl", propagation=propagation, binary_prior=binary_prior, task_split=task_split)
    labels_BT = torch.where(torch.rand_like(LABELS_BT) < 0.3, torch.nan, LABELS_BT)

    losses_T = losses_of(network, torch.ones(6, 4), Context(labels_BT=labels_BT, penalties=[]))
    losses_T.sum().backward()

    num_priors = sum(TASKS[name].num_outputs for name in task_split.split("+"))
    prior_heads = network.get_submodule("head.prior_heads")
    assert prior_heads.get_parameter("weight").shape[0] == num_priors
    heard = 0 if propagation == "none" else num_priors
    gates = network.get_submodule("head.gates").get_parameter("weight")
    assert gates.shape == ((4 - len(task_split.split("+"))) * 3, prior_heads.get_parameter("weight").shape[1] + heard)
    assert losses_T.isfinite().all()


@pytest.mark.parametrize(
    "changes",
    [
        {"gate_inputs": "uniform"},
        {"gate_inputs": "prior", "gate_top_k": 2, "load_balance": 0.1},
        {"prior_attention": False},
        {"num_stages": 1, "propagation": "none", "task_split": "none"},
        {"task_groups": "grade+sex/camera", "group_width": 4},
    ],
)
def test_sepls_ablations_and_groups_know_grades(changes: dict[str, Any]) -> None:
    network = build("sepl", **changes)
    context = Context(penalties=[])

    (losses_of(network, torch.ones(6, 4), context).sum() + network.penalty(context)).backward()

    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


@pytest.mark.parametrize("family", ["hard_sharing", "mmoe", "sepl"])
def test_a_group_in_its_turn_gives_the_outputs_of_its_tasks_alone(family: str) -> None:
    network = build(family, task_groups="grade+sex/camera+sbp", group_width=4).eval()
    head = network.get_submodule("head")

    in_group_GO = head.get_buffer("_in_group_GO")

    assert in_group_GO.tolist() == [[True] * 4 + [False] * 6, [False] * 4 + [True] * 6]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_table_with_an_output_a_task_has_the_network_that_it_always_had(family: str) -> None:
    """The tasks' number alone decides about parameters where none is graded."""
    changes = {"task_split": "age+sex"} if family == "sepl" else {}

    plain, graded = build(family, PLAIN, **changes), build(family)

    assert plain.num_outputs == plain.num_tasks == graded.num_tasks == 4
    assert list(plain.state_dict()) == list(graded.state_dict())
    assert not [name for name in plain.state_dict() if "outputs" in name or "priors." in name]


def photographs(num: int) -> np.ndarray:
    return np.random.default_rng(num).integers(0, 256, (num, IMAGE_SIZE, IMAGE_SIZE, 3), dtype=np.uint8)


def test_a_patients_grade_is_that_of_the_worst_photograph_and_all_else_the_mean() -> None:
    network = build("hard_sharing").eval()
    outputs_NO = predict_outputs(network, [photographs(5)], device=CPU)
    patient_N = np.array([0, 1, 0, 1, 1])

    outputs_PO = patient_outputs(outputs_NO, patient_N, network.tasks)

    joined_PO = join_patients(network, torch.from_numpy(outputs_NO), patient_N)
    grades_N = expected_level(level_probabilities(outputs_NO[:, :3], GRADE))
    for patient in (0, 1):
        own = np.flatnonzero(patient_N == patient)
        worst = own[grades_N[own].argmax()]
        np.testing.assert_allclose(outputs_PO[patient, :3], outputs_NO[worst, :3], rtol=1e-6)
        np.testing.assert_allclose(outputs_PO[patient, 3:], outputs_NO[own, 3:].astype(float).mean(axis=0), rtol=1e-6)
    np.testing.assert_array_equal(joined_PO, outputs_PO)


def test_with_fusion_the_network_judges_and_no_photograph_is_the_worst() -> None:
    network, pixels_NHWC, patient_N = (
        build("hard_sharing", fusion="mean").eval(),
        photographs(4),
        np.array([0, 0, 1, 1]),
    )

    outputs_NO = predict_outputs(network, [pixels_NHWC], device=CPU, patients=patient_N)

    np.testing.assert_array_equal(outputs_NO[0], outputs_NO[1])
    outputs_PO = patient_outputs(outputs_NO, patient_N, network.tasks)
    np.testing.assert_allclose(outputs_PO, outputs_NO[[0, 2]], rtol=1e-6)


def test_no_photograph_gives_no_row_of_all_outputs() -> None:
    assert predict_outputs(build("hard_sharing"), [], device=CPU).shape == (0, 10)
