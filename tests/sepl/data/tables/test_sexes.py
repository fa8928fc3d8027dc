import re

import numpy as np
import pandas as pd
import pytest
from cohort_files import read_files

from sepl.data.tables.sexes import PAIRS, read_sexes
from sepl.errors import CohortError

TOML = 'name = "s"\ntable = "t.csv"\n[tasks.sex]\ncolumn = "sex"\n'


def cells(*texts):
    return pd.Series(list(texts), dtype=object)


def table(*sexes):
    return "image,patient,sex\n" + "".join(f"{index}.jpg,{index},{sex}\n" for index, sex in enumerate(sexes))


def read_in_two_ways(pair):
    """D is also Germany's divers, beside whatever letter."""
    letters = {pair.males[0], pair.females[0]}
    return (
        "d" in letters
        or len(
            {tuple(other.senses[letter] for letter in sorted(letters)) for other in PAIRS if letters <= {*other.senses}}
        )
        > 1
    )


@pytest.mark.parametrize("pair", PAIRS, ids=str)
def test_a_languages_own_pair_is_read_whatever_its_case_or_is_open(pair):
    male, female = pair.males[0], pair.females[0]
    text = cells(male, female.upper(), f"{male.upper()}.")

    if read_in_two_ways(pair):
        with pytest.raises(ValueError, match="and"):
            read_sexes(text)
        return
    labels, wrong = read_sexes(text)

    assert labels.tolist() == [1, 0, 1]
    assert not wrong.any()


@pytest.mark.parametrize("word", sorted({word for pair in PAIRS for word in pair.senses if len(word) > 1}))
def test_a_whole_word_means_the_same_in_every_language(word):
    meant = {pair.senses[word] for pair in PAIRS if word in pair.senses}

    assert len(meant) == 1
    assert read_sexes(cells(word))[0].tolist() == list(meant)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (("M", "F"), [1, 0]),
        (("H", "M", "M"), [1, 0, 0]),
        (("H", "F"), [1, 0]),
        (("M", "V.", "Man", "vrouw"), [1, 0, 1, 0]),
        (("M", "K"), [1, 0]),
        (("E", "K"), [1, 0]),
        (("F", "N"), [1, 0]),
        (("M", "N"), [1, 0]),
        (("m", "w", "d"), [1, 0, np.nan]),
        (("M", "F", "U"), [1, 0, np.nan]),
        (("M", "F", "Frau", "male"), [1, 0, 0, 1]),
        (("M", "Male", "female"), [1, 1, 0]),
        (("M", "F", "w", "K"), [1, 0, 0, 0]),
        (("M", "Frau", "kobieta"), [1, 0, 0]),
        (("Männlich", "Weiblich"), [1, 0]),
        (("Z\u030cena", "muž"), [0, 1]),
        (("Hombre", "Mujer"), [1, 0]),
        (("1", "0", "1.0"), [1, 0, 1]),
        (("1", "2", "2.0", "9"), [1, 0, 0, np.nan]),
        (("남", "여"), [1, 0]),
        (("Homme", "unknown", ""), [1, np.nan, np.nan]),
        (("unknown", "U"), [np.nan, np.nan]),
        (("True", "False"), [1, 0]),
    ],
)
def test_columns_of_sex(texts, expected):
    labels, wrong = read_sexes(cells(*texts))

    np.testing.assert_array_equal(labels, expected)
    assert not wrong.any()


