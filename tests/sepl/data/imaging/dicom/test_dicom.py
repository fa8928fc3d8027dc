import io
import math
import struct
from dataclasses import astuple

import cv2
import numpy as np
import pytest
from dicoms import (
    LOSSY,
    MULTI_FRAME_COLOUR,
    OPHTHALMIC_16_BIT,
    PLAIN,
    SECONDARY_CAPTURE,
    SECRETS,
    draw_fundus,
    encode_frame,
    save,
    to_palette,
    to_ybr,
    write_coded,
    write_dicom,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from jpeg_ls_writer import encode_jpeg_ls
from jpeg_writers import compose_jpeg, encode_extended_jpeg, encode_lossless_jpeg, strip_notes
from openjpeg.utils import encode_array
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    JPEG2000,
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
    RLELossless,
)

from sepl.data.imaging.decode import decode, read_header
from sepl.data.imaging.dicom.facts import is_dicom, read_facts
from sepl.data.imaging.dicom.layout import read_layout
from sepl.data.imaging.photograph import ImageSpec, read_photograph
from sepl.errors import ImageError

RGB = draw_fundus()
SIZE = (RGB.shape[1], RGB.shape[0])
GREY = np.repeat(RGB[:, :, 1:2], 3, axis=2)
FEW = RGB // 48 * 48 + 20  # the colours that the palette keeps
LOSSLESS_CODES = (JPEGLossless, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless, RLELossless)
COMPRESSED = (*LOSSLESS_CODES, JPEGBaseline8Bit, JPEGLSNearLossless, JPEG2000)

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


def read(source, reduction=1, frame=0):
    """RGB pixels."""
    return decode(source, read_header(source), reduction, frame)[:, :, ::-1]


def source_of(photometric):
    return {"M": GREY, "P": FEW}.get(photometric[0], RGB)


def psnr(pixels, expected):
    error = np.mean((pixels.astype(float) - expected) ** 2)
    return math.inf if error == 0 else 10 * math.log10(255**2 / error)


def change(source, **values):
    """The file with these elements set, or removed where None."""
    dataset = dcmread(io.BytesIO(source))
    for keyword, value in values.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return save(dataset)


def keyword_of(value):
    return value.keyword if isinstance(value, UID) else str(value)


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


@pytest.mark.parametrize("sop_class", [OPHTHALMIC_16_BIT, SECONDARY_CAPTURE, MULTI_FRAME_COLOUR])
def test_the_kind_of_object_does_not_matter(sop_class):
    assert np.array_equal(read(write_dicom(RGB, sop_class=sop_class)), RGB)


