import struct

import cv2
import numpy as np
import pytest
from dicoms import draw_fundus, encode_frame
from pydicom.uid import RLELossless
from writers.jpeg import encode_lossless_jpeg
from writers.jpeg_ls import encode_jpeg_ls

from sepl.data.imaging.codecs.decoders import decode_jpeg, decode_jpeg_2000, decode_rle
from sepl.errors import ImageError

RGB = draw_fundus(48, 64)
SIZE = (64, 48)
RLE = encode_frame(RGB, RLELossless, "RGB")


class TestRle:
    @pytest.mark.parametrize(
        ("damaged", "reason"),
        [
            (RLE[:60], "cannot hold"),
            (b"\x02" + RLE[1:], "another number of segments"),
            (RLE[:4] + struct.pack("<I", 10) + RLE[8:], "another number of segments"),
            (RLE[:8] + struct.pack("<I", 2**32 - 1) + RLE[12:], "another number of segments"),
            (RLE[:12] + RLE[8:12] + RLE[16:], "another number of segments"),
            (RLE[:-100], "damaged RLE"),
        ],
    )
    def test_damage_is_refused(self, damaged, reason):
        with pytest.raises(ImageError, match=reason):
            decode_rle(damaged, SIZE, 3, 8)

    def test_a_byte_too_many_in_a_segment_is_forgiven(self):
        odd = np.zeros((3, 3, 1), np.uint8)
        segment = bytes([0x100 - 9 + 1 - 0, 0, 0, 7])  # nine zeros, then a literal of one byte
        source = struct.pack("<16I", 1, 64, *[0] * 14) + segment

        assert np.array_equal(decode_rle(source, (3, 3), 1, 8), odd)

    def test_a_size_that_its_bytes_cannot_hold_is_refused_before_it_is_decoded(self):
        with pytest.raises(ImageError, match="cannot hold 60000×60000"):
            decode_rle(RLE, (60_000, 60_000), 3, 8)


class TestJpeg:
    @pytest.mark.parametrize("encode", [encode_lossless_jpeg, encode_jpeg_ls])
    def test_two_scans_of_one_component_are_refused(self, encode):
        source = encode(RGB[:, :, :1], 8)
        scan = source.index(b"\xff\xda")

        with pytest.raises(ImageError, match="2 scans of 1 components"):
            decode_jpeg(source[:-2] + source[scan:-2] + source[-2:], SIZE, 1, False)

    def test_a_lossless_stream_of_less_than_a_bit_a_sample_is_refused(self):
        source = bytearray(encode_lossless_jpeg(RGB, 8))
        struct.pack_into(">HH", source, 7, 1000, 1000)

        with pytest.raises(ImageError, match="hold less than a bit for each sample"):
            decode_jpeg(bytes(source), (1000, 1000), 3, False)

    @pytest.mark.parametrize("transform", [0, 1])
    def test_a_colour_transform_unknown_to_dicom_is_refused(self, transform):
        source = encode_jpeg_ls(RGB, 8)
        marked = source[:2] + b"\xff\xe8\x00\x07mrfx" + bytes([transform]) + source[2:]

        if transform:
            with pytest.raises(ImageError, match="unsupported JPEG-LS"):
                decode_jpeg(marked, SIZE, 3, False)
        else:
            assert np.array_equal(decode_jpeg(marked, SIZE, 3, False).values_HWC, RGB)

    @pytest.mark.parametrize("marker", [0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD])
    def test_hierarchical_and_arithmetic_coding_is_refused(self, marker):
        source = cv2.imencode(".jpg", RGB)[1].tobytes().replace(b"\xff\xc0", bytes([0xFF, marker]))

        with pytest.raises(ImageError, match="unsupported JPEG"):
            decode_jpeg(source, SIZE, 3, False)


@pytest.mark.parametrize("source", [b"", b"\xff\x4f\xff\x51", b"\xff\xd8\xff\xd9", bytes(100)])
def test_what_is_no_jpeg_2000_is_refused(source):
    with pytest.raises(ImageError, match="JPEG 2000"):
        decode_jpeg_2000(source, SIZE, 3, False)
