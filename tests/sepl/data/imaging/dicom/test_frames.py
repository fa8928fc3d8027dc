import io
import struct

import numpy as np
import pytest
from dicom_pictures import COMPRESSED, RGB, SIZE, change, keyword_of, psnr, read
from dicoms import LOSSY, MULTI_FRAME_COLOUR, PLAIN, draw_fundus, encode_frame, write_coded, write_dicom
from pydicom import dcmread
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from sepl.data.imaging.decode import decode, read_header
from sepl.data.imaging.dicom.facts import read_facts
from sepl.errors import ImageError


@pytest.mark.parametrize("syntax", [*PLAIN, *COMPRESSED], ids=keyword_of)
def test_each_frame_is_a_photograph(syntax):
    frames = [draw_fundus(seed=seed) for seed in range(3)]
    source = write_dicom(frames, syntax, sop_class=MULTI_FRAME_COLOUR)

    assert read_header(source).num_frames == 3
    assert read_facts(source).num_frames == 3
    for number, frame in enumerate(frames):
        assert psnr(read(source, frame=number), frame) >= (30 if syntax in LOSSY else 45)


def test_bytes_in_big_endian_words_are_put_in_order():
    frames = [draw_fundus(7, 9, seed=seed) for seed in range(3)]  # of an odd number of bytes
    source = write_dicom(frames, ExplicitVRBigEndian)
    swapped = np.frombuffer(dcmread(io.BytesIO(source)).PixelData, "<u2").astype(">u2").tobytes()
    start = source.index(b"\x7f\xe0\x00\x10OB")
    words = source[: start + 4] + b"OW" + source[start + 6 : start + 12] + swapped

    for number, frame in enumerate(frames):
        assert np.array_equal(read(words, frame=number), frame)


@pytest.mark.parametrize("has_offsets", [True, False])
@pytest.mark.parametrize("syntax", [JPEGBaseline8Bit, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless])
def test_a_frame_in_several_fragments_is_put_together(syntax, has_offsets):
    frames = [draw_fundus(seed=seed) for seed in range(2)]
    coded = [
        encode_frame(frame, syntax, "RGB", **({"adobe": 0} if syntax == JPEGBaseline8Bit else {})) for frame in frames
    ]
    source = write_coded(coded, SIZE, syntax, "RGB", fragments=3, has_offsets=has_offsets)

    for number, frame in enumerate(frames):
        assert psnr(read(source, frame=number), frame) >= 40


def test_an_extended_offset_table_is_followed():
    frames = [draw_fundus(seed=seed) for seed in range(2)]
    coded = [encode_frame(frame, JPEG2000Lossless, "RGB") for frame in frames]

    source = write_coded(coded, SIZE, JPEG2000Lossless, "RGB", is_extended=True)

    assert np.array_equal(read(source, frame=1), frames[1])


def test_a_frame_beyond_the_last_is_refused():
    source = write_dicom(RGB)

    with pytest.raises(ImageError, match="frame 1 of a file of 1"):
        decode(source, read_header(source), frame=1)


@pytest.mark.parametrize("claimed", ["2", "1000000000", "0", "-1", "many"])
@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless, JPEG2000Lossless], ids=keyword_of)
def test_a_number_of_frames_that_the_file_does_not_hold_is_refused(syntax, claimed):
    source = write_dicom([RGB, RGB, RGB], syntax)
    lie = source.replace(b"IS\x02\x003 ", b"IS" + struct.pack("<H", len(claimed)) + claimed.encode())

    assert lie != source
    with pytest.raises(ImageError, match="damaged DICOM"):
        read_header(lie)


def test_frames_that_the_header_does_not_own_up_to_are_refused():
    with pytest.raises(ImageError, match="damaged DICOM: 2 fragments make 2 frames, NumberOfFrames says 1"):
        read_header(change(write_dicom([RGB, RGB], JPEG2000Lossless), NumberOfFrames=None))


def test_damage_within_the_fragments_is_refused():
    source = write_dicom([RGB, RGB], JPEG2000Lossless)
    item = source.index(b"\xfe\xff\x00\xe0")

    for damage in (b"\xfe\xff\x01\xe0", b"\xfe\xff\x00\xe0\xff\xff\xff\x7f"):
        with pytest.raises(ImageError, match=r"damaged DICOM|truncated DICOM"):
            read_header(source[:item] + damage + source[item + len(damage) :])


def test_an_offset_table_that_points_between_fragments_is_refused():
    coded = [encode_frame(RGB, JPEG2000Lossless, "RGB")] * 2
    source = write_coded(coded, SIZE, JPEG2000Lossless, "RGB", fragments=2)
    table = source.index(b"\xfe\xff\x00\xe0") + 8

    with pytest.raises(ImageError, match="offset table"):
        read_header(source[: table + 4] + struct.pack("<I", 7) + source[table + 8 :])
