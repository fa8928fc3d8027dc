"""Every layout that a TIFF can declare, against the picture that was written."""

import itertools

import cv2
import numpy as np
import pytest
from tiff_files import DEFLATE, JPEG, LZW, OLD_DEFLATE, PACK_BITS, PLAIN, encode, upright, write_tiff

from sepl.data.decode import decode, read_header
from sepl.errors import ImageError

RNG = np.random.default_rng(5)
HEIGHT, WIDTH = 37, 51
RGB = cv2.GaussianBlur(RNG.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8), (0, 0), 2)
RGB = cv2.normalize(RGB, None, 0, 255, cv2.NORM_MINMAX)
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


@pytest.mark.parametrize(
    ("compression", "name"),
    [
        (2, "CCITT"),
        (6, "JPEG of TIFF before 1995"),
        (34712, "JPEG 2000"),
        (34925, "LZMA"),
        (50000, "Zstandard"),
        (50001, "WebP"),
        (50002, "JPEG XL"),
        (77, "unknown"),
    ],
)
def test_a_compression_that_is_not_decoded_is_named(compression, name):
    source = write_tiff(RGB, tags=[(259, 3, [compression])])

    with pytest.raises(ImageError, match=rf"unsupported TIFF: compression {compression} \({name}\)"):
        read_header(source)


@pytest.mark.parametrize(
    ("tags", "reason"),
    [
        ([(258, 3, [1]), (277, 3, [1]), (262, 3, [1])], "1 channels of 1 bits, should be grey or RGB of 8 or 16"),
        ([(258, 3, [4]), (277, 3, [1]), (262, 3, [3])], "1 channels of 4 bits"),
        ([(258, 3, [12, 12, 12])], "3 channels of 12 bits"),
        ([(258, 3, [32, 32, 32])], "3 channels of 32 bits"),
        ([(258, 3, [8, 8, 16])], "channels of different bits"),
        ([(277, 3, [2])], "2 channels of 8 bits"),
        ([(277, 3, [5])], "5 channels of 8 bits"),
        ([(262, 3, [1])], "3 channels of 8 bits"),
        ([(339, 3, [2, 2, 2])], "with a sign or a floating point"),
        ([(339, 3, [1, 1, 3])], "with a sign or a floating point"),
        ([(262, 3, [5])], "CMYK, should be grey, RGB or a palette"),
        ([(262, 3, [8])], "CIELab"),
        ([(262, 3, [32845])], "LogLuv"),
        ([(262, 3, [99])], "colours of kind 99"),
        ([(262, 3, [6])], "YCbCr in planes or not as JPEG"),
        ([(266, 3, [2])], "bytes whose lowest bit comes first"),
        ([(259, 3, [5]), (317, 3, [3])], "predictor 3"),
    ],
)
def test_a_layout_that_is_not_decoded_is_refused_with_its_reason(tags, reason):
    with pytest.raises(ImageError, match=f"unsupported TIFF: .*{reason}"):
        read_header(write_tiff(RGB, tags=tags))


@pytest.mark.parametrize("samples", [RGB, RGB.astype(np.uint16) * 257])
@pytest.mark.parametrize("planar", [False, True])
@pytest.mark.parametrize("tag", [273, 279])
def test_a_strip_that_is_not_there_is_refused(samples, planar, tag):
    source = write_tiff(samples, planar=planar, strip_rows=10, tags=[(tag, 4, [500] * 3)])
    absent = write_tiff(samples, planar=planar, strip_rows=10, tags=[(tag, 4, [0] + [500] * 11)])

    with pytest.raises(ImageError, match=r"damaged TIFF: 3 strips, should be (4|12)"):
        read_header(source)
    with pytest.raises(ImageError, match="damaged TIFF: a tile or strip is missing"):
        read_header(absent)


def test_a_strip_shorter_than_its_pixels_is_refused():
    source = write_tiff(RGB, strip_rows=10, tags=[(279, 4, [10 * 3 * WIDTH] * 3 + [7 * 3 * WIDTH - 1])])

    with pytest.raises(ImageError, match="a tile or strip is shorter than its pixels"):
        read_header(source)


def test_a_strip_past_the_end_is_refused():
    with pytest.raises(ImageError, match="truncated TIFF"):
        read_header(write_tiff(RGB, tags=[(273, 4, [10_000])]))


def test_a_list_of_strips_that_is_cut_is_refused():
    source = write_tiff(RGB, strip_rows=1)

    with pytest.raises(ImageError, match="damaged or truncated header"):
        read_header(source[:-20])


@pytest.mark.parametrize("tags", [[(278, 4, [0])], [(322, 4, [0]), (323, 4, [16]), (324, 4, [8]), (325, 4, [9])]])
def test_tiles_and_strips_without_pixels_are_refused(tags):
    with pytest.raises(ImageError, match="damaged TIFF: tiles or strips without pixels"):
        read_header(write_tiff(RGB, tags=tags))


def test_a_tag_that_means_nothing_to_a_photograph_is_not_read():
    source = write_tiff(RGB, tags=[(50_000, 4, [1, 2, 3]), (65_000, 1, [9])])
    damaged = source.replace(
        (50_000).to_bytes(2, "little") + b"\4\0\3\0\0\0", (50_000).to_bytes(2, "little") + b"\4\0\xff\xff\xff\xff"
    )

    assert damaged != source
    assert np.array_equal(read(damaged), RGB)


def test_the_writer_packs_bytes_as_it_says():
    assert encode(RGB, PACK_BITS)[0] == 127
    assert encode(RGB, LZW)[:2] == bytes([0x80, (RGB.ravel()[0] >> 2)])
