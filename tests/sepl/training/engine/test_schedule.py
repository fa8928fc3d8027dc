import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepl.training.engine.schedule import CosineSchedule


@given(
    st.floats(1e-6, 1.0),
    st.integers(1, 50),
    st.integers(1, 50),
    st.floats(0, 60),
)
def test_the_rate_rises_to_the_peak_then_falls_and_stays_above_zero(
    peak: float, num_epochs: int, steps_per_epoch: int, warmup_epochs: float
) -> None:
    schedule = CosineSchedule.over(
        peak, num_epochs=num_epochs, steps_per_epoch=steps_per_epoch, warmup_epochs=warmup_epochs
    )

    rates = [schedule.learning_rate(step) for step in range(schedule.num_steps)]

    top = schedule.num_warmup_steps
    assert len(rates) == num_epochs * steps_per_epoch
    assert rates[top] == pytest.approx(peak)
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)
    assert min(rates) > 0


def test_warm_up_lasts_as_many_epochs_as_asked() -> None:
    schedule = CosineSchedule.over(1.0, num_epochs=10, steps_per_epoch=7, warmup_epochs=2.0)

    assert schedule.num_warmup_steps == 14
    assert [schedule.learning_rate(step) for step in (0, 6, 13)] == pytest.approx([1 / 15, 7 / 15, 14 / 15])


def test_without_warm_up_the_first_step_has_the_peak() -> None:
    schedule = CosineSchedule.over(0.5, num_epochs=2, steps_per_epoch=3, warmup_epochs=0.0)

    assert schedule.learning_rate(0) == 0.5
    assert schedule.learning_rate(3) == pytest.approx(0.25)
