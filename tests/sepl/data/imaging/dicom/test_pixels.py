import struct

import cv2
import numpy as np
import pytest
from dicom_pictures import COMPRESSED, GREY, LOSSLESS_CODES, RGB, SIZE, change, keyword_of, psnr, read, source_of
from dicoms import LOSSY, OPHTHALMIC_16_BIT, PLAIN, draw_fundus, encode_frame, to_ybr, write_coded, write_dicom
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.uid import (
    JPEG2000,
    UID,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from writers.jpeg import compose_jpeg, encode_extended_jpeg, encode_lossless_jpeg, planes_of, strip_notes
from writers.jpeg_ls import encode_jpeg_ls

from sepl.data.imaging.decode import decode, read_header
from sepl.data.imaging.photograph import ImageSpec, read_photograph
from sepl.errors import ImageError

SYNTAXES_OF = {
    "RGB": (*PLAIN, *COMPRESSED),
    "YBR_FULL": (*PLAIN, *COMPRESSED),
    "YBR_FULL_422": (*PLAIN, JPEGBaseline8Bit, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless),
    "YBR_RCT": (JPEG2000Lossless,),
    "YBR_ICT": (JPEG2000,),
    "PALETTE COLOR": (*PLAIN, *LOSSLESS_CODES),
    "MONOCHROME1": (*PLAIN, *COMPRESSED),
    "MONOCHROME2": (*PLAIN, *COMPRESSED),
}
"""What exists: a palette's codes bear no loss, and the transforms YBR_RCT and YBR_ICT are JPEG 2000's own."""
EXISTING = [(UID(syntax), photometric) for photometric, syntaxes in SYNTAXES_OF.items() for syntax in syntaxes]


@pytest.mark.parametrize(("syntax", "photometric"), EXISTING, ids=keyword_of)
def test_every_syntax_and_photometric_interpretation_gives_the_picture_of_its_rgb_source(syntax, photometric):
    pixels = read(write_dicom(RGB, syntax, photometric))

    assert pixels.shape == RGB.shape
    assert psnr(pixels, source_of(photometric)) >= (30 if syntax in LOSSY else 45)


@pytest.mark.parametrize(("syntax", "photometric"), EXISTING, ids=keyword_of)
def test_pixels_are_contiguous_8_bit(syntax, photometric):
    source = write_dicom(RGB, syntax, photometric)
    header = read_header(source)
    pixels = decode(source, header)

    assert (header.kind, header.width, header.height, header.num_frames) == ("DICOM", *SIZE, 1)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous


@pytest.mark.parametrize("syntax", [*PLAIN, *LOSSLESS_CODES], ids=keyword_of)
@given(height=st.integers(3, 18), width=st.integers(3, 18), seed=st.integers(0, 99), noise=st.sampled_from([0, 3, 255]))
@settings(max_examples=15)
def test_any_picture_comes_back_from_a_lossless_syntax_as_it_was(syntax, height, width, seed, noise):
    rng = np.random.default_rng(seed)
    least = 32 if syntax == JPEG2000Lossless else 0  # its encoder takes no smaller sides
    shape = (height + least, width + least, 3)
    picture = (rng.integers(0, 256, 3) + rng.integers(0, noise + 1, shape)).clip(0, 255).astype(np.uint8)

    assert np.array_equal(read(write_dicom(picture, syntax)), picture)


@pytest.mark.parametrize("syntax", PLAIN, ids=keyword_of)
@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
def test_colour_by_plane_is_read_as_colour_by_pixel(syntax, photometric):
    assert psnr(read(write_dicom(RGB, syntax, photometric, planar=1)), RGB) >= 45


def test_chroma_named_shared_but_stored_whole_is_read_whole():
    assert psnr(read(write_dicom(RGB, ExplicitVRLittleEndian, "YBR_FULL_422", keep_chroma=True)), RGB) >= 50


def test_shared_chroma_costs_no_colour_at_an_edge_between_pairs():
    halves = np.zeros((8, 16, 3), np.uint8)
    halves[:, :8], halves[:, 8:] = (200, 40, 40), (40, 200, 40)

    pixels = read(write_dicom(halves, ExplicitVRLittleEndian, "YBR_FULL_422"))

    # the last pixel before the edge lies between two chroma samples
    assert psnr(pixels[:, :7], halves[:, :7]) >= 45
    assert psnr(pixels[:, 8:], halves[:, 8:]) >= 45


@pytest.mark.parametrize("claimed", ["RGB", "YBR_FULL", "YBR_FULL_422"])
@pytest.mark.parametrize("stored", ["RGB", "YBR_FULL"])
def test_adobes_marker_in_a_jpeg_outweighs_the_header(stored, claimed):
    planes = planes_of(RGB if stored == "RGB" else to_ybr(RGB))
    jpeg = compose_jpeg(planes, ids=b"\1\2\3", adobe=0 if stored == "RGB" else 1)

    assert psnr(read(write_coded([jpeg], SIZE, JPEGBaseline8Bit, claimed)), RGB) >= 40


@pytest.mark.parametrize("claimed", ["RGB", "YBR_FULL", "YBR_FULL_422"])
def test_components_named_r_g_b_are_rgb(claimed):
    jpeg = compose_jpeg(planes_of(RGB), ids=b"RGB", adobe=None)

    assert psnr(read(write_coded([jpeg], SIZE, JPEGBaseline8Bit, claimed)), RGB) >= 40


@pytest.mark.parametrize("claimed", ["RGB", "YBR_FULL", "YBR_FULL_422"])
def test_a_jfif_picture_is_ybr_whatever_the_header_claims(claimed):
    jpeg = cv2.imencode(".jpg", RGB[:, :, ::-1])[1].tobytes()

    assert psnr(read(write_coded([jpeg], SIZE, JPEGBaseline8Bit, claimed)), RGB) >= 35


@pytest.mark.parametrize("claimed", ["RGB", "YBR_FULL"])
def test_shared_chroma_is_ybr_without_any_marker(claimed):
    sampling = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422]
    jpeg = strip_notes(cv2.imencode(".jpg", RGB[:, :, ::-1], sampling)[1].tobytes())

    assert psnr(read(write_coded([jpeg], SIZE, JPEGBaseline8Bit, claimed)), RGB) >= 35


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
def test_a_jpeg_without_any_mark_is_what_the_header_says(photometric):
    planes = planes_of(RGB if photometric == "RGB" else to_ybr(RGB))
    jpeg = compose_jpeg(planes, ids=b"\1\2\3", adobe=None)

    assert psnr(read(write_coded([jpeg], SIZE, JPEGBaseline8Bit, photometric)), RGB) >= 40


