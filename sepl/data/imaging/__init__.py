"""Bytes of a photograph to the pixels a network sees, and whether they can be graded."""

from typing import TYPE_CHECKING

from sepl.lazy import lazy_face

__all__ = [
    "ImageSpec",
    "Limits",
    "Photograph",
    "QualityMeasures",
    "QualityThresholds",
    "Refusal",
    "examine_photograph",
    "files_below",
    "judge",
    "may_be_photograph",
    "read_photograph",
]

if TYPE_CHECKING:
    from sepl.data.imaging.files import files_below, may_be_photograph
    from sepl.data.imaging.photograph import ImageSpec, Photograph, examine_photograph, read_photograph
    from sepl.data.imaging.quality import Limits, QualityMeasures, QualityThresholds, judge
    from sepl.data.imaging.reasons import Refusal
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "files": ["files_below", "may_be_photograph"],
            "photograph": ["ImageSpec", "Photograph", "examine_photograph", "read_photograph"],
            "quality": ["Limits", "QualityMeasures", "QualityThresholds", "judge"],
            "reasons": ["Refusal"],
        },
    )
