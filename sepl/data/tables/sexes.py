"""Sex in the usual spellings of some twenty languages, read only where the whole column says in which way.

M is male beside F, female beside H (hombre, mujer), and either beside V. A column is therefore read as the pairs of
spellings that hold all of it read it, a mixed one as those do of which it has both sides, and not at all where two of
these read it differently.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from unicodedata import normalize

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sepl.data.tables.values import Code, each, is_absent, key_of

Word = str | float
"""As `_word` spells a cell: small letters without a point, or a number."""
Senses = Mapping[str, float]


@dataclass(frozen=True)
class Pair:
    """What one language calls male and female; the first of each is its letter."""

    language: str
    males: tuple[str, ...]
    females: tuple[str, ...]

    @property
    def senses(self) -> Senses:
        return dict.fromkeys(self.males, 1.0) | dict.fromkeys(self.females, 0.0)

    def __str__(self) -> str:
        return f"{self.language} ({self.males[0].upper()}, {self.females[0].upper()})"


_SPANISH = "hombre varón varon masculino", "mujer femenino femenina"
_PORTUGUESE = "homem masculino", "mulher feminino feminina"
_ITALIAN = "uomo maschio maschile", "donna femmina femminile"
_FRENCH = "homme masculin", "femme féminin feminin"
_ROWS = (
    ("English", "m male man boy", "f female woman girl"),
    ("English", "m male man men", "w woman women"),
    ("French", f"h {_FRENCH[0]}", f"f {_FRENCH[1]}"),
    ("French", f"m {_FRENCH[0]}", f"f {_FRENCH[1]}"),
    ("German", "m männlich maennlich mann herr", "w weiblich frau"),
    ("Italian", f"m {_ITALIAN[0]}", f"f {_ITALIAN[1]}"),
    ("Italian", f"u {_ITALIAN[0]}", f"d {_ITALIAN[1]}"),
    ("Spanish", f"h {_SPANISH[0]}", f"m {_SPANISH[1]}"),
    ("Spanish", f"v {_SPANISH[0]}", f"m {_SPANISH[1]}"),
    ("Spanish", f"m {_SPANISH[0]}", f"f {_SPANISH[1]}"),
    ("Portuguese", f"h {_PORTUGUESE[0]}", f"m {_PORTUGUESE[1]}"),
    ("Portuguese", f"m {_PORTUGUESE[0]}", f"f {_PORTUGUESE[1]}"),
    ("Catalan", "h home", "d dona"),
    ("Romanian", "b bărbat barbat", "f femeie"),
    ("Dutch", "m man", "v vrouw"),
    ("Swedish", "m man", "k kvinna"),
    ("Danish", "m mand", "k kvinde"),
    ("Norwegian", "m mann", "k kvinne"),
    ("Finnish", "m mies", "n nainen"),
    ("Estonian", "m mees", "n naine"),
    ("Latvian", "v vīrietis virietis", "s sieviete"),
    ("Lithuanian", "v vyras", "m moteris"),
    ("Polish", "m mężczyzna mezczyzna", "k kobieta"),
    ("Czech", "m muž muz", "ž z žena zena"),
    ("Hungarian", "f férfi ferfi", "n nő"),
    ("Turkish", "e erkek", "k kadın kadin"),
    ("Russian", "м муж мужской мужчина", "ж жен женский женщина"),
    ("Chinese", "男 男性", "女 女性"),
    ("Korean", "남 남자 남성", "여 여자 여성"),
    ("truth values", "true", "false"),
)
PAIRS = tuple(Pair(language, tuple(males.split()), tuple(females.split())) for language, males, females in _ROWS)
"""1 is male. Numbers 1 and 2 are read as ISO 5218 (2 female) where a column holds 2; see `read_sexes`."""
_UNKNOWN = frozenset({"u", "unk", "unknown", "o", "other", "d", "divers", "x", "unbekannt", "inconnu"})
_NO_SEX = float("nan")


def read_sexes(
    text: "pd.Series", missing: Sequence[Code] = (), male: Sequence[Code] = (), female: Sequence[Code] = ()
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """1 male, 0 female, NaN where absent or said to be unknown; and what is wrong.

    `male` and `female` are spellings whose meaning is said; others are read as goes with them. A column of 1 and 2 is
    read as ISO 5218 (1 male, 2 female, 9 not applicable). Raises ValueError for one that can be read in two ways,
    naming both, and for one that holds 0 beside 1 and 2: there 0 may be female or not known.
    """
    told = dict.fromkeys(map(_word, male), 1.0) | dict.fromkeys(map(_word, female), 0.0)
    absent = is_absent(text, missing)
    cells = {_word(cell) for cell in text[~absent].unique()}
    senses: dict[Word, float] = {**_numbers(cells, told), **_words(cells, told), **told}
    labels = each(text, lambda cell: senses.get(_word(cell), np.inf), np.float64)
    labels[absent] = np.nan
    wrong = np.isinf(labels)
    labels[wrong] = np.nan
    return labels, wrong


def _word(value: Code) -> Word:
    key = key_of(value)
    return normalize("NFKC", key).rstrip(".") if isinstance(key, str) else key


def _numbers(cells: Iterable[Word], told: Mapping[Word, float]) -> dict[Word, float]:
    """Nothing where the meaning of any number is said: the others' usual one need not go with it."""
    numbers = {cell for cell in cells if isinstance(cell, float)}
    if any(isinstance(word, float) for word in told):
        return {}
    if {0.0, 1.0, 2.0} <= numbers:
        raise ValueError("holds 0, 1 and 2; say which of them is male and which female")
    return {1.0: 1.0, 2.0: 0.0, 9.0: _NO_SEX} if 2.0 in numbers else {0.0: 0.0, 1.0: 1.0}


