"""The laws of a multi-task network, on every family."""

import copy
import re
from typing import Any, get_args

import pytest
import torch
from torch import Tensor, nn

from sepl.config import Family, ModelConfig
from sepl.models.build import build_network
from sepl.models.parts.fusion import PhotographSets
from sepl.models.parts.network import Context, MultiTaskNetwork
from sepl.tasks import BUILT_IN_TASKS, TaskTable
from sepl.training.supervised.losses import task_losses

FAMILIES = get_args(Family)
OTHERS = [family for family in FAMILIES if family != "sepl"]
WITH_TASK_NETWORKS = ["single_task", "soft_sharing", "cross_stitch"]
TASKS = TaskTable.of(BUILT_IN_TASKS[name] for name in ("sex", "age", "height", "sbp", "dbp", "glucose", "hba1c"))
NUM_TASKS = len(TASKS)  # 7: no width of the backbone or below is a multiple, so that task axes show
IMAGE_SIZE = 32
BACKBONES = ["test_resnet", "test_convnext", "test_vit", "test_efficientnet"]

_WIDTHS: dict[str, dict[str, Any]] = {
    "sepl": {"num_experts": 3, "hidden_width": 12, "task_split": "demographic"},
    "mmoe": {"num_experts": 3, "hidden_width": 12},
    "cgc": {"num_experts": 2, "hidden_width": 12, "num_task_experts": 2},
    "ple": {"num_experts": 2, "hidden_width": 12, "num_task_experts": 2},
    "ctan": {"hidden_width": 12},
}


def config(family: str, **changes: Any) -> ModelConfig:
    return ModelConfig.parse(
        {"family": family, "backbone": "test_resnet", **_WIDTHS.get(family, {}), **changes}, "test"
    )


def build(family: str, tasks: TaskTable = TASKS, **changes: Any) -> MultiTaskNetwork:
    return build_network(config(family, **changes), tasks, IMAGE_SIZE)


def images(num: int = 3) -> Tensor:
    return torch.randn(num, 3, IMAGE_SIZE, IMAGE_SIZE)


def gradients(network: MultiTaskNetwork, loss: Tensor) -> dict[str, Tensor]:
    names, parameters = zip(*network.named_parameters(), strict=True)
    found = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True, materialize_grads=True)
    return dict(zip(names, found, strict=True))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("backbone", BACKBONES)
def test_there_is_one_output_a_task_on_any_backbone(family: str, backbone: str) -> None:
    network = build(family, backbone=backbone)

    outputs_BT = network(images())

    assert outputs_BT.shape == (3, NUM_TASKS)
    assert outputs_BT.isfinite().all()
    assert network.training


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("backbone", ["test_resnet", "test_vit"])
def test_every_parameter_learns(family: str, backbone: str) -> None:
    network = build(family, backbone=backbone)

    context = Context(penalties=[])
    (network(images(), context).square().sum() + network.penalty(context)).backward()

    assert [name for name, parameter in network.named_parameters() if parameter.grad is None] == []


@pytest.mark.parametrize("family", FAMILIES)
def test_outputs_are_predictions_from_the_representation(family: str) -> None:
    network, images_BCHW = build(family).eval(), images()

    outputs_BT = network.predict(network.represent(images_BCHW))

    assert torch.equal(outputs_BT, network(images_BCHW))
    assert network.has_shared_trunk is (family not in WITH_TASK_NETWORKS)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("backbone", BACKBONES)
def test_a_batch_equals_its_rows_one_by_one(family: str, backbone: str) -> None:
    network, images_BCHW = build(family, backbone=backbone).eval(), images(4)

    together_BT = network(images_BCHW)

    alone_BT = torch.cat([network(image_CHW[None]) for image_CHW in images_BCHW])
    torch.testing.assert_close(together_BT, alone_BT, atol=1e-5, rtol=1e-4)


# Of each family, what serves the last task alone: a pattern of parameter names, and the rows (of the first axis) in it.
# Other tasks hear of a task in cross-stitch (its whole network), CTAN (keys, values, tokens) and PLE (lower levels).
_OWN: dict[str, list[tuple[str, int]]] = {
    "sepl": [(r"head\.gates\.", 3), (r"head\.target_heads\.", 1)],
    "single_task": [(r"backbones\.6\.", -1), (r"heads\.", 1)],
    "hard_sharing": [(r"head\.", 1)],
    "soft_sharing": [(r"backbones\.6\.", -1), (r"heads\.", 1)],
    "mmoe": [(r"head\.gates\.", 3), (r"head\.task_heads\.", 1)],
    "cgc": [(r"task_experts\.", 2), (r"task_gates\.", 1), (r"task_heads\.", 1)],
    "ple": [(r"levels\.1\.task_experts\.", 2), (r"levels\.1\.task_gates\.", 1), (r"task_heads\.", 1)],
    "mtan": [(r"masks\.\d\.(look|norm)\.", -7), (r"masks\.\d\.(recall|mask)\.", -7), (r"heads\.", 1)],
    "ctan": [(r"layers\.1\.(query|project)\.", 1), (r"task_heads\.", 1)],
    "cross_stitch": [(r"heads\.", 1)],
}