class TestColours:
    @pytest.mark.parametrize("syntax", PLAIN, ids=keyword_of)
    @pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
    def test_colour_by_plane_is_read_as_colour_by_pixel(self, syntax, photometric):
        assert psnr(read(write_dicom(RGB, syntax, photometric, planar=1)), RGB) >= 45

    def test_chroma_named_shared_but_stored_whole_is_read_whole(self):
        assert psnr(read(write_dicom(RGB, ExplicitVRLittleEndian, "YBR_FULL_422", keep_chroma=True)), RGB) >= 50

    def test_shared_chroma_costs_no_colour_at_an_edge_between_pairs(self):
        halves = np.zeros((8, 16, 3), np.uint8)
        halves[:, :8], halves[:, 8:] = (200, 40, 40), (40, 200, 40)

        pixels = read(write_dicom(halves, ExplicitVRLittleEndian, "YBR_FULL_422"))

        # the last pixel before the edge lies between two chroma samples
        assert psnr(pixels[:, :7], halves[:, :7]) >= 45
        assert psnr(pixels[:, 8:], halves[:, 8:]) >= 45

    @pytest.mark.parametrize("claimed", ["RGB", "YBR_FULL", "YBR_FULL_422"])
    @pytest.mark.parametrize("stored", ["RGB", "YBR_FULL"])
    def test_adobes_marker_in_a_jpeg_outweighs_the_header(self, stored, claimed):
        planes = cv2.split(RGB if stored == "RGB" else to_ybr(RGB))
        jpeg = compose_jpeg(planes, ids=b"\1\2\3", adobe=0 if stored == "RGB" else 1)

        assert psnr(read(write_coded([jpeg], SIZE, JPEGBaseline8Bit, claimed)), RGB) >= 40

    @pytest.mark.parametrize("claimed", ["RGB", "YBR_FULL", "YBR_FULL_422"])
    def test_components_named_r_g_b_are_rgb(self, claimed):
        jpeg = compose_jpeg(cv2.split(RGB), ids=b"RGB", adobe=None)

        assert psnr(read(write_coded([jpeg], SIZE, JPEGBaseline8Bit, claimed)), RGB) >= 40

    @pytest.mark.parametrize("claimed", ["RGB", "YBR_FULL", "YBR_FULL_422"])
    def test_a_jfif_picture_is_ybr_whatever_the_header_claims(self, claimed):
        jpeg = cv2.imencode(".jpg", RGB[:, :, ::-1])[1].tobytes()

        assert psnr(read(write_coded([jpeg], SIZE, JPEGBaseline8Bit, claimed)), RGB) >= 35

    @pytest.mark.parametrize("claimed", ["RGB", "YBR_FULL"])
    def test_shared_chroma_is_ybr_without_any_marker(self, claimed):
        sampling = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422]
        jpeg = strip_notes(cv2.imencode(".jpg", RGB[:, :, ::-1], sampling)[1].tobytes())

        assert psnr(read(write_coded([jpeg], SIZE, JPEGBaseline8Bit, claimed)), RGB) >= 35

    @pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
    def test_a_jpeg_without_any_mark_is_what_the_header_says(self, photometric):
        planes = cv2.split(RGB if photometric == "RGB" else to_ybr(RGB))
        jpeg = compose_jpeg(planes, ids=b"\1\2\3", adobe=None)

        assert psnr(read(write_coded([jpeg], SIZE, JPEGBaseline8Bit, photometric)), RGB) >= 40

    def test_an_orientation_noted_in_the_jpeg_turns_nothing(self):
        exif = b"Exif\0\0MM\0*\0\0\0\x08" + struct.pack(">HHHIHHI", 1, 0x0112, 3, 1, 6, 0, 0)
        jpeg = cv2.imencode(".jpg", RGB[:, :, ::-1])[1].tobytes()
        noted = jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]

        assert psnr(read(write_coded([noted], SIZE, JPEGBaseline8Bit, "YBR_FULL_422")), RGB) >= 35

    @pytest.mark.parametrize("claimed", ["RGB", "YBR_FULL", "YBR_RCT", "YBR_ICT"])
    def test_a_transform_noted_in_jpeg_2000_gives_rgb_whatever_the_header_claims(self, claimed):
        coded = encode_frame(RGB, JPEG2000Lossless, "YBR_RCT")

        assert np.array_equal(read(write_coded([coded], SIZE, JPEG2000Lossless, claimed)), RGB)

    def test_jpeg_2000_in_its_own_file_format_is_read(self):
        bare = encode_frame(RGB, JPEG2000Lossless, "YBR_RCT")
        boxes = b"\0\0\0\x0cjP  \r\n\x87\n" + struct.pack(">I4s", 0, b"jp2c")

        assert np.array_equal(read(write_coded([boxes + bare], SIZE, JPEG2000Lossless, "YBR_RCT")), RGB)

    @pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
    def test_jpeg_ls_with_a_scan_a_channel_is_read(self, photometric):
        stored = RGB if photometric == "RGB" else to_ybr(RGB)
        coded = encode_jpeg_ls(stored, 8, is_interleaved=False)

        assert psnr(read(write_coded([coded], SIZE, JPEGLSLossless, photometric)), RGB) >= 45

    @pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian], ids=keyword_of)
    def test_a_palette_of_8_bits_in_words_of_two_is_read(self, syntax):
        _, table = to_palette(RGB)
        values = {}
        for name, levels in zip(("Red", "Green", "Blue"), table.T, strict=True):
            words = levels.astype(np.uint8).view("<u2")
            order = ">" if syntax == ExplicitVRBigEndian else "<"
            values[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 8]
            values[f"{name}PaletteColorLookupTableData"] = words.astype(f"{order}u2").tobytes()

        assert np.array_equal(read(write_dicom(RGB, syntax, "PALETTE COLOR", header=values)), FEW)

    def test_codes_outside_a_palette_take_its_ends(self):
        short = {}
        for name, level in (("Red", 10), ("Green", 20), ("Blue", 30)):
            short[f"{name}PaletteColorLookupTableDescriptor"] = [2, 1, 16]
            short[f"{name}PaletteColorLookupTableData"] = struct.pack("<2H", level << 8, (level + 100) << 8)
        source = write_dicom(RGB, ExplicitVRLittleEndian, "PALETTE COLOR", header=short)
        codes = to_palette(RGB)[0]

        pixels = read(source)

        assert (pixels[codes <= 1] == (10, 20, 30)).all()
        assert (pixels[codes >= 2] == (110, 120, 130)).all()


