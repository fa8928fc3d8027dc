"""How a file's name is shown, and how the names of one file are told to be one."""

import re
from unicodedata import normalize

_ESCAPED = re.compile("[\udc80-\udcff]")


def printable(name: str) -> str:
    """A file's name as it can be written and shown: bytes that are no UTF-8 as \\xff."""
    shown = _ESCAPED.sub(lambda match: f"\\x{ord(match[0]) - 0xDC00:02x}", name)
    return shown.encode("utf-8", "backslashreplace").decode()


def in_one_form(name: str) -> str:
    """The same for a name in composed and in decomposed letters, as a Mac writes it."""
    return normalize("NFC", name)


def other_forms(name: str) -> list[str]:
    """The same name in composed and in decomposed letters, where these are others."""
    return [form for form in (normalize("NFC", name), normalize("NFD", name)) if form != name]
