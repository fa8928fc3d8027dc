import pandas as pd
import pytest

from sepl.data.tables.spellings import EYES, read_eyes


def cells(*texts):
    return pd.Series(list(texts), dtype=object)


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
        ("Vänster öga", "left"),
        ("O.E.", "left"),
        ("Leve\u0301", "left"),
        ("0", ""),
    ],
)
def test_eyes_in_words(text, expected):
    assert read_eyes(cells(text))[0].tolist() == [expected]


def test_an_absent_eye_is_not_wrong():
    eyes, wrong = read_eyes(cells("", "NA", "both"))

    assert eyes.tolist() == ["", "", ""]
    assert wrong.tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (("OS", "VS"), ["", ""]),
        (("L", "K", "left"), ["", "", "left"]),
        (("S", "sol", "sağ"), ["", "left", "right"]),
        (("I", "II"), ["", ""]),
        (("OD", "OS"), ["right", "left"]),
        (("D", "S", "I", "G", "E"), ["right", "left", "left", "left", "left"]),
    ],
)
def test_what_means_the_other_eye_in_the_columns_language_is_unknown(texts, expected):
    eyes, wrong = read_eyes(cells(*texts))

    assert eyes.tolist() == expected
    assert wrong.tolist() == [not eye for eye in expected]