@pytest.mark.parametrize(
    ("texts", "readings"),
    [
        (("M",), "M, which is male in English (M, F) and female in Spanish (H, M)"),
        (("F",), "F, which is female in English (M, F) and male in Hungarian (F, N)"),
        (("M", "V"), "M, which is female in Spanish (V, M) and male in Dutch (M, V)"),
        (("H", "M", "F"), "M, which is male in English (M, F) and female in Spanish (H, M)"),
        (("M", "F", "V"), "M, which is male in English (M, F) and female in Spanish (V, M)"),
        (("M", "F", "N"), "F, which is female in English (M, F) and male in Hungarian (F, N)"),
        (("hombre", "M"), "M, which is female in Spanish (H, M) and male in Spanish (M, F)"),
        (("H", "D"), "D, which is female in Catalan (H, D) and unknown in other languages"),
        (("U", "D"), "D, which is female in Italian (U, D) and unknown in other languages"),
    ],
)
def test_a_column_that_is_read_in_two_ways_is_not_read(texts, readings):
    with pytest.raises(ValueError, match=re.escape(f"holds {readings}; say male = […] and female = […]")):
        read_sexes(cells(*texts))


@pytest.mark.parametrize(
    ("texts", "options", "expected"),
    [
        (("M", "V"), {"female": ["M"]}, [0, 1]),
        (("M", "V"), {"female": ["v"]}, [1, 0]),
        (("M", "V"), {"male": ["M"]}, [1, 0]),
        (("M",), {"male": ["m."]}, [1]),
        (("M", "H", "F"), {"male": ["H", "M"], "female": ["F"]}, [1, 1, 0]),
        (("H", "D", "X"), {"female": ["D"]}, [1, 0, np.nan]),
        (("0", "1"), {"female": [1], "male": [0]}, [1, 0]),
        (("0", "1", "2", ""), {"female": [2], "male": [1]}, [np.nan, 1, 0, np.nan]),
        (("nam", "nữ"), {"female": ["nữ"], "male": ["nam"]}, [1, 0]),
    ],
)
def test_what_is_said_settles_it(texts, options, expected):
    np.testing.assert_array_equal(read_sexes(cells(*texts), **options)[0], expected)


def test_a_number_whose_fellow_alone_is_said_is_wrong():
    _, wrong = read_sexes(cells("0", "1", "2"), female=[2], male=[1])

    assert wrong.tolist() == [True, False, False]


def test_a_sentinel_beside_one_and_two_is_declared():
    labels, _ = read_sexes(cells("0", "1", "2"), missing=[0])

    np.testing.assert_array_equal(labels, [np.nan, 1, 0])


def test_zero_beside_one_and_two_is_open():
    with pytest.raises(ValueError, match="holds 0, 1 and 2"):
        read_sexes(cells("0", "1", "2"))


@pytest.mark.parametrize("text", ["MF", "3", "Robin", "2-"])
def test_no_sex_is_wrong(text):
    labels, wrong = read_sexes(cells(text, "male"))

    assert np.isnan(labels[0])
    assert wrong.tolist() == [True, False]


def test_h_and_m_of_a_cohort_are_hombre_and_mujer(tmp_path):
    cohort = read_files(tmp_path, cohort_toml=TOML, t_csv=table("H", "M", "M", "H"))

    assert cohort.labels_NT[:, 0].tolist() == [1, 0, 0, 1]


def test_a_cohort_whose_sex_is_open_stops_and_its_file_settles_it(tmp_path):
    with pytest.raises(CohortError, match=r"t.csv, column 'sex' holds M, which is female in Spanish .* male in Dutch"):
        read_files(tmp_path, cohort_toml=TOML, t_csv=table("M", "V"))

    cohort = read_files(tmp_path, cohort_toml=TOML + 'female = "V"\n', t_csv=table("M", "V"))

    assert cohort.labels_NT[:, 0].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        (TOML + 'female = "M"\npositive = "H"\n', "male and female are for sex, without positive and negative"),
        (TOML.replace("tasks.sex", "tasks.age") + 'male = "M"\n', "male and female are for sex"),
        (TOML + 'female = "M"\nmale = ["m"]\n', "a spelling should be in male or in female, 'm' was in both"),
    ],
)
def test_sexes_are_said_of_sex_alone_and_once(tmp_path, toml, message):
    with pytest.raises(CohortError, match=message):
        read_files(tmp_path, cohort_toml=toml, t_csv=table("M"))
