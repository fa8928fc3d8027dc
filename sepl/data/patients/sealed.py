"""The patients who have ever been tested, so that no later preparation trains on them.

A small JSON file of keyed hashes: it says of a patient who is shown to it whether they are sealed, and nothing else.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError

from sepl.data.patients.pseudonyms import Pseudonyms
from sepl.errors import ConfigError, DatasetError
from sepl.settings import Settings
from sepl.storage import Location

SEALED_FILE = "sealed.json"
"""Usual name, in a prepared dataset."""

_CHECK = "the patient key of this file"


class _SealFile(Settings):
    format: Literal[1] = 1
    key_check: Annotated[str, Field(pattern=r"^[0-9a-f]{20}$")]
    """Keyed hash of a fixed text: tells whether a key is the one that the patients were sealed with."""
    sealed: tuple[Annotated[str, Field(pattern=r"^[0-9a-f]{20}$")], ...]


@dataclass(frozen=True)
class SealedPatients:
    """Who has been tested, under one patient key."""

    pseudonyms: Pseudonyms
    seals: frozenset[str] = frozenset()

    @classmethod
    def read(cls, place: Location, pseudonyms: Pseudonyms) -> Self:
        """Those of the file at `place`; nobody where there is none.

        Raises ConfigError when they were sealed with another key, with which they would pass for new patients, and
        DatasetError when the file is damaged.
        """
        if not place.exists():
            return cls(pseudonyms)
        try:
            content = _SealFile.model_validate_json(place.read_bytes())
        except ValidationError:  # what stands there is not shown: it may be an id that somebody wrote by hand
            raise DatasetError(
                f"{place.uri} should be a list of sealed patients, is damaged or something else; put it back from a "
                "backup: without it, patients who were tested may be trained on"
            ) from None
        if content.key_check != pseudonyms.of(_CHECK, "seal"):
            raise ConfigError(
                f"{place.uri}: the patients here were sealed with another patient key, so this one would unseal them; "
                "give the key they were sealed with, or another place to start afresh"
            )
        return cls(pseudonyms, frozenset(content.sealed))

    def among(self, patients: Iterable[str]) -> frozenset[str]:
        """Those of these patients who are sealed."""
        return frozenset(patient for patient in set(patients) if self.pseudonyms.of(patient, "seal") in self.seals)

    def with_patients(self, patients: Iterable[str]) -> Self:
        """These patients sealed as well; a seal is never taken off."""
        added = {self.pseudonyms.of(patient, "seal") for patient in set(patients)}
        return replace(self, seals=self.seals | added)

    def write(self, place: Location) -> None:
        """The same bytes for the same patients."""
        content = _SealFile(key_check=self.pseudonyms.of(_CHECK, "seal"), sealed=tuple(sorted(self.seals)))
        place.write_bytes((content.model_dump_json(indent=1) + "\n").encode())
