import pytest

from sepl.reports.numbers import figure, param, percent, short, value_range


@pytest.mark.parametrize(("value", "text"), [(None, "–"), (0.1234, "0.123"), (-9.9, "-9.900"), (123.456, "123.5")])
def test_a_measure_has_as_many_decimals_as_it_needs(value: float | None, text: str) -> None:
    assert figure(value) == text


def test_a_share_of_nothing_is_a_dash() -> None:
    assert (percent(1, 3), percent(0, 0)) == ("33.3 %", "–")


@pytest.mark.parametrize(("value", "text"), [(0.012345, "0.0123"), (999.4, "999"), (12345.6, "12,346")])
def test_a_value_in_short_has_three_significant_digits_or_is_whole(value: float, text: str) -> None:
    assert short(value) == text


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [(None, None, "any"), (None, 5.0, "to 5"), (1.5, None, "from 1.5"), (1.5, 5.0, "1.5 to 5")],
)
def test_a_range_says_which_side_is_open(low: float | None, high: float | None, text: str) -> None:
    assert value_range(low, high) == text


@pytest.mark.parametrize(("value", "text"), [(None, "–"), (1e-4, "0.0001"), (0.123456, "0.123"), ("sepl", "sepl")])
def test_a_hyperparameter_is_short_and_one_not_asked_a_dash(value: object, text: str) -> None:
    assert param(value) == text
