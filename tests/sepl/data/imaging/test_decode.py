import struct
import zlib

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepl.data.imaging.decode import decode, read_header
from sepl.errors import ImageError

RNG = np.random.default_rng(3)
PIXELS = cv2.GaussianBlur(RNG.integers(0, 256, (48, 64, 3), np.uint8), (0, 0), 3)


def encode(extension, pixels=PIXELS):
    return cv2.imencode(extension, pixels)[1].tobytes()


def read(source, reduction=1):
    return decode(source, read_header(source), reduction)


@pytest.mark.parametrize("extension", [".png", ".tif"])
def test_a_lossless_file_gives_its_pixels(extension):
    assert np.array_equal(read(encode(extension)), PIXELS)


def test_a_jpeg_gives_nearly_its_pixels():
    assert np.abs(read(encode(".jpg")).astype(int) - PIXELS).mean() < 4


@pytest.mark.parametrize("extension", [".jpg", ".png", ".tif"])
def test_the_header_says_kind_and_size(extension):
    header = read_header(encode(extension))

    assert (header.width, header.height) == (64, 48)
    assert header.kind == {".jpg": "JPEG", ".png": "PNG", ".tif": "TIFF"}[extension]


@pytest.mark.parametrize("extension", [".jpg", ".png", ".tif"])
def test_grey_becomes_three_equal_channels(extension):
    pixels = read(encode(extension, PIXELS[:, :, 0]))

    assert pixels.shape == (48, 64, 3)
    assert np.array_equal(pixels[:, :, 0], pixels[:, :, 2])


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
@pytest.mark.parametrize("extension", [".png", ".tif"])
def test_a_deep_file_is_scaled_by_the_bits_its_camera_used(extension, bits):
    deep = PIXELS.astype(np.uint16) << (bits - 8)
    deep[0, 0] = 2**bits - 1

    pixels = read(encode(extension, deep))

    assert np.array_equal(pixels[1:], PIXELS[1:])


@pytest.mark.parametrize("extension", [".png", ".tif"])
def test_two_deep_files_of_nearly_one_peak_are_nearly_as_bright(extension):
    deep = PIXELS.astype(np.uint16) * 4
    dim, bright = deep.copy(), deep.copy()
    dim[0, 0], bright[0, 0] = 1021, 1027

    assert abs(read(encode(extension, dim)).mean() - read(encode(extension, bright)).mean()) < 1.5


@pytest.mark.parametrize("extension", [".png", ".tif"])
def test_what_is_transparent_is_black(extension):
    alpha = np.full((48, 64, 1), 255, np.uint8)
    alpha[:10] = 0

    pixels = read(encode(extension, np.concatenate([PIXELS, alpha], axis=2)))

    assert pixels[:10].max() == 0
    assert np.array_equal(pixels[10:], PIXELS[10:])


def test_the_noted_orientation_is_applied():
    exif = b"Exif\0\0MM\0*\0\0\0\x08" + struct.pack(">HHHIHHI", 1, 0x0112, 3, 1, 6, 0, 0)  # 6: turn right
    jpeg = encode(".jpg")
    noted = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]

    assert np.array_equal(read(noted), np.rot90(read(jpeg), -1))