class TestDepth:
    @pytest.mark.parametrize(("bits", "photometric"), [(12, "RGB"), (16, "RGB"), (12, "YBR_FULL"), (16, "MONOCHROME2")])
    @pytest.mark.parametrize(
        "syntax", [*PLAIN, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless, RLELossless], ids=keyword_of
    )
    def test_a_deep_picture_is_brought_to_8_bits_by_the_bits_stored(self, syntax, bits, photometric):
        deep = RGB.astype(np.uint16) << (bits - 8)
        deep[0, 0] = 2**bits - 1

        pixels = read(write_dicom(deep, syntax, photometric, bits=bits, sop_class=OPHTHALMIC_16_BIT))

        assert psnr(pixels[1:], source_of(photometric)[1:]) >= 45

    @pytest.mark.parametrize("adobe", [None, 0, 1])
    @pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL", "MONOCHROME2"])
    def test_jpeg_of_12_bits_is_read_in_the_colours_of_its_markers(self, photometric, adobe):
        deep = RGB.astype(np.uint16) << 4
        stored = to_ybr(deep, 12) if (adobe == 1 or (adobe is None and photometric == "YBR_FULL")) else deep
        planes = cv2.split(stored) if photometric != "MONOCHROME2" else [deep[:, :, 1]]
        jpeg = encode_extended_jpeg(planes, 12, ids=b"\1\2\3"[: len(planes)], adobe=adobe)

        pixels = read(write_coded([jpeg], SIZE, JPEGExtended12Bit, photometric, samples=len(planes), bits=12))

        assert psnr(pixels, source_of(photometric)) >= 45

    @pytest.mark.parametrize("photometric", ["RGB", "MONOCHROME2"])
    def test_two_files_of_nearly_one_peak_are_nearly_as_bright(self, photometric):
        dim, bright = RGB.astype(np.uint16) * 4, RGB.astype(np.uint16) * 4
        dim[0, 0], bright[0, 0] = 1021, 1027
        shown = [read(write_dicom(deep, photometric=photometric, bits=16)) for deep in (dim, bright)]

        assert abs(shown[0].mean() - shown[1].mean()) < 1.5

    @pytest.mark.parametrize("photometric", ["RGB", "MONOCHROME2"])
    def test_12_bits_said_to_be_16_are_read_as_12(self, photometric):
        deep = RGB.astype(np.uint16) << 4
        deep[0, 0] = 4095

        assert np.array_equal(read(write_dicom(deep, photometric=photometric, bits=16))[1:], source_of(photometric)[1:])

    def test_bits_beside_those_stored_are_left_out(self):
        source = write_dicom(RGB.astype(np.uint16) << 4, bits=12)
        junk = np.random.default_rng(0).integers(0, 16, RGB.shape, np.uint16)

        pixels = read(change(source, HighBit=15, PixelData=((RGB.astype(np.uint16) << 8) | junk).tobytes()))

        assert np.array_equal(pixels, RGB)

    @pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
    def test_deep_grey_is_shown_through_its_window(self, photometric):
        deep = RGB.astype(np.uint16) + 1000
        window = {"WindowCenter": "1128", "WindowWidth": "256"}
        if photometric == "MONOCHROME1":
            window["WindowCenter"] = str(4095 - 1128 + 1)

        pixels = read(write_dicom(deep, photometric=photometric, bits=12, header=window))

        assert np.abs(pixels.astype(int) - GREY).max() <= 1

    def test_a_window_is_in_units_after_rescaling(self):
        deep = RGB.astype(np.uint16) + 1000
        header = {"WindowCenter": "-744", "WindowWidth": "512", "RescaleSlope": "2", "RescaleIntercept": "-3000"}

        assert (
            np.abs(read(write_dicom(deep, photometric="MONOCHROME2", bits=12, header=header)).astype(int) - GREY).max()
            <= 1
        )

    def test_a_window_leaves_8_bit_grey_alone(self):
        header = {"WindowCenter": "20", "WindowWidth": "10"}

        assert np.array_equal(read(write_dicom(RGB, photometric="MONOCHROME2", header=header)), GREY)

    def test_grey_with_a_sign_keeps_its_order(self):
        signed = (RGB[:, :, 1].astype(np.int16) - 128) << 4
        source = write_dicom(RGB.astype(np.uint16), photometric="MONOCHROME2", bits=12)

        pixels = read(change(source, PixelRepresentation=1, PixelData=signed.tobytes()))

        assert np.array_equal(pixels, GREY)

    def test_jpeg_2000_of_grey_with_a_sign_keeps_its_order(self):
        signed = (RGB[:, :, 1].astype(np.int16) - 128) << 4
        coded = encode_array(signed, bits_stored=12, use_mct=False)
        source = write_coded([coded], SIZE, JPEG2000Lossless, "MONOCHROME2", samples=1, bits=12)

        assert np.array_equal(read(change(source, PixelRepresentation=1)), GREY)

    def test_values_beyond_the_bits_of_a_damaged_stream_are_cut(self):
        deep = RGB[:, :, 1:2].astype(np.uint16) * 257
        coded = bytearray(encode_lossless_jpeg(deep, 16))
        coded[6] = 12  # the stream now says 12 bits

        pixels = read(write_coded([bytes(coded)], SIZE, JPEGLosslessSV1, "MONOCHROME2", samples=1, bits=12))

        assert pixels.shape == GREY.shape


