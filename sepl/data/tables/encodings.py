"""Which encoding a text file is in: told by its byte order mark, by being valid UTF-8, or by its national letters."""

import codecs
import re
from pathlib import Path

from charset_normalizer import from_bytes

_BYTE_ORDER_MARKS = (  # the longer first: UTF-32's begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NATIONAL = ["cp1250", "cp1251", "cp1252", "cp949", "cp932", "gb18030", "big5"]
_MOST_LINES = 500
"""Lines with letters beyond ASCII that tell an encoding."""


def find_encoding(path: Path) -> str:
    """The encoding of a text file: by its byte order mark, UTF-8 when it is valid, else by its national letters."""
    with path.open("rb") as stream:
        start = stream.read(4096)
    for mark, encoding in _BYTE_ORDER_MARKS:
        if start.startswith(mark):
            return encoding
    if zeros := start.count(0):
        if zeros < len(start) // 4:
            raise ValueError("it is not text")
        return "utf-16-le" if start[1:2] == b"\0" else "utf-16-be"
    lines = _foreign_lines(path)
    try:
        for line in lines:
            line.decode("utf-8")
    except UnicodeDecodeError:
        return _national_encoding(b"".join(lines))
    return "utf-8"


def _foreign_lines(path: Path) -> list[bytes]:
    """Lines with bytes beyond ASCII; the first that are not UTF-8 come with the first that are."""
    valid: list[bytes] = []
    invalid: list[bytes] = []
    with path.open("rb") as stream:
        for line in stream:
            if line.isascii() or len(invalid) >= _MOST_LINES:
                continue
            kind = valid if _is_utf8(line) else invalid
            if len(kind) < _MOST_LINES:
                kind.append(line)
    return valid + invalid if invalid else []


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _national_encoding(text: bytes) -> str:
    """Western letters stand alone between ASCII ones; where they do not, statistics of languages decide."""
    if not re.search(rb"[\x80-\xff]{2}", text):
        return "cp1252" if _decodes(text, "cp1252") else "iso-8859-1"
    best = from_bytes(text, cp_isolation=_NATIONAL).best()
    return best.encoding if best is not None else "iso-8859-1"


def _decodes(text: bytes, encoding: str) -> bool:
    try:
        text.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True
