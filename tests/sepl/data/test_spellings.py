import numpy as np
import pandas as pd
import pytest

from sepl.data.spellings import EYES, SEXES, read_eyes, read_sexes


def cells(*texts):
    return pd.Series(list(texts), dtype=object)


@pytest.mark.parametrize("spelling", SEXES)
def test_every_spelling_of_sex_is_known_whatever_its_case(spelling):
    labels, wrong = read_sexes(cells(spelling, spelling.upper(), f"{spelling}."))

    assert labels.tolist() == [SEXES[spelling]] * 3
    assert not wrong.any()


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (("M", "F"), [1, 0]),
        (("Männlich", "Weiblich"), [1, 0]),
        (("1", "0", "1.0"), [1, 0, 1]),
        (("1", "2", "2.0", "9"), [1, 0, 0, np.nan]),
        (("남", "여"), [1, 0]),
        (("Homme", "unknown", ""), [1, np.nan, np.nan]),
    ],
)
def test_columns_of_sex(texts, expected):
    labels, wrong = read_sexes(cells(*texts))

    np.testing.assert_array_equal(labels, expected)
    assert not wrong.any()


def test_a_sentinel_beside_one_and_two_is_declared():
    labels, _ = read_sexes(cells("0", "1", "2"), missing=[0])

    np.testing.assert_array_equal(labels, [np.nan, 1, 0])


def test_zero_beside_one_and_two_is_open():
    with pytest.raises(ValueError, match="holds 0, 1 and 2"):
        read_sexes(cells("0", "1", "2"))


@pytest.mark.parametrize("text", ["MF", "3", "Robin", "2-"])
def test_no_sex_is_wrong(text):
    labels, wrong = read_sexes(cells(text, "M"))

    assert np.isnan(labels[0])
    assert wrong.tolist() == [True, False]


@pytest.mark.parametrize("spelling", EYES)
def test_every_spelling_of_an_eye_is_known(spelling):
    eyes, wrong = read_eyes(cells(spelling, spelling.upper()))

    assert eyes.tolist() == [EYES[spelling]] * 2
    assert not wrong.any()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Right eye", "right"),
        ("O.D.", "right"),
        ("linkes Auge", "left"),
        ("œil droit", "right"),
        ("LEFT_EYE", "left"),
        ("OU", ""),
        ("0", ""),
    ],
)
def test_eyes_in_words(text, expected):
    assert read_eyes(cells(text))[0].tolist() == [expected]


def test_an_absent_eye_is_not_wrong():
    eyes, wrong = read_eyes(cells("", "NA", "both"))

    assert eyes.tolist() == ["", "", ""]
    assert wrong.tolist() == [False, False, True]
