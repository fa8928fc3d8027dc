import struct

import numpy as np
import pytest
from dicom_pictures import FEW, GREY, RGB, SIZE, change, keyword_of, read
from dicoms import to_palette, write_coded, write_dicom
from openjpeg.utils import encode_array
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, JPEG2000Lossless

from sepl.errors import ImageError


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian], ids=keyword_of)
def test_a_palette_of_8_bits_in_words_of_two_is_read(syntax):
    _, table = to_palette(RGB)
    values = {}
    for name, levels in zip(("Red", "Green", "Blue"), table.T, strict=True):
        words = levels.astype(np.uint8).view("<u2")
        order = ">" if syntax == ExplicitVRBigEndian else "<"
        values[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 8]
        values[f"{name}PaletteColorLookupTableData"] = words.astype(f"{order}u2").tobytes()

    assert np.array_equal(read(write_dicom(RGB, syntax, "PALETTE COLOR", header=values)), FEW)


def test_codes_outside_a_palette_take_its_ends():
    short = {}
    for name, level in (("Red", 10), ("Green", 20), ("Blue", 30)):
        short[f"{name}PaletteColorLookupTableDescriptor"] = [2, 1, 16]
        short[f"{name}PaletteColorLookupTableData"] = struct.pack("<2H", level << 8, (level + 100) << 8)
    source = write_dicom(RGB, ExplicitVRLittleEndian, "PALETTE COLOR", header=short)
    codes = to_palette(RGB)[0]

    pixels = read(source)

    assert (pixels[codes <= 1] == (10, 20, 30)).all()
    assert (pixels[codes >= 2] == (110, 120, 130)).all()


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
def test_deep_grey_is_shown_through_its_window(photometric):
    deep = RGB.astype(np.uint16) + 1000
    window = {"WindowCenter": "1128", "WindowWidth": "256"}
    if photometric == "MONOCHROME1":
        window["WindowCenter"] = str(4095 - 1128 + 1)

    pixels = read(write_dicom(deep, photometric=photometric, bits=12, header=window))

    assert np.abs(pixels.astype(int) - GREY).max() <= 1


def test_a_window_is_in_units_after_rescaling():
    deep = RGB.astype(np.uint16) + 1000
    header = {"WindowCenter": "-744", "WindowWidth": "512", "RescaleSlope": "2", "RescaleIntercept": "-3000"}

    assert (
        np.abs(read(write_dicom(deep, photometric="MONOCHROME2", bits=12, header=header)).astype(int) - GREY).max() <= 1
    )


def test_a_window_leaves_8_bit_grey_alone():
    header = {"WindowCenter": "20", "WindowWidth": "10"}

    assert np.array_equal(read(write_dicom(RGB, photometric="MONOCHROME2", header=header)), GREY)


def test_grey_with_a_sign_keeps_its_order():
    signed = (RGB[:, :, 1].astype(np.int16) - 128) << 4
    source = write_dicom(RGB.astype(np.uint16), photometric="MONOCHROME2", bits=12)

    pixels = read(change(source, PixelRepresentation=1, PixelData=signed.tobytes()))

    assert np.array_equal(pixels, GREY)


def test_jpeg_2000_of_grey_with_a_sign_keeps_its_order():
    signed = (RGB[:, :, 1].astype(np.int16) - 128) << 4
    coded = encode_array(signed, bits_stored=12, use_mct=False)
    source = write_coded([coded], SIZE, JPEG2000Lossless, "MONOCHROME2", samples=1, bits=12)

    assert np.array_equal(read(change(source, PixelRepresentation=1)), GREY)


def test_a_missing_palette_is_told():
    with pytest.raises(ImageError, match="no palette"):
        read(change(write_dicom(RGB, photometric="PALETTE COLOR"), RedPaletteColorLookupTableDescriptor=None))


def test_a_short_palette_is_told():
    source = write_dicom(RGB, photometric="PALETTE COLOR", header={"RedPaletteColorLookupTableData": bytes(8)})

    with pytest.raises(ImageError, match="a palette of 4 colours, should be 256"):
        read(source)
