import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from sepl.training.supervised.losses import task_losses, total_loss


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
