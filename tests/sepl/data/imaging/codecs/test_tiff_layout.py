"""What the header of a TIFF may declare and what it may not."""

import cv2
import numpy as np
import pytest
from writers.tiff import write_tiff

from sepl.data.imaging.codecs.tiff_layout import read_tiff_layout
from sepl.data.imaging.decode import decode, read_header
from sepl.errors import ImageError

HEIGHT, WIDTH = 37, 51
RGB = cv2.GaussianBlur(np.random.default_rng(5).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8), (0, 0), 2)


def read(source):
    return decode(source, read_header(source))[:, :, ::-1]


@pytest.mark.parametrize("order", ["<", ">"])
def test_the_layout_is_what_was_written(order):
    layout = read_tiff_layout(write_tiff(RGB, planar=True, tile=(16, 32), orientation=6, order=order))

    assert (layout.width, layout.height, layout.bits, layout.num_channels) == (WIDTH, HEIGHT, 8, 3)
    assert (layout.chunk_width, layout.chunk_height, layout.orientation) == (32, 16, 6)
    assert layout.offsets().shape == layout.counts().shape == (3, 3 * 2)
    assert set(layout.counts().ravel()) == {16 * 32}


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