def own_rows(family: str, found: dict[str, Tensor]) -> dict[str, Tensor]:
    """The last task's part of each tensor: so many last rows, all (−1), or the last seventh of them (−7)."""
    own: dict[str, Tensor] = {}
    for pattern, rows in _OWN[family]:
        for name, tensor in found.items():
            if re.search(pattern, name):
                num_rows = len(tensor) if rows == -1 else len(tensor) // NUM_TASKS if rows == -7 else rows
                own[name] = tensor[-num_rows:]
    return own


@pytest.mark.parametrize("family", FAMILIES)
def test_a_task_without_labels_moves_nothing(family: str) -> None:
    network = build(family)
    outputs_BT, targets_BT = network(images()), torch.randn(3, NUM_TASKS)
    present_BT = torch.ones(3, NUM_TASKS)
    present_BT[:, -1] = 0
    is_binary_T = torch.tensor(TASKS.is_binary)
    all_T = task_losses(outputs_BT, targets_BT, torch.ones(3, NUM_TASKS), is_binary_T)
    masked_T = task_losses(outputs_BT, targets_BT, present_BT, is_binary_T)

    masked = gradients(network, masked_T.sum())

    without = gradients(network, all_T[:-1].sum())
    torch.testing.assert_close(masked, without, atol=0, rtol=0)
    own = own_rows(family, masked)
    assert own
    assert all(not tensor.any() for tensor in own.values()), [name for name, tensor in own.items() if tensor.any()]
    moved = own_rows(family, gradients(network, all_T[-1]))
    assert all(any(t.any() for name, t in moved.items() if re.search(pattern, name)) for pattern, _ in _OWN[family])


def permuted(state: dict[str, Tensor], order: list[int]) -> dict[str, Tensor]:
    """The state with its task axes in another order: axes of a multiple of T, and the task's number in names."""
    moved = {}
    for name, tensor in state.items():
        for axis, size in enumerate(tensor.shape):
            if size % NUM_TASKS == 0:
                rows = torch.arange(size).view(NUM_TASKS, -1)[order].flatten()
                tensor = tensor.index_select(axis, rows)
        place = re.sub(r"(backbones|copies)\.(\d+)", lambda part: f"{part[1]}.{order.index(int(part[2]))}", name)
        moved[place] = tensor
    return moved


@pytest.mark.parametrize("family", OTHERS)  # SePL knows two kinds of task: tests/sepl/models/test_sepl.py
def test_permuting_the_tasks_permutes_the_outputs(family: str) -> None:
    network, images_BCHW, order = build(family).eval(), images(), [3, 0, 6, 1, 5, 2, 4]
    other = build(family, TaskTable.of(TASKS.root[place] for place in order)).eval()

    other.load_state_dict(permuted(network.state_dict(), order))

    torch.testing.assert_close(other(images_BCHW), network(images_BCHW)[:, order], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_state_that_goes_out_and_in_gives_the_same_outputs(family: str) -> None:
    first, second, images_BCHW = build(family).eval(), build(family).eval(), images()

    second.load_state_dict(first.state_dict())

    assert torch.equal(first(images_BCHW), second(images_BCHW))


@pytest.mark.parametrize("family", WITH_TASK_NETWORKS)
def test_networks_of_tasks_share_no_parameter(family: str) -> None:
    network = build(family)
    loss = network(images())[:, 0].sum()

    found = gradients(network, loss)

    others = [name for name in found if re.search(r"(backbones|copies)\.[1-6]\.", name) and found[name].any()]
    assert any(re.search(r"(backbones|copies)\.0\.", name) and found[name].any() for name in found)
    assert bool(others) is (family == "cross_stitch")  # there, a task hears the others' networks


def test_task_networks_start_apart_and_soft_ones_together() -> None:
    for family, same in (("single_task", False), ("soft_sharing", True)):
        first, second = (next(iter(backbone.parameters())) for backbone in _backbones(build(family))[:2])

        assert torch.equal(first, second) is same


def test_soft_sharing_costs_the_squared_distances_of_all_pairs() -> None:
    network = build("soft_sharing", sharing_strength=0.1)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.01)
    flat = [torch.cat([p.flatten() for p in backbone.parameters()]) for backbone in _backbones(network)]

    expected = sum((flat[s] - flat[t]).square().sum() for t in range(NUM_TASKS) for s in range(t))

    torch.testing.assert_close(network.penalty(), 0.1 * expected)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_single_task_is_no_special_case(family: str) -> None:
    network = build(family, TaskTable.of([TASKS["sbp"]]), **({"task_split": "none"} if family == "sepl" else {}))

    assert network(images()).shape == (3, 1)