def _words(cells: Iterable[Word], told: Mapping[Word, float]) -> dict[str, float]:
    """What each spelling of the column means that a language knows. Raises ValueError where two disagree."""
    pairs = [pair for pair in PAIRS if all(told.get(word, sense) == sense for word, sense in pair.senses.items())]
    meant = {word for pair in PAIRS for word in pair.senses} | _UNKNOWN
    words = {cell for cell in cells if isinstance(cell, str)} & meant
    open_words = words - told.keys()
    if open_words <= _UNKNOWN and not any(_is_two_sided(pair, words) for pair in pairs):
        return dict.fromkeys(_UNKNOWN, _NO_SEX)
    both = [pair for pair in pairs if _is_two_sided(pair, words)]
    holding = _holding(pairs, words) or _holding(pairs, open_words) or both or pairs
    return dict.fromkeys(_UNKNOWN, _NO_SEX) | {word: _sense(word, holding, pairs) for word in sorted(open_words)}


def _holding(pairs: Sequence[Pair], words: set[str]) -> list[Pair]:
    return [pair for pair in pairs if words <= pair.senses.keys() | _UNKNOWN]


def _is_two_sided(pair: Pair, words: set[str]) -> bool:
    return not (words.isdisjoint(pair.males) or words.isdisjoint(pair.females))


def _sense(word: str, holding: Sequence[Pair], pairs: Sequence[Pair]) -> float:
    """The word's meaning in the pairs that explain the column, else in any."""
    senses = _senses_of(word, holding)
    if word in _UNKNOWN and any(word not in pair.senses for pair in holding):
        senses["unknown"] = "other languages"
    senses = senses or _senses_of(word, pairs)
    if len(senses) > 1:
        both = " and ".join(f"{sense} in {where}" for sense, where in senses.items())
        raise ValueError(f"holds {word.upper()}, which is {both}; say male = […] and female = […]")
    return {"male": 1.0, "female": 0.0}.get(next(iter(senses), ""), _NO_SEX)


def _senses_of(word: str, pairs: Sequence[Pair]) -> dict[str, str]:
    """By sense, the first language that has it."""
    senses: dict[str, str] = {}
    for pair in pairs:
        if word in pair.senses:
            senses.setdefault("male" if pair.senses[word] else "female", str(pair))
    return senses
