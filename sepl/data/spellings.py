"""Sex and eye in any usual spelling of a dozen languages."""

import re
from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sepl.data.values import Code, each, is_absent, key_of

_MALE = (
    "true m male man boy h homme masculin männlich maennlich mann herr maschio masculino hombre homem varon varón "
    "mężczyzna mezczyzna muž muz férfi ferfi erkek e муж мужской м мужчина 男 男性 남 남자 남성"
)
_FEMALE = (
    "false f female woman girl w femme féminin feminin weiblich frau femmina femminile femenino feminino mujer "
    "mulher kobieta k žena zena kvinna kvinde kvinne vrouw v nő kadın kadin жен женский ж женщина 女 女性 여 여자 여성"
)
SEXES = {**dict.fromkeys(_MALE.split(), 1.0), **dict.fromkeys(_FEMALE.split(), 0.0)}
"""1 is male. Numbers 1 and 2 are read as ISO 5218 (2 female) where a column holds 2; see `read_sexes`."""
_SEX_UNKNOWN: frozenset[str | float] = frozenset(
    {"u", "unk", "unknown", "o", "other", "d", "divers", "x", "unbekannt", "inconnu"}
)

_RIGHT = "r od re right rechts rechtes droit droite d derecho derecha destro destra dx ad dexter правый 右 右眼 우 우안"
_LEFT = (
    "l os le left links linkes gauche g og izquierdo izquierda i oi sinistro sinistra s sn sin sinister levý левый "
    "左 左眼 좌 좌안"
)
_EYE = frozenset({"eye", "auge", "œil", "oeil", "ojo", "olho", "occhio", "oog", "oko"})
EYES = {**dict.fromkeys(_RIGHT.split(), "right"), **dict.fromkeys(_LEFT.split(), "left")}


def read_sexes(text: "pd.Series", missing: Sequence[Code] = ()) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """1 male, 0 female, NaN where absent or said to be unknown; and what is wrong.

    A column of 1 and 2 is read as ISO 5218 (1 male, 2 female, 9 not applicable). Raises ValueError for one that holds 0
    beside 1 and 2: there 0 may be female or not known.
    """
    found = {key_of(cell) for cell in text.unique()} - {key_of(code) for code in missing}
    if {0.0, 1.0, 2.0} <= found:
        raise ValueError("holds 0, 1 and 2; say which of them is male (positive) and which female (negative)")
    coded = {2.0: 0.0, 1.0: 1.0} if 2.0 in found else {0.0: 0.0, 1.0: 1.0}

    def label(cell: str) -> float:
        key = key_of(cell)
        return coded.get(key, np.nan) if not isinstance(key, str) else SEXES.get(key.rstrip("."), np.nan)

    labels = each(text, label, np.float64)
    unknown = {*_SEX_UNKNOWN, 9.0} if 2.0 in found else _SEX_UNKNOWN
    absent = is_absent(text, missing) | each(text, lambda cell: key_of(cell) in unknown, np.bool_)
    labels[absent] = np.nan
    return labels, np.isnan(labels) & ~absent


def read_eyes(text: "pd.Series") -> tuple[NDArray[np.object_], NDArray[np.bool_]]:
    """'left', 'right' or '' (N,); and where a filled cell is neither."""

    def eye(cell: str) -> str:
        words = [word for word in re.split(r"[\s._-]+", cell.lower()) if word not in _EYE]
        return EYES.get("".join(words), "")

    eyes = each(text, eye, np.object_)
    return eyes, (eyes == "") & ~is_absent(text)
