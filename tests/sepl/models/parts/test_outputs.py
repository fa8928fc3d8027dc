import torch
from hypothesis import given
from hypothesis import strategies as st

from sepl.models.parts.outputs import PerOutput


@given(st.lists(st.integers(1, 5), min_size=1, max_size=6), st.integers(0, 1))
def test_what_is_of_a_task_stands_once_for_each_of_its_outputs(counts: list[int], dim: int) -> None:
    per_task = torch.randn(len(counts), len(counts), 3)

    outputs = PerOutput(len(counts), counts)

    expected = torch.repeat_interleave(per_task, torch.tensor(counts), dim=dim)
    assert outputs.total == sum(counts)
    assert torch.equal(outputs(per_task, dim=dim), expected)


def test_with_one_output_each_nothing_is_copied_and_nothing_saved() -> None:
    per_task, outputs = torch.randn(4, 3), PerOutput(3)

    assert outputs(per_task, dim=1) is per_task
    assert outputs.state_dict() == {}
