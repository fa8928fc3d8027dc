"""Damaged picture files: each is decided by a seed and a number, so that a failure can be made again from its number.

`python tests/mutations.py SEED FIRST LAST` decodes files FIRST … LAST-1 in this process and says how that went; the
tests run it in a process of its own, which a crashing decoder may take down.
"""

import json
import resource
import signal
import struct
import sys
import zipfile
from collections import Counter
from collections.abc import Callable
from functools import cache
from io import BytesIO

import cv2
import numpy as np
from dicoms import SECRETS, draw_fundus, encode_frame, write_coded, write_dicom
from pydicom.uid import (
    JPEG2000,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)
from writers.tiff import DEFLATE, JPEG, LZW, PACK_BITS, write_tiff

from sepl.data.imaging.decode import decode, read_header
from sepl.data.imaging.dicom.facts import is_dicom, read_facts
from sepl.data.imaging.photograph import ImageSpec, read_photograph
from sepl.errors import ImageError

SECONDS_A_FILE = 10
"""Of the processor, so that a busy machine fails nothing. Generous: the median takes a millisecond."""
MEGABYTES = 700
"""Most that decoding may add to the process; the largest picture that its limits let through takes less."""

_SMALL = draw_fundus(48, 64)
_LARGE = draw_fundus(360, 480)


def make_file(seed: int, number: int) -> bytes:
    """The damaged file of this number."""
    rng = np.random.default_rng([seed, number])
    whole = _whole_files()
    source = whole[int(rng.integers(len(whole)))]
    kind = _KINDS[int(rng.integers(len(_KINDS)))]
    return kind(source, rng)


@cache
def _whole_files() -> tuple[bytes, ...]:
    """Pictures of every kind that we read; DICOM twice as often as the others together, as it has the most decoders."""
    pictures = _pictures()
    return (*pictures, *pictures, *_dicoms())


def _pictures() -> list[bytes]:
    bgr = np.ascontiguousarray(_SMALL[:, :, ::-1])
    grey, deep = bgr[:, :, 1], bgr.astype(np.uint16) << 8
    alpha = np.dstack([bgr, np.full(bgr.shape[:2], 200, np.uint8)])
    progressive = [cv2.IMWRITE_JPEG_PROGRESSIVE, 1, cv2.IMWRITE_JPEG_RST_INTERVAL, 4]
    made = [(".jpg", bgr, []), (".jpg", grey, []), (".jpg", bgr, progressive), (".png", bgr, []), (".png", grey, [])]
    made += [(".png", deep, []), (".png", alpha, []), (".tif", grey, []), (".tif", deep, [])]
    made += [(".tif", bgr, [cv2.IMWRITE_TIFF_COMPRESSION, code]) for code in (1, 5, 8, 32773)]
    large = np.ascontiguousarray(_LARGE[:, :, ::-1])
    made += [(".jpg", large, []), (".jpg", large, progressive), (".png", large, []), (".tif", large, [])]
    return [*(cv2.imencode(extension, pixels, flags)[1].tobytes() for extension, pixels, flags in made), *_tiffs()]


def _tiffs() -> list[bytes]:
    """In the layouts that OpenCV does not write."""
    grey, deep = _SMALL[:, :, 1], _SMALL.astype(np.uint16) << 4
    palette = [(320, 3, list(range(0, 65536, 256)) * 3)]
    opaque = np.dstack([_SMALL, np.full(grey.shape, 200, np.uint8)])
    return [
        write_tiff(deep, planar=True, compression=LZW, predictor=2, orientation=6),
        write_tiff(deep, planar=True, tile=(16, 16), order=">"),
        write_tiff(_SMALL, tile=(16, 32), compression=DEFLATE, orientation=3),
        write_tiff(_SMALL, tile=(16, 32), compression=JPEG, photometric=6),
        write_tiff(grey, photometric=3, tags=palette, strip_rows=5),
        write_tiff(255 - grey, photometric=0, compression=PACK_BITS, strip_rows=7, order=">"),
        write_tiff(opaque, extra=2, strip_rows=11),
    ]


