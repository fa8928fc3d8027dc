"""The eye in any usual spelling of some twenty languages."""

import re

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from sepl.data.values import each, is_absent

_RIGHT = "r od re right rechts rechtes droit droite d derecho derecha destro destra dx ad dexter правый 右 右眼 우 우안"
_LEFT = (
    "l os le left links linkes gauche g og izquierdo izquierda i oi sinistro sinistra s sn sin sinister levý левый "
    "左 左眼 좌 좌안"
)
_EYE = frozenset({"eye", "auge", "œil", "oeil", "ojo", "olho", "occhio", "oog", "oko"})
EYES = {**dict.fromkeys(_RIGHT.split(), "right"), **dict.fromkeys(_LEFT.split(), "left")}


def read_eyes(text: "pd.Series") -> tuple[NDArray[np.object_], NDArray[np.bool_]]:
    """'left', 'right' or '' (N,); and where a filled cell is neither."""

    def eye(cell: str) -> str:
        words = [word for word in re.split(r"[\s._-]+", cell.lower()) if word not in _EYE]
        return EYES.get("".join(words), "")

    eyes = each(text, eye, np.object_)
    return eyes, (eyes == "") & ~is_absent(text)
