import struct

import cv2
import numpy as np
import pytest
from dicom_pictures import COMPRESSED, RGB, SIZE, change, keyword_of, psnr, read
from dicoms import (
    MULTI_FRAME_COLOUR,
    OPHTHALMIC_16_BIT,
    PLAIN,
    SECONDARY_CAPTURE,
    SECRETS,
    draw_fundus,
    write_coded,
    write_dicom,
)
from pydicom.uid import (
    ExplicitVRBigEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
)

from sepl.data.imaging.decode import read_header
from sepl.data.imaging.dicom.facts import read_facts
from sepl.data.imaging.dicom.layout import read_layout
from sepl.errors import ImageError


@pytest.mark.parametrize("sop_class", [OPHTHALMIC_16_BIT, SECONDARY_CAPTURE, MULTI_FRAME_COLOUR])
def test_the_kind_of_object_does_not_matter(sop_class):
    assert np.array_equal(read(write_dicom(RGB, sop_class=sop_class)), RGB)


@pytest.mark.parametrize("reduction", [2, 4, 8])
@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL", "YBR_FULL_422", "MONOCHROME2"])
def test_a_jpeg_is_decoded_at_a_fraction_of_its_size(photometric, reduction):
    large = draw_fundus(288, 384)
    source = write_dicom(large, JPEGBaseline8Bit, photometric)

    pixels = read(source, reduction)

    assert read_header(source).can_reduce
    expected = large if photometric != "MONOCHROME2" else np.repeat(large[:, :, 1:2], 3, axis=2)
    size = (384 // reduction, 288 // reduction)
    assert psnr(pixels, cv2.resize(expected, size, interpolation=cv2.INTER_AREA)) >= 30


def test_other_syntaxes_stay_at_their_size():
    source = write_dicom(RGB, JPEG2000Lossless)

    assert not read_header(source).can_reduce
    assert np.array_equal(read(source, 4), RGB)


def test_what_is_printed_of_a_file_names_no_one():
    source = write_dicom(RGB)

    for text in (repr(read_facts(source)), repr(read_header(source)), repr(read_layout(source))):
        assert not any(secret in text for secret in SECRETS)


@pytest.mark.parametrize("syntax", [*PLAIN[:3], *COMPRESSED], ids=keyword_of)
def test_a_header_of_60_000_squared_is_refused_before_anything_is_decoded(syntax):
    source = write_dicom(RGB, syntax)
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    large = source
    for element in (0x0010, 0x0011):
        place = source.index(struct.pack(order + "HH", 0x0028, element)) + 8
        large = large[:place] + struct.pack(order + "H", 60_000) + large[place + 2 :]

    with pytest.raises(ImageError, match="too large: 60000×60000"):
        read_header(large)


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"PhotometricInterpretation": "CMYK"}, "unsupported DICOM: its photometric interpretation"),
        ({"PhotometricInterpretation": "YBR_RCT"}, "YBR_RCT outside JPEG 2000"),
        ({"PhotometricInterpretation": "MONOCHROME2"}, "MONOCHROME2 of 3 samples, should be 1"),
        ({"SamplesPerPixel": 4}, "RGB of 4 samples, should be 3"),
        ({"BitsAllocated": 32}, "32 bits allocated"),
        ({"BitsStored": 9}, "9 of 8 bits stored"),
        ({"BitsStored": 4, "HighBit": 3}, "less than 8 bits"),
        ({"Rows": 0}, "no pixels: header says 96×0"),
        ({"Rows": 73}, "bytes of pixels, should be"),
        ({"PixelData": None}, "no pixels"),
        ({"PatientComments": "x", "PixelData": b""}, "bytes of pixels, should be"),
    ],
)
def test_the_reason_says_what_it_should_be(values, reason):
    with pytest.raises(ImageError, match=reason):
        read_header(change(write_dicom(RGB), **values))


def test_an_unknown_transfer_syntax_is_named():
    video = write_coded([bytes(1000)], SIZE, "1.2.840.10008.1.2.4.100", "YBR_FULL")

    with pytest.raises(ImageError, match=r"unsupported DICOM: transfer syntax 1\.2\.840\.10008\.1\.2\.4\.100"):
        read_header(video)