class TestFrames:
    @pytest.mark.parametrize("syntax", [*PLAIN, *COMPRESSED], ids=keyword_of)
    def test_each_frame_is_a_photograph(self, syntax):
        frames = [draw_fundus(seed=seed) for seed in range(3)]
        source = write_dicom(frames, syntax, sop_class=MULTI_FRAME_COLOUR)

        assert read_header(source).num_frames == 3
        assert read_facts(source).num_frames == 3
        for number, frame in enumerate(frames):
            assert psnr(read(source, frame=number), frame) >= (30 if syntax in LOSSY else 45)

    def test_bytes_in_big_endian_words_are_put_in_order(self):
        frames = [draw_fundus(7, 9, seed=seed) for seed in range(3)]  # of an odd number of bytes
        source = write_dicom(frames, ExplicitVRBigEndian)
        swapped = np.frombuffer(dcmread(io.BytesIO(source)).PixelData, "<u2").astype(">u2").tobytes()
        start = source.index(b"\x7f\xe0\x00\x10OB")
        words = source[: start + 4] + b"OW" + source[start + 6 : start + 12] + swapped

        for number, frame in enumerate(frames):
            assert np.array_equal(read(words, frame=number), frame)

    @pytest.mark.parametrize("has_offsets", [True, False])
    @pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless])
    def test_a_frame_in_several_fragments_is_put_together(self, syntax, has_offsets):
        frames = [draw_fundus(seed=seed) for seed in range(2)]
        coded = [
            encode_frame(frame, syntax, "RGB", **({"adobe": 0} if syntax == JPEGBaseline8Bit else {}))
            for frame in frames
        ]
        source = write_coded(coded, SIZE, syntax, "RGB", fragments=3, has_offsets=has_offsets)

        for number, frame in enumerate(frames):
            assert psnr(read(source, frame=number), frame) >= 40

    def test_an_extended_offset_table_is_followed(self):
        frames = [draw_fundus(seed=seed) for seed in range(2)]
        coded = [encode_frame(frame, JPEG2000Lossless, "RGB") for frame in frames]

        source = write_coded(coded, SIZE, JPEG2000Lossless, "RGB", is_extended=True)

        assert np.array_equal(read(source, frame=1), frames[1])

    def test_a_frame_beyond_the_last_is_refused(self):
        source = write_dicom(RGB)

        with pytest.raises(ImageError, match="frame 1 of a file of 1"):
            decode(source, read_header(source), frame=1)

    @pytest.mark.parametrize("claimed", ["2", "1000000000", "0", "-1", "many"])
    @pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless, JPEG2000Lossless], ids=keyword_of)
    def test_a_number_of_frames_that_the_file_does_not_hold_is_refused(self, syntax, claimed):
        source = write_dicom([RGB, RGB, RGB], syntax)
        lie = source.replace(b"IS\x02\x003 ", b"IS" + struct.pack("<H", len(claimed)) + claimed.encode())

        assert lie != source
        with pytest.raises(ImageError, match="damaged DICOM"):
            read_header(lie)

    def test_frames_that_the_header_does_not_own_up_to_are_refused(self):
        with pytest.raises(ImageError, match="damaged DICOM: 2 fragments make 2 frames, NumberOfFrames says 1"):
            read_header(change(write_dicom([RGB, RGB], JPEG2000Lossless), NumberOfFrames=None))

    @pytest.mark.parametrize("reduction", [2, 4, 8])
    @pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL", "YBR_FULL_422", "MONOCHROME2"])
    def test_a_jpeg_is_decoded_at_a_fraction_of_its_size(self, photometric, reduction):
        large = draw_fundus(288, 384)
        source = write_dicom(large, JPEGBaseline8Bit, photometric)

        pixels = read(source, reduction)

        assert read_header(source).can_reduce
        expected = large if photometric != "MONOCHROME2" else np.repeat(large[:, :, 1:2], 3, axis=2)
        size = (384 // reduction, 288 // reduction)
        assert psnr(pixels, cv2.resize(expected, size, interpolation=cv2.INTER_AREA)) >= 30

    def test_other_syntaxes_stay_at_their_size(self):
        source = write_dicom(RGB, JPEG2000Lossless)

        assert not read_header(source).can_reduce
        assert np.array_equal(read(source, 4), RGB)


class TestFacts:
    def test_the_facts_of_a_header_are_read(self):
        facts = read_facts(write_dicom(RGB))

        assert astuple(facts) == (1, "P-0042", "right", "2021-03-02", 61.0, 0.0, "Maker Model 1", False)

    def test_what_is_printed_of_a_file_names_no_one(self):
        source = write_dicom(RGB)

        for text in (repr(read_facts(source)), repr(read_header(source)), repr(read_layout(source))):
            assert not any(secret in text for secret in SECRETS)

    @pytest.mark.parametrize("syntax", PLAIN, ids=keyword_of)
    def test_every_byte_order_gives_the_same_facts(self, syntax):
        assert read_facts(write_dicom(RGB, syntax)) == read_facts(write_dicom(RGB))

    @pytest.mark.parametrize(
        ("text", "years"), [("045Y", 45), ("018M", 1.5), ("010W", 0.1916), ("100D", 0.2738), ("7", 7)]
    )
    def test_an_age_is_in_years(self, text, years):
        source = _with_raw_text(write_dicom(RGB), b"061Y", text.encode().ljust(4))

        assert read_facts(source).age == pytest.approx(years, abs=1e-3)

    def test_without_an_age_it_is_the_years_from_birth_to_the_photograph(self):
        assert read_facts(write_dicom(RGB, header={"PatientAge": None})).age == 61

    @pytest.mark.parametrize(
        ("born", "age"), [("19600301", 61), ("19600302", 61), ("19600303", 60), ("20220101", math.nan)]
    )
    def test_such_an_age_is_whole_years_so_that_it_does_not_tell_the_birth_date(self, born, age):
        header = {"PatientAge": None, "PatientBirthDate": born}

        assert read_facts(write_dicom(RGB, header=header)).age == pytest.approx(age, nan_ok=True)

    @pytest.mark.parametrize("removed", ["PatientBirthDate", "AcquisitionDateTime"])
    def test_without_age_and_dates_the_age_is_unknown(self, removed):
        header = {"PatientAge": None, removed: None} | ({"StudyDate": None} if removed != "PatientBirthDate" else {})

        assert math.isnan(read_facts(write_dicom(RGB, header=header)).age)

    @pytest.mark.parametrize(
        ("text", "date"),
        [
            ("20210302", "2021-03-02"),
            ("2021.03.02", "2021-03-02"),
            ("2021-03-02", "2021-03-02"),
            ("20211302", ""),
            ("", ""),
        ],
    )
    def test_a_date_is_read_in_both_spellings(self, text, date):
        header = {"AcquisitionDateTime": None, "StudyDate": None, "SeriesDescription": "x" * 10}
        source = write_dicom(RGB, header=header)
        place = source.index(b"\x08\x00\x3e\x10LO")  # any element: its tag becomes that of the acquisition date
        element = b"\x08\x00\x22\x00DA" + struct.pack("<H", 10) + text.encode().ljust(10)

        assert read_facts(source[:place] + element + source[place + 18 :]).acquired == date

    @pytest.mark.parametrize("keyword", ["AcquisitionDate", "ContentDate", "SeriesDate", "StudyDate"])
    def test_any_of_the_usual_dates_will_do(self, keyword):
        header = {"AcquisitionDateTime": None, "StudyDate": None, keyword: "20190504"}
        if keyword == "StudyDate":
            del header["StudyDate"]
            header["StudyDate"] = "20190504"

        assert read_facts(write_dicom(RGB, header=header)).acquired == "2019-05-04"

    @pytest.mark.parametrize(
        ("header", "eye"),
        [
            ({"ImageLaterality": "L"}, "left"),
            ({"ImageLaterality": None, "Laterality": "R"}, "right"),
            ({"ImageLaterality": "B", "Laterality": "L"}, "left"),
            ({"ImageLaterality": "B"}, ""),
            ({"ImageLaterality": None}, ""),
        ],
    )
    def test_the_eye_is_read_from_either_tag(self, header, eye):
        assert read_facts(write_dicom(RGB, header=header)).eye == eye

    @pytest.mark.parametrize(("text", "sex"), [("M", 1.0), ("F", 0.0), ("O", math.nan), (None, math.nan)])
    def test_sex_is_one_for_male(self, text, sex):
        assert read_facts(write_dicom(RGB, header={"PatientSex": text})).sex == pytest.approx(sex, nan_ok=True)

    @pytest.mark.parametrize("syntax", [*PLAIN, *COMPRESSED], ids=keyword_of)
    def test_the_bytes_before_the_pixels_are_enough(self, syntax):
        source = write_dicom([RGB, RGB], syntax)
        if syntax == DeflatedExplicitVRLittleEndian:
            header = source[: len(source) // 4]
        else:
            header = source[: source.index(struct.pack(">H" if syntax == ExplicitVRBigEndian else "<H", 0x7FE0)) + 12]

        assert read_facts(header) == read_facts(source)

    def test_an_empty_header_gives_nothing(self):
        left_out = ("PatientID", "PatientSex", "PatientAge", "PatientBirthDate", "StudyDate", "AcquisitionDateTime")
        left_out += ("Manufacturer", "ManufacturerModelName", "ImageLaterality")
        facts = read_facts(write_dicom(RGB, header=dict.fromkeys(left_out)))

        assert (facts.patient, facts.eye, facts.acquired, facts.camera) == ("", "", "", "")
        assert math.isnan(facts.age)
        assert math.isnan(facts.sex)

    @pytest.mark.parametrize("syntax", PLAIN, ids=keyword_of)
    def test_sequences_however_deep_are_stepped_over(self, syntax):
        inner = Dataset()
        inner.PatientID = "not this one"
        inner.Rows = 1
        for _ in range(20):
            outer = Dataset()
            outer.ReferencedStudySequence = [inner]
            outer["ReferencedStudySequence"].is_undefined_length = True
            inner = outer
        source = change(write_dicom(RGB, syntax), ReferencedStudySequence=[inner, inner])

        assert read_facts(source) == read_facts(write_dicom(RGB))
        assert np.array_equal(read(source), RGB)

    @pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian], ids=keyword_of)
    def test_a_file_without_a_preamble_is_read(self, syntax):
        whole = write_dicom(RGB, syntax)
        bare = whole[whole.index(b"\x08\x00\x16\x00") :]

        assert is_dicom(bare)
        assert read_facts(bare) == read_facts(whole)
        assert np.array_equal(read(bare), RGB)

    @pytest.mark.parametrize("source", [b"", b"DICM", bytes(200), b"\x08\x00" * 40, b"patient,age\n" * 20])
    def test_other_bytes_are_no_dicom(self, source):
        assert not is_dicom(source)
        with pytest.raises(ImageError):
            read_facts(source)


