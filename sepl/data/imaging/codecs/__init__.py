"""Coded samples: streams are checked, then decoded."""

from typing import TYPE_CHECKING

from sepl.lazy import lazy_face

__all__ = ["Samples", "decode_jpeg", "decode_jpeg_2000", "decode_png", "decode_rle", "decode_tiff", "unpack"]

if TYPE_CHECKING:
    from sepl.data.imaging.codecs.decoders import Samples, decode_jpeg, decode_jpeg_2000, decode_rle
    from sepl.data.imaging.codecs.opencv import unpack
    from sepl.data.imaging.codecs.png_pixels import decode_png
    from sepl.data.imaging.codecs.tiff_pixels import decode_tiff
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "decoders": ["Samples", "decode_jpeg", "decode_jpeg_2000", "decode_rle"],
            "opencv": ["unpack"],
            "png_pixels": ["decode_png"],
            "tiff_pixels": ["decode_tiff"],
        },
    )
