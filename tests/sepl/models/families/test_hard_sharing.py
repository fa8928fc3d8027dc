"""One linear head a task on the same features: y_t = w_t · z + b_t."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from sepl.models.families.hard_sharing import hard_sharing_head


@given(num_features=st.integers(1, 9), num_tasks=st.integers(1, 6), num_images=st.integers(0, 4))
def test_an_output_is_its_own_row_on_the_features(num_features: int, num_tasks: int, num_images: int) -> None:
    head = hard_sharing_head(num_features, num_tasks)
    features_BF = torch.randn(num_images, num_features)

    outputs_BT = head(features_BF)

    assert outputs_BT.shape == (num_images, num_tasks)
    for task in range(num_tasks):
        expected_B = (features_BF * head.weight[task]).sum(dim=1) + head.bias[task]
        torch.testing.assert_close(outputs_BT[:, task], expected_B, rtol=1e-4, atol=1e-5)


@given(num_tasks=st.integers(2, 6), data=st.data())
def test_a_loss_of_one_task_moves_no_other_head(num_tasks: int, data: st.DataObject) -> None:
    task = data.draw(st.integers(0, num_tasks - 1))
    head = hard_sharing_head(4, num_tasks)

    head(torch.ones(3, 4))[:, task].sum().backward()

    assert head.weight.grad is not None
    moved = head.weight.grad.abs().sum(dim=1) > 0
    assert moved.tolist() == [other == task for other in range(num_tasks)]