def test_an_orientation_noted_in_the_jpeg_turns_nothing():
    exif = b"Exif\0\0MM\0*\0\0\0\x08" + struct.pack(">HHHIHHI", 1, 0x0112, 3, 1, 6, 0, 0)
    jpeg = cv2.imencode(".jpg", RGB[:, :, ::-1])[1].tobytes()
    noted = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]

    assert psnr(read(write_coded([noted], SIZE, JPEGBaseline8Bit, "YBR_FULL_422")), RGB) >= 35


@pytest.mark.parametrize("claimed", ["RGB", "YBR_FULL", "YBR_RCT", "YBR_ICT"])
def test_a_transform_noted_in_jpeg_2000_gives_rgb_whatever_the_header_claims(claimed):
    coded = encode_frame(RGB, JPEG2000Lossless, "YBR_RCT")

    assert np.array_equal(read(write_coded([coded], SIZE, JPEG2000Lossless, claimed)), RGB)


def test_jpeg_2000_in_its_own_file_format_is_read():
    bare = encode_frame(RGB, JPEG2000Lossless, "YBR_RCT")
    boxes = b"\0\0\0\x0cjP  \r\n\x87\n" + struct.pack(">I4s", 0, b"jp2c")

    assert np.array_equal(read(write_coded([boxes + bare], SIZE, JPEG2000Lossless, "YBR_RCT")), RGB)


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
def test_jpeg_ls_with_a_scan_a_channel_is_read(photometric):
    stored = RGB if photometric == "RGB" else to_ybr(RGB)
    coded = encode_jpeg_ls(stored, 8, is_interleaved=False)

    assert psnr(read(write_coded([coded], SIZE, JPEGLSLossless, photometric)), RGB) >= 45