class TestRefusals:
    @pytest.mark.parametrize("syntax", [*PLAIN[:3], *COMPRESSED], ids=keyword_of)
    def test_a_header_of_60_000_squared_is_refused_before_anything_is_decoded(self, syntax):
        source = write_dicom(RGB, syntax)
        order = ">" if syntax == ExplicitVRBigEndian else "<"
        large = source
        for element in (0x0010, 0x0011):
            place = source.index(struct.pack(order + "HH", 0x0028, element)) + 8
            large = large[:place] + struct.pack(order + "H", 60_000) + large[place + 2 :]

        with pytest.raises(ImageError, match="too large: 60000×60000"):
            read_header(large)

    def test_a_deflated_bomb_is_refused(self):
        source = write_dicom(np.zeros((3000, 3000, 3), np.uint8), DeflatedExplicitVRLittleEndian)

        with pytest.raises(ImageError, match="too large: inflates to more than"):
            read_header(source)

    @pytest.mark.parametrize("syntax", COMPRESSED, ids=keyword_of)
    def test_a_stream_of_another_size_than_its_header_is_refused(self, syntax):
        other = encode_frame(draw_fundus(40, 40), syntax, "RGB")

        with pytest.raises(ImageError, match="damaged"):
            read(write_coded([other], SIZE, syntax, "RGB"))

    @pytest.mark.parametrize("syntax", COMPRESSED, ids=keyword_of)
    def test_pixels_of_another_code_than_the_syntax_names_are_refused_or_read(self, syntax):
        for code in COMPRESSED:
            source = write_coded([encode_frame(RGB, code, "RGB")], SIZE, syntax, "RGB")
            try:
                pixels = read(source)
            except ImageError:
                continue
            assert pixels.shape == RGB.shape

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
    def test_the_reason_says_what_it_should_be(self, values, reason):
        with pytest.raises(ImageError, match=reason):
            read_header(change(write_dicom(RGB), **values))

    def test_an_unknown_transfer_syntax_is_named(self):
        video = write_coded([bytes(1000)], SIZE, "1.2.840.10008.1.2.4.100", "YBR_FULL")

        with pytest.raises(ImageError, match=r"unsupported DICOM: transfer syntax 1\.2\.840\.10008\.1\.2\.4\.100"):
            read_header(video)

    def test_a_missing_palette_is_told(self):
        with pytest.raises(ImageError, match="no palette"):
            read(change(write_dicom(RGB, photometric="PALETTE COLOR"), RedPaletteColorLookupTableDescriptor=None))

    def test_a_short_palette_is_told(self):
        source = write_dicom(RGB, photometric="PALETTE COLOR", header={"RedPaletteColorLookupTableData": bytes(8)})

        with pytest.raises(ImageError, match="a palette of 4 colours, should be 256"):
            read(source)

    @pytest.mark.parametrize("syntax", [*PLAIN, *COMPRESSED], ids=keyword_of)
    def test_every_part_of_a_file_is_refused_and_no_reason_names_the_patient(self, syntax):
        source = write_dicom([RGB, RGB], syntax)
        lengths = np.random.default_rng(0).integers(0, len(source) - 200, 60)

        for length in lengths:
            with pytest.raises(ImageError) as caught:
                read(source[:length], frame=1)
            assert not any(secret in str(caught.value) for secret in SECRETS)

    def test_damage_within_the_fragments_is_refused(self):
        source = write_dicom([RGB, RGB], JPEG2000Lossless)
        item = source.index(b"\xfe\xff\x00\xe0")

        for damage in (b"\xfe\xff\x01\xe0", b"\xfe\xff\x00\xe0\xff\xff\xff\x7f"):
            with pytest.raises(ImageError, match=r"damaged DICOM|truncated DICOM"):
                read_header(source[:item] + damage + source[item + len(damage) :])

    def test_an_offset_table_that_points_between_fragments_is_refused(self):
        coded = [encode_frame(RGB, JPEG2000Lossless, "RGB")] * 2
        source = write_coded(coded, SIZE, JPEG2000Lossless, "RGB", fragments=2)
        table = source.index(b"\xfe\xff\x00\xe0") + 8

        with pytest.raises(ImageError, match="offset table"):
            read_header(source[: table + 4] + struct.pack("<I", 7) + source[table + 8 :])


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, JPEGBaseline8Bit, JPEG2000], ids=keyword_of)
def test_a_dicom_is_read_like_any_photograph(syntax):
    large = draw_fundus(480, 640)
    spec = ImageSpec(size=64)
    png = cv2.imencode(".png", large[:, :, ::-1])[1].tobytes()

    assert psnr(read_photograph(write_dicom(large, syntax, "RGB"), spec), read_photograph(png, spec)) >= 30


def _with_raw_text(source, old, new):
    assert source.count(old) == 1
    return source.replace(old, new)
