"""What the markers of a JPEG stream say, read without decoding: size, depth, components, colours.

The markers are those of ITU-T T.81 (JPEG), T.87 (JPEG-LS) and of Adobe's note 5116 (APP14).
"""

import struct
from dataclasses import dataclass

from sepl.errors import ImageError

MAX_SCANS = 100
"""A progressive photograph has about ten. Each costs a pass over the whole picture, and an empty one only ten bytes."""

MAX_PIXELS_IN_SCANS = 64_000_000
"""A decoder keeps the coefficients of all until the last scan: 6 bytes a pixel beside the picture's own 3."""

_SOI, _EOI, _SOS, _APP0, _APP14, _APP15, _COM = 0xFFD8, 0xFFD9, 0xFFDA, 0xFFE0, 0xFFEE, 0xFFEF, 0xFFFE
_NOT_FRAMES = (0xFFC4, 0xFFC8, 0xFFCC)  # tables among the numbers of the frame markers
SOF_BASELINE, SOF_EXTENDED, SOF_PROGRESSIVE, SOF_LOSSLESS, SOF_JPEG_LS = 0xFFC0, 0xFFC1, 0xFFC2, 0xFFC3, 0xFFF7


@dataclass(frozen=True)
class JpegStream:
    """The frame header and colour markers of a stream. Sizes in pixels."""

    frame_marker: int
    precision: int
    width: int
    height: int
    component_ids: bytes
    sampling: bytes
    """A byte a component: horizontal factor in the high four bits, vertical in the low."""
    has_jfif: bool
    adobe_transform: int | None
    """0 RGB, 1 YCbCr; None without Adobe's marker."""
    segments: tuple[tuple[int, int, int], ...]
    """(marker, start, end) of each segment before the first scan."""
    scan: int
    """Where the first scan starts."""
    num_scans: int
    """How many passes a decoder may have to make."""

    @property
    def num_components(self) -> int:
        return len(self.component_ids)

    def is_ybr(self, otherwise: bool) -> bool:
        """Whether three components are YCbCr. The stream's own word comes first; `otherwise` decides when it has none.

        Adobe's marker says it outright. Colours of less resolution than the rest are chroma. Components named R, G, B
        are that, and JFIF knows YCbCr alone.
        """
        if self.adobe_transform in (0, 1):
            return self.adobe_transform == 1
        if len(set(self.sampling)) > 1:
            return True
        if self.component_ids == b"RGB":
            return False
        return self.has_jfif or otherwise


def read_jpeg_stream(source: bytes) -> JpegStream:
    """Walks the segments to the first scan, after which the end marker must come.

    Raises ImageError when the stream is no JPEG, is cut short, or names its size twice.
    """
    try:
        return _read(source)
    except (struct.error, IndexError) as problem:
        raise ImageError("damaged or truncated header") from problem


def _read(source: bytes) -> JpegStream:
    segments = _segments(source)
    frames = [segment for segment in segments if _is_frame(segment[0])]
    if len(frames) != 1:
        raise ImageError("damaged or truncated header")
    marker, start, _ = frames[0]
    precision, height, width, num_components = struct.unpack_from(">BHHB", source, start + 4)
    components = source[start + 10 : start + 10 + 3 * num_components]
    scan = segments[-1][2] if segments else 2
    if source.rfind(b"\xff\xd9", scan) < 0:  # older OpenCV fills what is missing with grey and says nothing
        raise ImageError("truncated JPEG")
    num_scans = 1 if _is_one_scan(source, marker, scan, num_components) else source.count(b"\xff\xda", scan)
    if num_scans > MAX_SCANS:
        raise ImageError("unsupported JPEG", f"more than {MAX_SCANS} scans")
    if num_scans > 1 and width * height > MAX_PIXELS_IN_SCANS:
        most = MAX_PIXELS_IN_SCANS // 10**6
        raise ImageError("too large", f"{width}×{height} pixels in {num_scans} scans, most is {most} megapixels")
    return JpegStream(
        frame_marker=marker,
        precision=precision,
        width=width,
        height=height,
        component_ids=components[0::3],
        sampling=components[1::3],
        has_jfif=any(name == _APP0 and source[at + 4 : at + 8] == b"JFIF" for name, at, _ in segments),
        adobe_transform=_adobe_transform(source, segments),
        segments=tuple(segments),
        scan=scan,
        num_scans=num_scans,
    )


def _is_one_scan(source: bytes, frame_marker: int, scan: int, num_components: int) -> bool:
    """Whether a decoder makes one pass whatever follows, so that the stream need not be searched for more scans.

    libjpeg expects the end after a sequential scan of all components and refuses another one.
    """
    return frame_marker in (SOF_BASELINE, SOF_EXTENDED) and source[scan + 4] == num_components


def _segments(source: bytes) -> list[tuple[int, int, int]]:
    (first,) = struct.unpack_from(">H", source, 0)
    if first != _SOI:
        raise ImageError("damaged or truncated header")
    position, segments = 2, []
    while True:
        marker, length = struct.unpack_from(">HH", source, position)
        if marker == 0xFFFF:  # fill byte
            position += 1
            continue
        if marker >> 8 != 0xFF or marker == _EOI or length < 2:
            raise ImageError("damaged or truncated header")
        if marker == _SOS:
            return segments
        segments.append((marker, position, position + 2 + length))
        position += 2 + length


def _is_frame(marker: int) -> bool:
    return marker == SOF_JPEG_LS or (0xFFC0 <= marker <= 0xFFCF and marker not in _NOT_FRAMES)


def _adobe_transform(source: bytes, segments: list[tuple[int, int, int]]) -> int | None:
    for marker, start, end in segments:
        if marker == _APP14 and source[start + 4 : start + 9] == b"Adobe" and end - start >= 16:
            return source[start + 15]
    return None


def with_colours(source: bytes, stream: JpegStream, is_ybr: bool) -> bytes:
    """The stream with one marker that states its colours in place of all notes of applications.

    So every decoder takes the colours that we found, and none turns the picture as an EXIF note says.
    """
    adobe = struct.pack(">HH5sHHHB", _APP14, 14, b"Adobe", 100, 0, 0, int(is_ybr))
    kept = [source[start:end] for marker, start, end in stream.segments if not _is_note(marker)]
    return b"".join([source[:2], adobe, *kept, source[stream.scan :]])


def _is_note(marker: int) -> bool:
    return _APP0 <= marker <= _APP15 or marker == _COM