@pytest.mark.parametrize(("bits", "photometric"), [(12, "RGB"), (16, "RGB"), (12, "YBR_FULL"), (16, "MONOCHROME2")])
@pytest.mark.parametrize(
    "syntax", [*PLAIN, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless, RLELossless], ids=keyword_of
)
def test_a_deep_picture_is_brought_to_8_bits_by_the_bits_stored(syntax, bits, photometric):
    deep = RGB.astype(np.uint16) << (bits - 8)
    deep[0, 0] = 2**bits - 1

    pixels = read(write_dicom(deep, syntax, photometric, bits=bits, sop_class=OPHTHALMIC_16_BIT))

    assert psnr(pixels[1:], source_of(photometric)[1:]) >= 45


@pytest.mark.parametrize("adobe", [None, 0, 1])
@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL", "MONOCHROME2"])
def test_jpeg_of_12_bits_is_read_in_the_colours_of_its_markers(photometric, adobe):
    deep = RGB.astype(np.uint16) << 4
    stored = to_ybr(deep, 12) if (adobe == 1 or (adobe is None and photometric == "YBR_FULL")) else deep
    planes = planes_of(stored) if photometric != "MONOCHROME2" else [deep[:, :, 1]]
    jpeg = encode_extended_jpeg(planes, 12, ids=b"\1\2\3"[: len(planes)], adobe=adobe)

    pixels = read(write_coded([jpeg], SIZE, JPEGExtended12Bit, photometric, samples=len(planes), bits=12))

    assert psnr(pixels, source_of(photometric)) >= 45


@pytest.mark.parametrize("photometric", ["RGB", "MONOCHROME2"])
def test_two_files_of_nearly_one_peak_are_nearly_as_bright(photometric):
    dim, bright = RGB.astype(np.uint16) * 4, RGB.astype(np.uint16) * 4
    dim[0, 0], bright[0, 0] = 1021, 1027
    shown = [read(write_dicom(deep, photometric=photometric, bits=16)) for deep in (dim, bright)]

    assert abs(shown[0].mean() - shown[1].mean()) < 1.5


@pytest.mark.parametrize("photometric", ["RGB", "MONOCHROME2"])
def test_12_bits_said_to_be_16_are_read_as_12(photometric):
    deep = RGB.astype(np.uint16) << 4
    deep[0, 0] = 4095

    assert np.array_equal(read(write_dicom(deep, photometric=photometric, bits=16))[1:], source_of(photometric)[1:])


def test_bits_beside_those_stored_are_left_out():
    source = write_dicom(RGB.astype(np.uint16) << 4, bits=12)
    junk = np.random.default_rng(0).integers(0, 16, RGB.shape, np.uint16)

    pixels = read(change(source, HighBit=15, PixelData=((RGB.astype(np.uint16) << 8) | junk).tobytes()))

    assert np.array_equal(pixels, RGB)


def test_values_beyond_the_bits_of_a_damaged_stream_are_cut():
    deep = RGB[:, :, 1:2].astype(np.uint16) * 257
    coded = bytearray(encode_lossless_jpeg(deep, 16))
    coded[6] = 12  # the stream now says 12 bits

    pixels = read(write_coded([bytes(coded)], SIZE, JPEGLosslessSV1, "MONOCHROME2", samples=1, bits=12))

    assert pixels.shape == GREY.shape


@pytest.mark.parametrize("syntax", COMPRESSED, ids=keyword_of)
def test_a_stream_of_another_size_than_its_header_is_refused(syntax):
    other = encode_frame(draw_fundus(40, 40), syntax, "RGB")

    with pytest.raises(ImageError, match="damaged"):
        read(write_coded([other], SIZE, syntax, "RGB"))


@pytest.mark.parametrize("syntax", COMPRESSED, ids=keyword_of)
def test_pixels_of_another_code_than_the_syntax_names_are_refused_or_read(syntax):
    for code in COMPRESSED:
        source = write_coded([encode_frame(RGB, code, "RGB")], SIZE, syntax, "RGB")
        try:
            pixels = read(source)
        except ImageError:
            continue
        assert pixels.shape == RGB.shape


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, JPEGBaseline8Bit, JPEG2000], ids=keyword_of)
def test_a_dicom_is_read_like_any_photograph(syntax):
    large = draw_fundus(480, 640)
    spec = ImageSpec(size=64)
    png = cv2.imencode(".png", large[:, :, ::-1])[1].tobytes()

    assert psnr(read_photograph(write_dicom(large, syntax, "RGB"), spec), read_photograph(png, spec)) >= 30
