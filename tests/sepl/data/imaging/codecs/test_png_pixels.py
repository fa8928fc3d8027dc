"""Every depth, colour and orientation that a PNG can declare, against the picture that was written."""

import struct
import zlib

import cv2
import numpy as np
import pytest
from writers.tiff import upright, with_directory

from sepl.data.imaging.decode import decode, read_header

RNG = np.random.default_rng(7)
HEIGHT, WIDTH = 37, 51
RGB = np.asarray(cv2.GaussianBlur(RNG.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8), (0, 0), 2), np.uint8)
OPACITY = np.linspace(0, 255, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH, 1).round().astype(np.uint8)
PALETTE = RNG.integers(0, 256, (256, 3), np.uint8)
GREY, COLOUR, INDEXED, GREY_OPACITY, COLOUR_OPACITY = 0, 2, 3, 4, 6


def chunk(name, data):
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


INTERLACED = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""Left, top, and how far apart the pixels of each pass are across and down."""


def pack(samples, bits):
    """Rows of so many bits a sample, each behind the byte that says it has no filter."""
    rows = np.ascontiguousarray(samples).reshape(len(samples), -1)
    if bits == 16:
        packed = rows.astype(">u2").view(np.uint8)
    else:
        of_each = np.unpackbits(rows.astype(np.uint8)[:, :, None], axis=2)[:, :, 8 - bits :]
        packed = np.packbits(of_each.reshape(len(rows), -1), axis=1)
    return np.pad(packed, ((0, 0), (1, 0))).tobytes()


def write_png(
    samples, bits, colour, *, transparent=b"", orientation=None, exif_last=False, prefix=b"", interlaced=False
):
    """A file of samples (H, W) or (H, W, channels) of so many bits."""
    height, width = samples.shape[:2]
    passes = INTERLACED if interlaced else [(0, 0, 1, 1)]
    data = b"".join(pack(samples[top::down, left::across], bits) for left, top, across, down in passes)
    exif = b""
    if orientation is not None:
        exif = chunk(b"eXIf", prefix + with_directory(b"", {0x0112: (3, [orientation])}, ">"))
    parts = [
        b"\x89PNG\r\n\x1a\n",
        chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, int(interlaced))),
        chunk(b"PLTE", PALETTE[: 2**bits].tobytes()) if colour == INDEXED else b"",
        chunk(b"tRNS", transparent) if transparent else b"",
        b"" if exif_last else exif,
        chunk(b"IDAT", zlib.compress(data)),
        exif if exif_last else b"",
        chunk(b"IEND", b""),
    ]
    return b"".join(parts)


def read(source):
    return decode(source, read_header(source))[:, :, ::-1]


def grey_of(bits):
    """(samples, what a viewer shows)."""
    samples = (RGB[:, :, 1] >> (8 - bits)).astype(np.uint8) if bits < 8 else RGB[:, :, 1]
    shown = (samples.astype(int) * 255 // (2 ** min(bits, 8) - 1)).astype(np.uint8)
    return samples.astype(np.uint16) * 257 if bits == 16 else samples, np.repeat(shown[:, :, None], 3, axis=2)


def deep(samples, bits):
    return samples.astype(np.uint16) * 257 if bits == 16 else samples


def on_black(colours, opacity):
    return ((colours.astype(int) * opacity + 127) // 255).astype(np.uint8)


def cases():
    """(name, file's samples, bits, colour, transparency, what a viewer shows)."""
    for bits in (1, 2, 4, 8, 16):
        grey, shown = grey_of(bits)
        yield f"grey of {bits}", grey, bits, GREY, b"", shown
        hidden = grey == grey[0, 0]
        key = struct.pack(">H", int(grey[0, 0]))
        yield f"grey of {bits} with a key", grey, bits, GREY, key, np.where(hidden[:, :, None], 0, shown)
    for bits in (8, 16):
        colours, opaque = deep(RGB, bits), deep(OPACITY, bits)
        yield f"colours of {bits}", colours, bits, COLOUR, b"", RGB
        hidden = np.all(RGB[0, 0] == RGB, axis=2)
        key = struct.pack(">HHH", *map(int, colours[0, 0]))
        yield f"colours of {bits} with a key", colours, bits, COLOUR, key, np.where(hidden[:, :, None], 0, RGB)
        yield f"opacity of {bits}", np.dstack([colours, opaque]), bits, COLOUR_OPACITY, b"", on_black(RGB, OPACITY)
        grey, shown = grey_of(bits)
        yield (
            f"grey and opacity of {bits}",
            np.dstack([grey, opaque]),
            bits,
            GREY_OPACITY,
            b"",
            on_black(shown, OPACITY),
        )
    for bits in (1, 2, 4, 8):
        codes = RGB[:, :, 1] >> (8 - bits)
        yield f"palette of {bits}", codes, bits, INDEXED, b"", PALETTE[codes]
        opacity = RNG.integers(0, 256, 2**bits, np.uint8)
        shown = on_black(PALETTE[codes], opacity[codes][:, :, None])
        yield f"palette and opacity of {bits}", codes, bits, INDEXED, opacity.tobytes(), shown


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("orientation", [None, *range(1, 9)])
@pytest.mark.parametrize(
    ("samples", "bits", "colour", "transparent", "shown"),
    [case[1:] for case in cases()],
    ids=[case[0] for case in cases()],
)
def test_every_depth_and_colour_is_shown_upright_and_on_black(
    samples, bits, colour, transparent, shown, orientation, interlaced
):
    source = write_png(samples, bits, colour, transparent=transparent, orientation=orientation, interlaced=interlaced)

    assert np.array_equal(read(source), upright(shown, orientation or 1))


@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0"])
@pytest.mark.parametrize("exif_last", [False, True])
@pytest.mark.parametrize(("colour", "samples"), [(COLOUR, RGB), (COLOUR_OPACITY, np.dstack([RGB, 0 * OPACITY + 255]))])
def test_the_orientation_is_found_wherever_a_writer_puts_it(colour, samples, exif_last, prefix):
    source = write_png(samples, 8, colour, orientation=6, exif_last=exif_last, prefix=prefix)

    assert np.array_equal(read(source), upright(RGB, 6))


@pytest.mark.parametrize("exif", [b"", b"MM", b"MM\0*\0\0\0\x08\0\x01", b"II*\0\xff\xff\xff\xff" + bytes(8), bytes(40)])
@pytest.mark.parametrize("colour", [COLOUR, COLOUR_OPACITY])
def test_a_note_that_cannot_be_read_turns_nothing(colour, exif):
    samples = RGB if colour == COLOUR else np.dstack([RGB, 0 * OPACITY + 255])
    plain = write_png(samples, 8, colour)

    assert np.array_equal(read(plain[:33] + chunk(b"eXIf", exif) + plain[33:]), RGB)
