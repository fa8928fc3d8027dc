from datetime import date

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepl.data.tables.table import Reading, read_table
from sepl.data.tables.values import as_text, is_absent, read_codes, read_numbers


def cells(*texts):
    return pd.Series(list(texts), dtype=object)


def number(text, *others, **options):
    return read_numbers(cells(text, *others), **options).values[0]


FLOATS = [1.0, None, 0.0, float("nan"), 1.0]
TEXTS = ["b", None, "a", "", "b"]
DAYS = [date(2020, 1, 2), None, date(2021, 3, 4), None, date(2020, 1, 2)]


def parquet(array, tmp_path):
    pq.write_table(pa.table({"n": list(range(len(array))), "c": array}), tmp_path / "t.parquet")
    return read_table(tmp_path / "t.parquet", Reading()).frame["c"]


@pytest.mark.parametrize(
    "column",
    [
        pd.Series(FLOATS, dtype="float64"),
        pd.Series(FLOATS, dtype="Float64"),
        pd.Series(FLOATS, dtype=object),
        pd.Series([1.0, pd.NA, 0.0, float("nan"), 1.0], dtype=object),
        pd.Series(FLOATS, dtype="category"),
        pd.Series(pd.arrays.ArrowExtensionArray(pa.array(FLOATS, pa.float64()))),
        pd.Series(pd.arrays.ArrowExtensionArray(pa.array(FLOATS, pa.float32()))),
        pd.Series(pd.arrays.ArrowExtensionArray(pa.array(FLOATS, pa.float64()).dictionary_encode())),
        pd.Series(TEXTS, dtype="string"),
        pd.Series(TEXTS, dtype="category"),
        pd.Series(pd.arrays.ArrowExtensionArray(pa.array(TEXTS, pa.large_string()))),
        pd.Series(pd.arrays.ArrowExtensionArray(pa.array(TEXTS).dictionary_encode())),
        pd.Series(DAYS, dtype="datetime64[ns]"),
        pd.Series(DAYS, dtype=object),
        pd.Series(pd.arrays.ArrowExtensionArray(pa.array(DAYS, pa.date32()))),
        pd.Series([pd.Timestamp("2020-01-02"), pd.NaT, pd.Timestamp("2021-03-04"), None, pd.Timestamp("2020-01-02")]),
    ],
    ids=lambda column: str(column.dtype),
)
def test_what_is_absent_is_empty_whatever_the_columns_type(column):
    text = as_text(column)

    assert (text == "").tolist() == [False, True, False, True, False]
    assert text[0] == text[4] != text[2]


@pytest.mark.parametrize(
    "array",
    [
        pa.array(FLOATS, pa.float64()),
        pa.array(FLOATS, pa.float32()),
        pa.array(np.array(FLOATS, dtype=float)),  # NaN itself, as numpy, Polars and Spark write it
        pa.DictionaryArray.from_arrays(pa.array([0, 1, 2, 1, 0]), pa.array([1.0, float("nan"), 0.0])),
        pa.array(TEXTS, pa.string_view()),
        pa.array(TEXTS, pa.large_string()),
        pa.array(TEXTS).dictionary_encode(),
        pa.array(DAYS, pa.date32()).cast(pa.timestamp("us")),
    ],
    ids=lambda array: str(array.type)[:40],
)
def test_what_is_absent_in_parquet_is_empty_whoever_wrote_it(array, tmp_path):
    text = as_text(parquet(array, tmp_path))

    assert (text == "").tolist() == [False, True, False, True, False]
    assert text[0] == text[4] != text[2]


@given(st.lists(st.one_of(st.none(), st.just(float("nan")), st.sampled_from([0.0, 1.0, 2.5])), min_size=1))
def test_a_number_in_any_float_column_is_read_and_the_rest_absent(values):
    arrays = [pa.array(values, pa.float64()), pa.array(values, pa.float64()).dictionary_encode()]
    columns = [pd.Series(pd.arrays.ArrowExtensionArray(array)) for array in arrays]

    for column in [*columns, pd.Series(values, dtype="float64"), pd.Series(values, dtype=object)]:
        read = read_numbers(as_text(column))
        labels, wrong = read_codes(as_text(column), positive=[1], negative=None)

        expected = np.array([np.nan if value is None else value for value in values])
        np.testing.assert_array_equal(read.values, expected)
        np.testing.assert_array_equal(labels, np.where(np.isnan(expected), np.nan, expected == 1))
        assert not read.wrong.any()
        assert not wrong.any()


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
