from typing import get_args

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit, softmax
from torch import Tensor
from torch.nn import functional

from sepl.tasks import Task, TaskKind, TaskTable
from sepl.training.supervised.losses import TaskLosses, task_losses, total_loss

CPU = torch.device("cpu")


def _draw(seed: int, num_photographs: int, num_tasks: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    outputs_BT = 3 * torch.randn(num_photographs, num_tasks, generator=generator)
    is_binary_T = torch.rand(num_tasks, generator=generator) < 0.4
    labels_BT = torch.randn(num_photographs, num_tasks, generator=generator)
    targets_BT = torch.where(is_binary_T, (labels_BT > 0).float(), labels_BT)
    present_BT = (torch.rand(num_photographs, num_tasks, generator=generator) < 0.6).float()
    return outputs_BT.requires_grad_(), targets_BT * present_BT, present_BT, is_binary_T


def _plain_loss(outputs_B: Tensor, targets_B: Tensor, is_binary: bool) -> Tensor:
    if len(targets_B) == 0:
        return torch.zeros(())
    loss = functional.binary_cross_entropy_with_logits if is_binary else functional.l1_loss
    return loss(outputs_B, targets_B)


cases = st.tuples(st.integers(0, 10_000), st.integers(1, 9), st.integers(1, 7))


@given(cases)
def test_each_loss_is_the_mean_over_the_labels_that_are_there(case: tuple[int, int, int]) -> None:
    outputs_BT, targets_BT, present_BT, is_binary_T = _draw(*case)

    losses_T = task_losses(outputs_BT, targets_BT, present_BT, is_binary_T)

    for task in range(outputs_BT.shape[1]):
        rows = present_BT[:, task] > 0
        expected = _plain_loss(outputs_BT[rows, task], targets_BT[rows, task], bool(is_binary_T[task]))
        torch.testing.assert_close(losses_T[task], expected)


@given(cases, st.floats(-1e6, 1e6))
def test_an_absent_label_moves_no_gradient_whatever_stands_in_for_it(case: tuple[int, int, int], filler: float) -> None:
    outputs_BT, targets_BT, present_BT, is_binary_T = _draw(*case)
    present_BT[:, 0] = 0
    filled_BT = torch.where(present_BT > 0, targets_BT, torch.full_like(targets_BT, filler))

    losses_T = task_losses(outputs_BT, filled_BT, present_BT, is_binary_T)
    (gradient_BT,) = torch.autograd.grad(total_loss(losses_T), outputs_BT)

    assert losses_T[0] == 0
    assert (gradient_BT[present_BT == 0] == 0).all()
    present = present_BT > 0
    assert (gradient_BT[present] != 0).all()


def test_losses_of_confident_wrong_logits_are_finite() -> None:
    outputs_BT = torch.tensor([[1e4], [-1e4]], requires_grad=True)

    losses_T = task_losses(outputs_BT, torch.tensor([[0.0], [1.0]]), torch.ones(2, 1), torch.tensor([True]))
    total_loss(losses_T).backward()

    assert losses_T.item() == 1e4
    assert outputs_BT.grad is not None
    assert outputs_BT.grad.isfinite().all()


@st.composite
def tables(draw: st.DrawFn) -> TaskTable:
    """Tasks of all kinds in any order."""
    kinds = draw(st.lists(st.sampled_from(get_args(TaskKind)), min_size=1, max_size=5))
    tasks: list[Task] = []
    for place, kind in enumerate(kinds):
        graded = kind in ("ordinal", "categorical")
        levels = tuple(f"level {k}" for k in range(draw(st.integers(2, 6)))) if graded else ()
        tasks.append(Task(name=f"t{place}", kind=kind, unit="", label="", levels=levels))
    return TaskTable.of(tasks)


def _draw_levels(tasks: TaskTable, seed: int, num_photographs: int) -> tuple[Tensor, Tensor, Tensor]:
    """Outputs (B, O), labels (B, T), and where they are present."""
    generator = torch.Generator().manual_seed(seed)
    outputs_BO = 3 * torch.randn(num_photographs, tasks.num_outputs, generator=generator)
    labels_BT = torch.randn(num_photographs, len(tasks), generator=generator)
    for place, task in enumerate(tasks):
        if task.kind != "regression":
            labels_BT[:, place] = torch.randint(max(2, len(task.levels)), (num_photographs,), generator=generator)
    present_BT = (torch.rand(num_photographs, len(tasks), generator=generator) < 0.6).float()
    return outputs_BO.requires_grad_(), labels_BT * present_BT, present_BT


def _likelihood(task: Task, outputs_K: NDArray[np.float64], label: float) -> float:
    """Of the label: each step is taken with its own probability, given that it is reached."""
    if task.kind == "binary":
        return float(expit(outputs_K[0]) if label else expit(-outputs_K[0]))
    if task.kind == "categorical":
        return float(softmax(outputs_K)[int(label)])
    taken = np.prod(expit(outputs_K[: int(label)]))
    return float(taken * (expit(-outputs_K[int(label)]) if label < len(outputs_K) else 1.0))


@given(tables(), st.integers(0, 10_000), st.integers(1, 6))
def test_the_loss_of_a_level_is_its_negative_log_likelihood(tasks: TaskTable, seed: int, num_photographs: int) -> None:
    outputs_BO, targets_BT, present_BT = _draw_levels(tasks, seed, num_photographs)

    losses_T = TaskLosses(tasks, CPU)(outputs_BO, targets_BT, present_BT).detach()

    values_BO = outputs_BO.detach().double().numpy()
    for place, (task, columns) in enumerate(zip(tasks, tasks.outputs, strict=True)):
        rows = np.flatnonzero(present_BT[:, place].numpy())
        labels = targets_BT[:, place].tolist()
        if task.kind == "regression":
            single = [abs(values_BO[row, columns][0] - labels[row]) for row in rows]
        else:
            single = [-np.log(_likelihood(task, values_BO[row, columns], labels[row])) for row in rows]
        np.testing.assert_allclose(float(losses_T[place]), np.mean(single) if single else 0.0, rtol=1e-4, atol=1e-5)


@given(tables(), st.integers(0, 10_000), st.floats(-1e6, 1e6))
def test_an_absent_level_moves_no_output_of_its_task(tasks: TaskTable, seed: int, filler: float) -> None:
    outputs_BO, targets_BT, present_BT = _draw_levels(tasks, seed, 5)
    present_BT[0] = 0
    filled_BT = torch.where(present_BT > 0, targets_BT, filler)

    losses_T = TaskLosses(tasks, CPU)(outputs_BO, filled_BT, present_BT)
    (gradient_BO,) = torch.autograd.grad(total_loss(losses_T), outputs_BO)

    assert gradient_BO.isfinite().all()
    for place, (task, columns) in enumerate(zip(tasks, tasks.outputs, strict=True)):
        moved_B = gradient_BO[:, columns].any(dim=1)
        assert torch.equal(moved_B, present_BT[:, place] > 0), task.kind


@given(tables(), st.integers(0, 10_000), st.integers(1, 4))
def test_the_losses_of_a_batchs_parts_add_up_to_the_batchs(tasks: TaskTable, seed: int, size: int) -> None:
    outputs_BO, targets_BT, present_BT = _draw_levels(tasks, seed, 7)
    losses, counts_T = TaskLosses(tasks, CPU), present_BT.sum(dim=0)

    parts = zip(outputs_BO.split(size), targets_BT.split(size), present_BT.split(size), strict=True)
    summed_T = sum((losses(*part, counts_T=counts_T) for part in parts), start=torch.zeros(len(tasks)))

    torch.testing.assert_close(summed_T, losses(outputs_BO, targets_BT, present_BT))


@given(cases)
def test_a_table_without_levels_has_the_losses_that_it_always_had(case: tuple[int, int, int]) -> None:
    outputs_BT, targets_BT, present_BT, is_binary_T = _draw(*case)
    kinds: list[TaskKind] = ["binary" if binary else "regression" for binary in is_binary_T.tolist()]
    tasks = TaskTable.of([Task(name=f"t{k}", kind=kind, unit="", label="") for k, kind in enumerate(kinds)])

    losses_T = TaskLosses(tasks, CPU)(outputs_BT, targets_BT, present_BT)

    assert torch.equal(losses_T, task_losses(outputs_BT, targets_BT, present_BT, is_binary_T))


def test_losses_of_surely_wrong_levels_are_finite() -> None:
    levels = ("a", "b", "c")
    tasks = TaskTable.of(
        [
            Task(name="grade", kind="ordinal", unit="", label="", levels=levels),
            Task(name="lens", kind="categorical", unit="", label="", levels=levels),
        ]
    )
    outputs_BO = torch.tensor([[1e4, -1e4, 1e4, -1e4, 0.0]], requires_grad=True)

    losses_T = TaskLosses(tasks, CPU)(outputs_BO, torch.tensor([[0.0, 1.0]]), torch.ones(1, 2))
    losses_T.sum().backward()

    assert losses_T.tolist() == [1e4, 2e4]
    assert outputs_BO.grad is not None
    assert outputs_BO.grad.isfinite().all()
