"""The eye in any usual spelling of some twenty languages."""

import re
from collections.abc import Mapping
from unicodedata import normalize

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sepl.data.tables.values import each, is_absent

_RIGHT = (
    "r od re right rechts rechtes ra droit droite d derecho derecha direito direita destro destra dreta dx ad dexter "
    "prawe prawy pravé pravý höger højre høyre oikea sağ jobb op правый 右 右眼 우 우안"
)
_LEFT = (
    "l os le left links linkes la gauche g og izquierdo izquierda i oi esquerdo esquerda e oe sinistro sinistra "
    "esquerra s sn sin sx sinister lewe lewy levé levý vänster venstre vasen sol bal ol левый 左 左眼 좌 좌안"
)
_EYE = frozenset({"eye", "auge", "œil", "oeil", "ojo", "olho", "occhio", "oog", "oko", "ull", "öga", "silmä", "göz"})
EYES = {**dict.fromkeys(_RIGHT.split(), "right"), **dict.fromkeys(_LEFT.split(), "left")}
_OPEN: Mapping[str, frozenset[str]] = {
    "os": frozenset({"vs", "oikea", "vasen"}),  # Finnish: oikea silmä is the right one, vasen silmä the left one
    "l": frozenset({"k", "labā", "laba", "kreisā", "kreisa"}),  # Latvian: labā is right, kreisā left
    "la": frozenset({"ka", "labā", "laba", "kreisā", "kreisa"}),
    "s": frozenset({"sağ", "sag", "sol"}),  # Turkish: both begin with it
    "i": frozenset({"ii"}),  # a number
}
"""What means the other eye, or none, in a column that holds one of these."""


def read_eyes(text: "pd.Series") -> tuple[NDArray[np.object_], NDArray[np.bool_]]:
    """'left', 'right' or '' (N,); and where a filled cell is neither, or means either in the column's language."""
    spelled = {str(cell): _word(str(cell)) for cell in text.unique()}
    words = {*spelled.values()}
    open_words = {word for word, witnesses in _OPEN.items() if witnesses & words}
    eyes = each(text, lambda cell: "" if spelled[cell] in open_words else EYES.get(spelled[cell], ""), np.object_)
    return eyes, (eyes == "") & ~is_absent(text)


def _word(cell: str) -> str:
    """Without the word for eye, points and spaces."""
    parts = re.split(r"[\s._-]+", normalize("NFKC", cell).lower())
    return "".join(part for part in parts if part not in _EYE)
