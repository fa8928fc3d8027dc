"""Why a photograph is not used, as a value: what decides looks at its kind, and only people read its sentence."""

from dataclasses import dataclass
from typing import Self

from sepl.errors import ImageError

NOT_FOUND = "file not found"
NOT_OPENED = "cannot be opened"
"""Of a file that is there and cannot be read; it is tried again in the next run."""
NO_FIELD_OF_VIEW = "no field of view"
NOT_GRADEABLE = "not gradeable"

PICTURES_OF_NO_RETINA = (NO_FIELD_OF_VIEW, NOT_GRADEABLE)
"""There were pixels, and they were judged: scoring says rejected of these, failed of all others."""


@dataclass(frozen=True)
class Refusal:
    """Why one photograph is not used."""

    kind: str
    """What is counted together, as "damaged TIFF"."""
    detail: str = ""
    """More of it for people, with the numbers; "" where the kind says it all."""
    topic: str = ""
    """What within a kind is shown together: the measure of one that is not gradeable."""

    @classmethod
    def of(cls, problem: ImageError) -> Self:
        """Of a photograph that could not be decoded."""
        return cls(problem.kind, problem.detail)

    @property
    def group(self) -> str:
        """Kind and topic, as "not gradeable: sharpness"."""
        return f"{self.kind}: {self.topic}" if self.topic else self.kind

    def __str__(self) -> str:
        """The sentence: "not gradeable: sharpness 0.02 below 0.4"."""
        return f"{self.kind}: {self.detail}" if self.detail else self.kind