def _dicoms() -> list[bytes]:
    codes = (JPEGBaseline8Bit, JPEGLosslessSV1, JPEGLSLossless, JPEGLSNearLossless, JPEG2000Lossless, JPEG2000)
    made = [write_dicom(_SMALL, code, photometric) for code in codes for photometric in ("RGB", "MONOCHROME2")]
    made += [write_dicom(_SMALL, JPEGBaseline8Bit, "YBR_FULL_422"), write_dicom(_SMALL, JPEG2000, "YBR_ICT")]
    deep = _SMALL.astype(np.uint16) << 4
    made += [write_dicom(deep, code, "RGB", bits=12) for code in (JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless)]
    made += [write_dicom(_SMALL, RLELossless, photometric) for photometric in ("RGB", "PALETTE COLOR")]
    made += [write_dicom(deep, RLELossless, "MONOCHROME2", bits=12)]
    plain = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)
    made += [write_dicom([_SMALL, _SMALL], code, "YBR_FULL_422") for code in plain]
    made += [write_dicom(_SMALL, ExplicitVRLittleEndian, "PALETTE COLOR")]
    frames = [encode_frame(_SMALL, JPEG2000Lossless, "RGB")] * 2
    made += [write_coded(frames, (64, 48), JPEG2000Lossless, "RGB", fragments=3)]
    signed = write_dicom(deep, ExplicitVRLittleEndian, "MONOCHROME2", bits=12, header={"PixelRepresentation": 1})
    made += [signed, *(write_dicom(deep, code, "MONOCHROME2", bits=12) for code in codes[1:])]
    made += [write_dicom(_LARGE, JPEG2000Lossless, "YBR_RCT"), write_dicom(_LARGE, JPEGBaseline8Bit, "YBR_FULL_422")]
    return made


def _cut(source: bytes, rng: np.random.Generator) -> bytes:
    return source[: int(rng.integers(len(source)))]


def _flip_bits(source: bytes, rng: np.random.Generator) -> bytes:
    damaged = bytearray(source)
    for place in rng.integers(len(source), size=int(rng.integers(1, 12))):
        damaged[place] ^= 1 << int(rng.integers(8))
    return bytes(damaged)


def _flip_early_bits(source: bytes, rng: np.random.Generator) -> bytes:
    """In the headers: of the file, of the compressed stream within, or of a TIFF at its end."""
    start = _start_of_header(source) if rng.random() < 0.5 else 0
    end = min(start + 700, len(source))
    return source[:start] + _flip_bits(source[start:end], rng) + source[end:]


def _overwrite(source: bytes, rng: np.random.Generator) -> bytes:
    """One to eight bytes, by what often breaks a reader."""
    value = _EXTREMES[int(rng.integers(len(_EXTREMES)))]
    place = int(rng.integers(max(1, len(source) - len(value))))
    return source[:place] + value + source[place + len(value) :]


def _remove_or_repeat(source: bytes, rng: np.random.Generator) -> bytes:
    first, last = sorted(int(place) for place in rng.integers(len(source), size=2))
    part = source[first : min(last, first + 400)]
    return source[:first] + part * int(rng.choice([0, 2, 3])) + source[first + len(part) :]


def _splice(source: bytes, rng: np.random.Generator) -> bytes:
    whole = _whole_files()
    other = whole[int(rng.integers(len(whole)))]
    return source[: int(rng.integers(len(source)))] + other[int(rng.integers(len(other))) :]


