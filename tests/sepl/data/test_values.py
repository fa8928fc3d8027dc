import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepl.data.values import is_absent, read_codes, read_numbers


def cells(*texts):
    return pd.Series(list(texts), dtype=object)


def number(text, *others, **options):
    return read_numbers(cells(text, *others), **options).values[0]


numbers = st.decimals(min_value=-99999, max_value=99999, places=2, allow_nan=False)


@given(st.lists(numbers, min_size=1), st.sampled_from([".", ","]))
def test_either_decimal_sign_gives_the_same_numbers(values, sign):
    texts = [f"{value:.2f}".replace(".", sign) for value in values]

    read = read_numbers(cells(*texts))

    np.testing.assert_allclose(read.values, [float(value) for value in values])
    assert not read.wrong.any()


@given(
    st.lists(st.integers(1000, 9_999_999), min_size=1),
    st.sampled_from([(",", "."), (".", ","), (" ", "."), ("'", ".")]),
)
def test_thousands_may_be_parted(values, signs):
    thousands, decimal = signs
    texts = [f"{value:,}".replace(",", thousands) + f"{decimal}5" for value in values]

    np.testing.assert_array_equal(read_numbers(cells(*texts)).values, np.array(values) + 0.5)


@pytest.mark.parametrize(
    ("text", "others", "options", "expected"),
    [
        ("1,234", (), {}, 1234.0),
        ("1,234", ("2,5",), {}, 1.234),
        ("1,234", ("2.5",), {}, 1234.0),
        ("1,234", (), {"fallback": ","}, 1.234),
        ("1,234", (), {"decimal": ","}, 1.234),
        ("1.234", (), {}, 1.234),
        ("1.234", ("2,5", "3,5"), {}, 1234.0),
        ("1.234", ("2,5",), {"decimal": "."}, 1.234),
        ("0,123", (), {}, 0.123),
        ("1.234,5", (), {}, 1234.5),
        ("1,234.5", (), {}, 1234.5),
        ("1,234,567", (), {}, 1234567.0),
        (".5", (), {}, 0.5),
        (",5", (), {}, 0.5),
        ("1e3", (), {}, 1000.0),
        ("−4", (), {}, -4.0),
        ("+4", (), {}, 4.0),
        ("1 234,5", (), {}, 1234.5),
    ],
)
def test_what_can_be_read_both_ways_is_told_by_the_column(text, others, options, expected):
    assert number(text, *others, **options) == expected


@pytest.mark.parametrize(
    "text", ["abc", "12a", "1.2.3", "1,23,4.5", "12-13", "inf", "1_000", "0x10", "٣x", "<", "120/80"]
)
def test_what_is_no_number_is_wrong_and_absent(text):
    read = read_numbers(cells(text))

    assert read.wrong.tolist() == [True]
    assert np.isnan(read.values).all()


@pytest.mark.parametrize(
    ("text", "expected"), [("<0.5", 0.5), ("< 0,5", 0.5), (">14", 14.0), ("≥14", 14.0), (">= 14.0", 14.0), ("≤ 3", 3.0)]
)
def test_a_censored_value_is_its_limit(text, expected):
    read = read_numbers(cells(text))

    assert (read.values[0], read.censored[0], read.wrong[0]) == (expected, True, False)


@pytest.mark.parametrize(
    ("text", "inches"),
    [("5'11\"", 71), ("5' 11", 71), ("5 ft 11 in", 71), ("6'", 72), ("5′7½", np.nan), ("5’10.5”", 70.5)],
)
def test_feet_and_inches_are_read_where_they_are_asked_for(text, inches):
    np.testing.assert_array_equal(read_numbers(cells(text), feet=True).values, [inches])
    assert read_numbers(cells(text)).wrong.all()


@pytest.mark.parametrize("text", ["", "NA", "n/a", "NaN", "null", "None", ".", "-", "#N/A", "?"])
def test_spellings_of_absent(text):
    read = read_numbers(cells(text))

    assert np.isnan(read.values).all()
    assert not read.wrong.any()


@given(st.sampled_from(["-9", "-9.0", "-9.00", " -9"]))
def test_a_declared_code_is_absent_in_any_spelling(text):
    series = cells(text.strip(), "9")

    assert is_absent(series, [-9]).tolist() == [True, False]
    assert np.isnan(read_numbers(series, missing=[-9]).values).tolist() == [True, False]


def test_codes_are_read_with_what_is_wrong():
    labels, wrong = read_codes(cells("1.0", "Yes", "0", "maybe", "", "8"), ["1", "yes"], [0], [8])

    np.testing.assert_array_equal(labels, [1, 1, 0, np.nan, np.nan, np.nan])
    assert wrong.tolist() == [False, False, False, True, False, False]


def test_an_empty_column_is_read():
    assert len(read_numbers(cells()).values) == 0
