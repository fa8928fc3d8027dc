"""Every layout that a TIFF can declare, against the picture that was written."""

import itertools

import cv2
import numpy as np
import pytest
from writers.tiff import DEFLATE, JPEG, LZW, OLD_DEFLATE, PACK_BITS, PLAIN, encode, upright, write_tiff

from sepl.data.imaging.decode import decode, read_header
from sepl.errors import ImageError

RNG = np.random.default_rng(5)
HEIGHT, WIDTH = 37, 51
_BLURRED = cv2.GaussianBlur(RNG.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8), (0, 0), 2)
RGB = np.interp(_BLURRED, (np.min(_BLURRED), np.max(_BLURRED)), (0, 255)).round().astype(np.uint8)
OPACITY = np.linspace(0, 255, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH, 1).round().astype(np.uint8)
PALETTE = RNG.integers(0, 256, (256, 3)).astype(np.uint16)
CHUNKS = {
    "one strip": {},
    "strips": {"strip_rows": 7},
    "tiles": {"tile": (16, 32)},
    "a high strip": {"strip_rows": 900},
}


def read(source):
    return decode(source, read_header(source))[:, :, ::-1]


def stored_and_shown(colours):
    """(what the file holds, what a viewer shows, what the header says)."""
    grey = RGB[:, :, 1]
    shown_grey = np.repeat(grey[:, :, None], 3, axis=2)
    on_black = ((RGB.astype(int) * OPACITY + 127) // 255).astype(np.uint8)
    return {
        "black is zero": (grey, shown_grey, {"photometric": 1}),
        "white is zero": (255 - grey, shown_grey, {"photometric": 0}),
        "RGB": (RGB, RGB, {}),
        "palette": (
            grey,
            PALETTE[grey].astype(np.uint8),
            {"photometric": 3, "tags": [(320, 3, (257 * PALETTE.T).ravel())]},
        ),
        "opacity apart": (np.dstack([RGB, OPACITY]), on_black, {"extra": 2}),
        "opacity without a word": (np.dstack([RGB, OPACITY]), on_black, {}),
        "opacity multiplied in": (np.dstack([on_black, OPACITY]), on_black, {"extra": 1}),
        "a fourth channel of something": (np.dstack([RGB, OPACITY]), RGB, {"extra": 0}),
    }[colours]


COLOURS = [
    *("black is zero", "white is zero", "RGB", "palette"),
    *("opacity apart", "opacity without a word", "opacity multiplied in", "a fourth channel of something"),
]


@pytest.mark.parametrize("colours", COLOURS)
@pytest.mark.parametrize("compression", [PLAIN, LZW, DEFLATE, OLD_DEFLATE, PACK_BITS])
@pytest.mark.parametrize("bits", [8, 16])
def test_every_layout_gives_the_picture_that_was_written(colours, compression, bits):
    stored, shown, header = stored_and_shown(colours)
    if bits == 16:
        stored = stored.astype(np.uint16) * 257
    if bits == 16 and colours == "palette":
        with pytest.raises(ImageError, match="unsupported TIFF: a palette"):
            read(write_tiff(stored, **header))
        return

    predictors = (1, 2) if compression in (LZW, DEFLATE, OLD_DEFLATE) else (1,)
    layouts = itertools.product((False, True), CHUNKS, predictors, range(1, 9))
    for number, (planar, chunks, predictor, orientation) in enumerate(layouts):
        source = write_tiff(
            stored,
            planar=planar,
            compression=compression,
            predictor=predictor,
            orientation=orientation,
            order="<>"[(number + number // 8) % 2],
            **CHUNKS[chunks],
            **header,
        )

        assert np.array_equal(read(source), upright(shown, orientation)), (planar, chunks, predictor, orientation)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("chunks", [{}, {"strip_rows": 16}, {"tile": (16, 32)}])
@pytest.mark.parametrize("colours", ["YCbCr", "grey", "white is zero"])
def test_a_jpeg_within_a_tiff_is_upright_and_of_its_colours(colours, chunks, orientation):
    stored, shown, header = stored_and_shown({"YCbCr": "RGB", "grey": "black is zero"}.get(colours, colours))
    if colours == "YCbCr":
        header = {"photometric": 6, "tags": [(530, 3, [2, 2])]}

    pixels = read(write_tiff(stored, compression=JPEG, orientation=orientation, **chunks, **header))

    assert np.abs(pixels.astype(int) - upright(shown, orientation)).mean() < 4


def test_planes_of_jpeg_are_read():
    pixels = read(write_tiff(RGB, compression=JPEG, planar=True, tile=(16, 32)))

    assert np.abs(pixels.astype(int) - RGB).max() < 12


@pytest.mark.parametrize("orientation", [0, 9, 60_000])
def test_an_orientation_that_does_not_exist_turns_nothing(orientation):
    assert np.array_equal(read(write_tiff(RGB, orientation=orientation)), RGB)


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_separate_planes_of_a_deep_camera_are_scaled_by_its_bits(bits):
    deep = RGB.astype(np.uint16) << (bits - 8)
    deep[0, 0] = 2**bits - 1

    assert np.array_equal(read(write_tiff(deep, planar=True, compression=LZW))[1:], RGB[1:])


def test_the_opacity_of_a_deep_camera_does_not_darken_its_colours():
    deep = np.dstack([RGB.astype(np.uint16) << 4, np.full((HEIGHT, WIDTH), 65535, np.uint16)])
    deep[0, 0, :3] = 4095

    assert np.array_equal(read(write_tiff(deep, extra=2))[1:], RGB[1:])


def test_the_writer_packs_bytes_as_it_says():
    assert encode(RGB, PACK_BITS)[0] == 127
    assert encode(RGB, LZW)[:2] == bytes([0x80, (RGB.ravel()[0] >> 2)])
