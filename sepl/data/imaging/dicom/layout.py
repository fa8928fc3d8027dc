"""How the frames of a DICOM file are stored, and whether that is a way that we decode."""

from dataclasses import dataclass

from sepl.data.imaging.dicom.elements import (
    DEFLATED,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    NUM_FRAMES,
    Elements,
    read_elements,
)
from sepl.data.imaging.dicom.facts import read_num_frames
from sepl.data.imaging.dicom.frames import EXTENDED_OFFSETS, find_coded_frames, find_plain_frame
from sepl.data.imaging.dicom.shades import SHADE_TAGS
from sepl.errors import ImageError

_SAMPLES, _PHOTOMETRIC, _PLANAR = 0x00280002, 0x00280004, 0x00280006
_ROWS, _COLUMNS = 0x00280010, 0x00280011
_ALLOCATED, _STORED, _HIGH_BIT, _SIGNED = 0x00280100, 0x00280101, 0x00280102, 0x00280103
_TAGS = (
    *(_SAMPLES, _PHOTOMETRIC, _PLANAR, NUM_FRAMES, _ROWS, _COLUMNS, _ALLOCATED, _STORED, _HIGH_BIT, _SIGNED),
    *(EXTENDED_OFFSETS, *SHADE_TAGS),
)

_PLAIN = (IMPLICIT_LITTLE, EXPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED)
_RLE = "1.2.840.10008.1.2.5"
_JPEG_LOSSY = ("1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.51")
_JPEG_LOSSLESS = ("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.70")
_JPEG_LS = ("1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.81")
_JPEG_2000 = tuple(f"1.2.840.10008.1.2.4.{number}" for number in (90, 91, 201, 202, 203))  # the last three: HTJ2K
_GREY = ("MONOCHROME1", "MONOCHROME2")
_PALETTE = "PALETTE COLOR"
_YBR = ("YBR_FULL", "YBR_FULL_422")
_TRANSFORMED = ("YBR_RCT", "YBR_ICT")  # by JPEG 2000's own component transform


@dataclass(frozen=True)
class PixelLayout:
    """How the frames of a file are stored. Sizes in pixels."""

    elements: Elements
    width: int
    height: int
    num_frames: int
    photometric: str
    num_samples: int
    is_planar: bool
    bits_allocated: int
    bits_stored: int
    high_bit: int
    is_signed: bool

    @property
    def is_plain(self) -> bool:
        """Whether the pixels are uncompressed."""
        return self.elements.syntax in _PLAIN

    @property
    def is_rle(self) -> bool:
        return self.elements.syntax == _RLE

    @property
    def is_jpeg_2000(self) -> bool:
        return self.elements.syntax in _JPEG_2000

    @property
    def is_ybr(self) -> bool:
        """Whether samples as stored are Y, Cb, Cr, by the header."""
        return self.photometric in _YBR

    @property
    def is_palette(self) -> bool:
        return self.photometric == _PALETTE

    @property
    def can_reduce(self) -> bool:
        """Whether frames can be decoded at a half, a quarter or an eighth of their size."""
        return self.elements.syntax in _JPEG_LOSSY and self.bits_stored == 8 and not self.is_palette

    @property
    def is_subsampled(self) -> bool:
        """Whether two uncompressed pixels share their chroma. Many writers keep the name after they undid it."""
        whole = 3 * self.width * self.height * self.num_frames
        return self.is_plain and self.photometric == "YBR_FULL_422" and self.elements.pixels_length < whole

    @property
    def frame_size(self) -> int:
        """Bytes of an uncompressed frame."""
        samples_per_pixel = 2 if self.is_subsampled else self.num_samples
        return self.width * self.height * samples_per_pixel * self.bits_allocated // 8


def read_layout(source: bytes) -> PixelLayout:
    """The layout of a DICOM file's pixels. Raises ImageError when it has none, or none of a kind that we decode."""
    elements = read_elements(source, _TAGS)
    if not elements.pixels_start:
        raise ImageError("no pixels", "the file holds no pixel data")
    photometric = elements.text(_PHOTOMETRIC).upper()
    allocated = elements.number(_ALLOCATED, 8)
    stored = elements.number(_STORED, allocated)
    layout = PixelLayout(
        elements=elements,
        width=elements.number(_COLUMNS, 0),
        height=elements.number(_ROWS, 0),
        num_frames=read_num_frames(elements),
        photometric=photometric,
        num_samples=elements.number(_SAMPLES, 1),
        is_planar=elements.number(_PLANAR, 0) == 1,
        bits_allocated=allocated,
        bits_stored=stored,
        high_bit=elements.number(_HIGH_BIT, stored - 1),
        is_signed=elements.number(_SIGNED, 0) == 1,
    )
    _check(layout)
    return layout


def _check(layout: PixelLayout) -> None:
    """Raises ImageError for what no decoder here takes. Quotes nothing from the file but numbers and known words."""
    syntax = layout.elements.syntax
    if syntax not in (*_PLAIN, _RLE, *_JPEG_LOSSY, *_JPEG_LOSSLESS, *_JPEG_LS, *_JPEG_2000):
        name = syntax if set(syntax) <= set("0123456789.") else "unreadable"
        raise ImageError("unsupported DICOM", f"transfer syntax {name}")
    needed = 1 if layout.photometric in (*_GREY, _PALETTE) else 3
    if layout.photometric not in (*_GREY, _PALETTE, "RGB", *_YBR, *_TRANSFORMED):
        raise ImageError("unsupported DICOM", "its photometric interpretation is none of grey, palette, RGB and YBR")
    if layout.photometric in _TRANSFORMED and syntax not in _JPEG_2000:
        raise ImageError("damaged DICOM", f"{layout.photometric} outside JPEG 2000")
    if layout.num_samples != needed:
        raise ImageError("damaged DICOM", f"{layout.photometric} of {layout.num_samples} samples, should be {needed}")
    if layout.bits_allocated not in (8, 16):
        raise ImageError("unsupported DICOM", f"{layout.bits_allocated} bits allocated, should be 8 or 16")
    if not 1 <= layout.bits_stored <= layout.high_bit + 1 <= layout.bits_allocated:
        raise ImageError("damaged DICOM", f"{layout.bits_stored} of {layout.bits_allocated} bits stored")
    if needed == 3 and (layout.bits_stored < 8 or layout.is_signed):
        raise ImageError("unsupported DICOM", "colours of less than 8 bits or with a sign")
    if layout.is_subsampled and (layout.width % 2 or layout.bits_allocated != 8):
        raise ImageError("damaged DICOM", "shared chroma needs an even width and 8 bits")


def check_frames(layout: PixelLayout) -> None:
    """Raises ImageError when the file holds other frames than its header says."""
    if layout.is_plain:
        find_plain_frame(layout.elements, layout.frame_size, layout.num_frames, 0)
    else:
        find_coded_frames(layout.elements, layout.num_frames)