def _enlarge(source: bytes, rng: np.random.Generator) -> bytes:
    """Every place that says the size, outside and in the stream, says another one."""
    width, height = (int(side) for side in rng.choice([0, 1, 63, 65, 4000, 30_000, 60_000, 65_535], 2))
    for order in "<>":
        for code in "HI":
            old_pairs = [struct.pack(order + code * 2, *pair) for pair in ((64, 48), (48, 64))]
            new_pairs = [struct.pack(order + code * 2, *pair) for pair in ((width, height), (height, width))]
            for old, new in zip(old_pairs, new_pairs, strict=True):
                source = source.replace(old, new)
    for element, old, new in ((0x10, 48, height), (0x11, 64, width)):
        start = struct.pack("<HH2sH", 0x28, element, b"US", 2)
        source = source.replace(start + struct.pack("<H", old), start + struct.pack("<H", new))
    return _flip_bits(source, rng) if rng.random() < 0.3 else source


def _no_picture(source: bytes, rng: np.random.Generator) -> bytes:
    archive = BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as files:
        files.writestr("photograph.jpg", source)
    noise = rng.bytes(int(rng.integers(1, 2000)))
    magic = [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\0", b"MM\0*", bytes(128) + b"DICM", b"GIF89a", b"%PDF-1.7"]
    choices = [b"", noise, b"patient,age\n1,2\n", archive.getvalue(), magic[int(rng.integers(len(magic)))] + noise]
    return choices[int(rng.integers(len(choices)))]


def _start_of_header(source: bytes) -> int:
    if source.startswith((b"II*\0", b"MM\0*")):
        return min(int.from_bytes(source[4:8], "little" if source.startswith(b"II") else "big"), len(source) - 1)
    places = [source.find(mark, 200) for mark in (b"\xff\xd8\xff", b"\xff\x4f\xff\x51")]
    return max(0, *places)


_EXTREMES = (b"\xff", b"\0", b"\x7f", b"\x80", b"\xff\xff", b"\0\0", b"\x7f\xff", b"\xff\xff\xff\xff", b"\0\0\0\0")
_EXTREMES += (b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x80\0\0\0", b"\0\0\0\0\0\0\0\0", b"\xff\xd9", b"\xff\xda")

_KINDS: tuple[Callable[[bytes, np.random.Generator], bytes], ...] = (
    *(_cut, _flip_bits, _flip_bits, _flip_early_bits, _flip_early_bits, _overwrite, _overwrite),
    *(_remove_or_repeat, _splice, _enlarge, _no_picture),
)


def read_or_refuse(source: bytes) -> str:
    """Empty when the file is read, the kind of reason when it is refused by an ImageError; all else comes through."""
    try:
        if is_dicom(source):
            read_facts(source)
        header = read_header(source)
        pixels = decode(source, header, 2 if header.can_reduce and len(source) % 2 else 1, header.num_frames - 1)
        if len(source) % 4 == 0:
            read_photograph(source, ImageSpec(size=32))
    except ImageError as problem:
        return _kind_of(problem)
    assert pixels.dtype == np.uint8
    assert pixels.shape[2:] == (3,)
    return ""


def _kind_of(problem: ImageError) -> str:
    assert not any(secret in str(problem) for secret in SECRETS), "the reason names the patient"
    return problem.kind


def main(seed: int, first: int, last: int) -> None:
    """Prints the number of each file before it is read, so that the last one printed is the one that ended the process.

    The last line is the count of results as JSON.
    """
    cv2.setNumThreads(1)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)  # a decoder that hangs in native code is ended, not asked
    make_file(seed, first)  # the whole files are no part of what is measured
    base = _peak_megabytes()
    results: Counter[str] = Counter()
    for number in range(first, last):
        source = make_file(seed, number)
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()
        signal.setitimer(signal.ITIMER_PROF, SECONDS_A_FILE)
        results[read_or_refuse(source)] += 1
        signal.setitimer(signal.ITIMER_PROF, 0)
        assert _peak_megabytes() - base <= MEGABYTES, f"{_peak_megabytes() - base:.0f} MB more than at the start"
    sys.stdout.write(json.dumps(results))


def _peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main(*(int(argument) for argument in sys.argv[1:4]))
