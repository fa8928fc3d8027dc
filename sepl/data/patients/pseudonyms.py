"""Pseudonyms: what a prepared dataset calls its patients and photographs.

A pseudonym is a keyed hash. Without the key nobody can try out which patient it belongs to; with the same key the same
patient has the same pseudonym in every dataset of a team, so the key is worth a backup and belongs in no repository.
"""

import hmac
import os
import re
import secrets
import tempfile
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Self

from sepl.data.file_names import printable
from sepl.errors import ConfigError, StorageError

KEY_VARIABLE = "SEPL_PATIENT_KEY"
KEY_FILE = "patient.key"
"""Usual name of the key's file, beside cohort.toml."""

PseudonymKind = Literal["patient", "image", "seal"]

_KEY_BYTES = 32
_PSEUDONYM_DIGITS = 20  # 80 bits: in ten million patients two alike are not to be expected (1 in 10¹⁰)
_HEX_KEY = re.compile(rf"[0-9a-fA-F]{{{2 * _KEY_BYTES}}}")
_PUBLIC_KEY = bytes(_KEY_BYTES)


@dataclass(frozen=True)
class Pseudonyms:
    """Names by a secret key. Carries the key, which neither its text form nor any error shows."""

    key: bytes = field(repr=False)
    keeps_ids: bool = False
    """True when `of` gives ids as they are."""

    @classmethod
    def load(cls, place: Path) -> Self:
        """By the key of $SEPL_PATIENT_KEY (64 hexadecimal digits), else of the file at `place`, made if there is none.

        A file that is made can be read by its owner alone; one that is there is never written. Raises ConfigError when
        either holds no key, StorageError when the file can be neither read nor made.
        """
        given = os.environ.get(KEY_VARIABLE, "").strip()
        if given:
            return cls(_parse_key(given, f"${KEY_VARIABLE}"))
        if not os.path.lexists(place):
            _create(place)
        return cls(_parse_key(_read(place), str(place)))

    @classmethod
    def none(cls) -> Self:
        """Keeps ids as they are. There is no secret then: seals are made with a key that everybody knows."""
        return cls(_PUBLIC_KEY, keeps_ids=True)

    def keeping_ids(self) -> Self:
        """Keeps ids as they are, seals with the same key."""
        return replace(self, keeps_ids=True)

    def of(self, text: str, kind: PseudonymKind = "patient") -> str:
        """The pseudonym of an id or an image's name: 20 hexadecimal digits of HMAC-SHA256; another for each kind.

        Seals (`sepl.data.patients.sealed`) are pseudonyms even where ids are kept.
        """
        if self.keeps_ids and kind != "seal":
            return printable(text)
        message = f"{kind}\0{text}".encode("utf-8", "surrogatepass")  # a file name may hold bytes that are no UTF-8
        return hmac.digest(self.key, message, "sha256").hex()[:_PSEUDONYM_DIGITS]


def _parse_key(text: str, where: str) -> bytes:
    if not _HEX_KEY.fullmatch(text):
        raise ConfigError(
            f"{where} should hold a patient key, {2 * _KEY_BYTES} hexadecimal digits, but is damaged or something else "
            f"({len(text)} characters); put the key back from a backup: with another one, patients get other pseudonyms"
        )
    return bytes.fromhex(text)


def _read(place: Path) -> str:
    try:
        return place.read_text(encoding="ascii", errors="replace").strip()
    except OSError as problem:
        raise StorageError(f"cannot read the patient key {place}: {problem.strerror}") from None


def _create(place: Path) -> None:
    """Never over another: of two processes that make a key together, both go on with the first one's."""
    try:
        with tempfile.TemporaryDirectory(prefix=f".{place.name}-", dir=place.parent) as folder:
            staging = Path(folder) / "key"
            _write_new(staging, secrets.token_hex(_KEY_BYTES) + "\n")
            _move(staging, place)
    except FileExistsError:
        pass
    except OSError as problem:
        raise StorageError(
            f"cannot make the patient key {place}: {problem.strerror}; give one in ${KEY_VARIABLE}"
        ) from None


def _move(staging: Path, place: Path) -> None:
    """A second name for a finished file, which fails where there is a file, unlike a rename."""
    try:
        place.hardlink_to(staging)
    except FileExistsError:
        raise
    except OSError:  # a disk without links, such as many a network share
        _write_new(place, staging.read_text(encoding="ascii"))


def _write_new(path: Path, text: str) -> None:
    """Readable by its owner alone; FileExistsError where there is a file."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