@pytest.mark.parametrize("family", ["sepl", "mmoe"])
def test_load_balance_vanishes_when_experts_share_the_work(family: str) -> None:
    network = build(family, load_balance=0.5)
    before = _penalty(network, images())

    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "gates" in name:
                parameter.zero_()

    assert before > 0
    assert _penalty(network, images()) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("family", ["sepl", "mmoe"])
def test_the_balance_is_of_the_forward_that_had_the_context_alone(family: str) -> None:
    network = build(family, load_balance=0.5)
    first, second = images(), images()
    expected = _penalty(network, first)
    context = Context(penalties=[])

    network(first, context)
    network(second)
    network(second, Context(penalties=[]))

    assert network.penalty(context).item() == expected
    assert network.penalty(context).item() == expected
    copy.deepcopy(network)  # nothing of a graph stays behind in it


@pytest.mark.parametrize("fusion", ["mean", "attention"])
@pytest.mark.parametrize("family", FAMILIES)
def test_photographs_are_joined_whatever_their_order_and_number(family: str, fusion: str) -> None:
    network, images_BCHW = build(family, fusion=fusion).eval(), images(6)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "score" in name:
                parameter.normal_()
    patient_B = torch.tensor([0, 1, 0, 2, 1, 1])
    order = torch.tensor([5, 3, 1, 0, 4, 2])

    outputs_PT = network(images_BCHW, Context(PhotographSets(patient_B, 3)))

    shuffled_PT = network(images_BCHW[order], Context(PhotographSets(patient_B[order], 3)))
    one_by_one = [network(images_BCHW[patient_B == p], Context(_one(int((patient_B == p).sum())))) for p in range(3)]
    torch.testing.assert_close(outputs_PT, shuffled_PT, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(outputs_PT, torch.cat(one_by_one), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(outputs_PT[2:], network(images_BCHW[3:4]), atol=1e-5, rtol=1e-4)


def _one(num_photographs: int) -> PhotographSets:
    return PhotographSets(torch.zeros(num_photographs, dtype=torch.long), 1)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_thirty_two_photographs_are_learnt_by_heart(family: str) -> None:
    torch.manual_seed(3)
    tasks = TaskTable.of(TASKS.root[:3])
    changes = {"backbone": "test_convnext", **({"task_split": "age"} if family == "sepl" else {})}
    network, images_BCHW = build(family, tasks, **changes), images(32)
    targets_BT, present_BT = torch.randn(32, 3), torch.ones(32, 3)
    targets_BT[:, 0] = (targets_BT[:, 0] > 0).float()
    optimiser = torch.optim.AdamW(network.parameters(), lr=3e-3)
    is_binary_T = torch.tensor(tasks.is_binary)

    for step in range(150):
        for group in optimiser.param_groups:
            group["lr"] = 3e-3 * (1 - step / 150)
        context = Context(penalties=[])
        losses_T = task_losses(network(images_BCHW, context), targets_BT, present_BT, is_binary_T)
        (losses_T.sum() + network.penalty(context)).backward()
        optimiser.step()
        optimiser.zero_grad()

    guessed_T = task_losses(targets_BT.median(dim=0).values.expand(32, 3), targets_BT, present_BT, is_binary_T)
    learnt_T = task_losses(network.eval()(images_BCHW), targets_BT, present_BT, is_binary_T)
    assert (learnt_T < 0.25 * guessed_T).all(), (learnt_T / guessed_T).tolist()


def test_with_task_groups_the_balance_is_of_all_groups() -> None:
    network = build("mmoe", task_groups="sex+age/sbp+dbp", group_width=4, load_balance=0.5).train()
    alone: list[float] = []
    network.get_submodule("head.head.balance").register_forward_hook(lambda *given: alone.append(given[-1].item()))
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if "mixers" in name:
                parameter.normal_()

    penalty = _penalty(network, images())

    assert len(alone) == 3
    assert len(set(alone)) == 3
    assert penalty == pytest.approx(sum(alone) / 3)


def _backbones(network: MultiTaskNetwork) -> list[nn.Module]:
    return list(network.get_submodule("backbones").children())


def _penalty(network: MultiTaskNetwork, images_BCHW: Tensor) -> float:
    context = Context(penalties=[])
    network(images_BCHW, context)
    return network.penalty(context).item()


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
@pytest.mark.parametrize("backbone", ["test_resnet", "test_vit"])
@pytest.mark.parametrize("family", FAMILIES)
def test_bfloat16_autocast_stays_near_float32(family: str, backbone: str, device: str) -> None:
    strongest = {"gate_top_k": 2, "load_balance": 0.1} if family in ("sepl", "mmoe") else {}
    network = build(family, backbone=backbone, **strongest).to(device)
    pictures = images().to(device)
    expected = network.eval()(pictures)
    network.train()

    with torch.autocast(device, torch.bfloat16):
        network.eval()
        outputs_BT = network(pictures)
        network.train()
        context = Context(penalties=[])
        loss = network(pictures, context).float().square().sum() + network.penalty(context)
    loss.backward()

    torch.testing.assert_close(outputs_BT.float(), expected, rtol=0.1, atol=0.1)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