@pytest.mark.parametrize("reduction", [2, 4, 8])
def test_a_reduced_jpeg_shows_the_same_picture(reduction):
    smooth = cv2.resize(PIXELS, (640, 480), interpolation=cv2.INTER_CUBIC)

    reduced = read(encode(".jpg", smooth), reduction)

    assert reduced.shape == (480 // reduction, 640 // reduction, 3)
    expected = cv2.resize(smooth, (640 // reduction, 480 // reduction), interpolation=cv2.INTER_AREA)
    assert np.abs(reduced.astype(int) - expected).mean() < 3


@pytest.mark.parametrize("extension", [".jpg", ".png", ".tif"])
@given(data=st.data())
def test_every_part_of_a_file_is_refused(extension, data):
    source = encode(extension)
    length = data.draw(st.integers(0, len(source) - 1))

    with pytest.raises(ImageError):
        read(source[:length])


@given(magic=st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"II*\x00", b"MM\x00*"]), rest=st.binary())
def test_bytes_that_are_no_picture_are_an_image_error_and_nothing_else(magic, rest):
    with pytest.raises(ImageError):
        read(magic + rest)


@pytest.mark.parametrize("extension", [".jpg", ".png", ".tif"])
@given(data=st.data())
def test_a_damaged_file_is_refused_or_read_and_nothing_else(extension, data):
    source = bytearray(encode(extension))
    for _ in range(3):
        source[data.draw(st.integers(0, len(source) - 1))] = data.draw(st.integers(0, 255))

    try:
        pixels = read(bytes(source))
    except ImageError:
        return
    assert pixels.dtype == np.uint8
    assert pixels.shape[2] == 3


@pytest.mark.parametrize(("depth", "colour", "most"), [(8, 2, 200), (16, 2, 100), (8, 6, 100), (16, 6, 50)])
def test_the_largest_size_counts_what_a_pixel_takes(depth, colour, most):
    def header_of(megapixels):
        size = struct.pack(">I4sIIBBBBB", 13, b"IHDR", 1000 * megapixels // 10, 10_000, depth, colour, 0, 0, 0)
        return b"\x89PNG\r\n\x1a\n" + size + bytes(4) + bytes(4) + b"IEND" + bytes(4) + bytes(10**6)

    assert read_header(header_of(most)).width == 100 * most
    with pytest.raises(ImageError, match=f"most is {most} megapixels"):
        read_header(header_of(most + 10))


def test_a_picture_too_large_is_refused_by_its_header():
    header = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBB", 13, b"IHDR", 60_000, 60_000, 8, 2, 0, 0, 0)

    with pytest.raises(ImageError, match="too large: 60000×60000"):
        read_header(header + bytes(8) + b"IEND" + bytes(4))


def test_a_header_that_claims_more_than_its_file_can_hold_is_refused():
    header = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sIIBBBBB", 13, b"IHDR", 10_000, 10_000, 8, 2, 0, 0, 0)

    with pytest.raises(ImageError, match="damaged PNG: 45 bytes cannot hold"):
        read_header(header + bytes(8) + b"IEND" + bytes(4))


def test_a_png_chunk_that_claims_more_than_its_file_holds_is_refused():
    source = encode(".png")
    claimed = source[:33] + struct.pack(">I4s", 2**31 - 1, b"tEXt") + source[33:]

    with pytest.raises(ImageError, match="truncated PNG"):
        read_header(claimed)


def test_moving_pictures_are_refused():
    source = encode(".png")
    data = struct.pack(">4sII", b"acTL", 2, 0)
    chunk = struct.pack(">I", 8) + data + struct.pack(">I", zlib.crc32(data))

    with pytest.raises(ImageError, match="unsupported PNG: moving pictures"):
        read_header(source[:33] + chunk + source[33:])


@pytest.mark.parametrize(("height", "width"), [(3, 400), (400, 3)])
@pytest.mark.parametrize("extension", [".jpg", ".png", ".tif"])
def test_a_strip_is_no_photograph(extension, height, width):
    with pytest.raises(ImageError, match=f"not a photograph: {width}×{height}"):
        read_header(encode(extension, np.zeros((height, width, 3), np.uint8)))


def test_a_tiff_whose_tiles_are_larger_than_its_picture_is_refused():
    tags = {256: 64, 257: 48, 258: 8, 259: 1, 262: 1, 277: 1, 322: 30_000, 323: 30_000, 324: 8, 325: 100}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    source = b"II*\0" + struct.pack("<I", 108) + bytes(100) + struct.pack("<H", len(tags)) + entries + bytes(4)

    with pytest.raises(ImageError, match="tiles larger than the picture"):
        read_header(source)


def test_a_tiff_that_says_its_width_twice_is_refused():
    entries = struct.pack("<HHII", 256, 4, 1, 64) + struct.pack("<HHII", 256, 4, 1, 60_000)

    with pytest.raises(ImageError, match="a tag stands twice"):
        read_header(b"II*\0" + struct.pack("<IH", 8, 2) + entries + bytes(100))


def test_a_jpeg_of_thousands_of_scans_is_refused():
    source = cv2.imencode(".jpg", PIXELS, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    scan = b"\xff\xda\x00\x0c\x03\x01\x00\x02\x11\x03\x11\x00\x3f\x00"

    with pytest.raises(ImageError, match="more than 100 scans"):
        read_header(source[:-2] + 2000 * scan + source[-2:])


def test_a_jpeg_that_says_its_size_twice_is_refused():
    source = encode(".jpg")
    start = source.index(b"\xff\xc0")
    frame = source[start : start + 19]

    with pytest.raises(ImageError, match="damaged or truncated header"):
        read_header(source[:start] + frame + source[start:])


def test_a_frame_beyond_the_first_is_refused():
    source = encode(".png")

    with pytest.raises(ImageError, match="frame 1 of a file of 1"):
        decode(source, read_header(source), frame=1)


@pytest.mark.parametrize("extension", [".jpg", ".png", ".tif"])
def test_an_all_black_photograph_is_decoded(extension):
    assert read(encode(extension, np.zeros((2000, 2000, 3), np.uint8))).max() == 0


def test_cmyk_is_refused_with_the_reason():
    source = encode(".jpg")
    frame = source.index(b"\xff\xc0")
    four_channels = source[: frame + 9] + b"\x04" + source[frame + 10 :]

    with pytest.raises(ImageError, match="unsupported JPEG: 4 channels"):
        read_header(four_channels)


def test_floating_point_is_refused_with_the_reason():
    with pytest.raises(ImageError, match="unsupported TIFF"):
        read_header(encode(".tif", PIXELS.astype(np.float32)))


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (b"", "empty file"),
        (b"hello", "not an image"),
        (b"II+\0\x08\0\0\0" + bytes(50), "unsupported BigTIFF"),
        (b"MM\0+\0\x08\0\0" + bytes(50), "unsupported BigTIFF"),
        (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(50), "unsupported JPEG 2000"),
        (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(50), "unsupported JPEG XL"),
        (b"GIF89a" + bytes(50), "unsupported GIF"),
        (b"RIFF\0\0\0\0WEBP" + bytes(50), "unsupported WebP"),
        (bytes(3) + b"\x20ftypavif" + bytes(50), "unsupported AVIF"),
        (bytes(3) + b"\x20ftypheic" + bytes(50), "unsupported HEIC"),
        (b"RIFF\0\0\0\0WAVE" + bytes(50), "not an image"),
    ],
)
def test_the_reason_says_what_it_is_and_what_it_should_be(source, reason):
    with pytest.raises(ImageError, match=f"^{reason}(: should be JPEG, PNG, TIFF or DICOM)?$"):
        read_header(source)
