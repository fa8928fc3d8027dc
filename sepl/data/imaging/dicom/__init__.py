"""DICOM, read by its bytes."""

from typing import TYPE_CHECKING

from sepl.lazy import lazy_face

__all__ = ["DicomFacts", "PixelLayout", "decode_frame", "is_dicom", "read_elements", "read_facts", "read_layout"]

if TYPE_CHECKING:
    from sepl.data.imaging.dicom.elements import read_elements
    from sepl.data.imaging.dicom.facts import DicomFacts, is_dicom, read_facts
    from sepl.data.imaging.dicom.layout import PixelLayout, read_layout
    from sepl.data.imaging.dicom.pixels import decode_frame
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "elements": ["read_elements"],
            "facts": ["DicomFacts", "is_dicom", "read_facts"],
            "layout": ["PixelLayout", "read_layout"],
            "pixels": ["decode_frame"],
        },
    )
