import cv2
import numpy as np
import pytest
from dicoms import draw_fundus
from hypothesis import given
from hypothesis import strategies as st
from writers.jpeg import compose_jpeg, planes_of, strip_notes

from sepl.data.imaging.codecs.jpeg_stream import SOF_BASELINE, SOF_PROGRESSIVE, read_jpeg_stream, with_colours
from sepl.errors import ImageError

RGB = draw_fundus(48, 64)
JFIF = cv2.imencode(".jpg", RGB)[1].tobytes()


def test_the_headers_are_read():
    stream = read_jpeg_stream(JFIF)

    assert (stream.frame_marker, stream.precision, stream.width, stream.height) == (SOF_BASELINE, 8, 64, 48)
    assert (stream.num_components, stream.num_scans, stream.has_jfif) == (3, 1, True)
    assert stream.adobe_transform is None


def test_scans_are_counted():
    progressive = cv2.imencode(".jpg", RGB, [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1].tobytes()
    stream = read_jpeg_stream(progressive)

    assert stream.frame_marker == SOF_PROGRESSIVE
    assert stream.num_scans == progressive.count(b"\xff\xda") > 3


@pytest.mark.parametrize("adobe", [0, 1, None])
@pytest.mark.parametrize("ids", [b"RGB", b"\1\2\3"])
@pytest.mark.parametrize("otherwise", [True, False])
def test_adobes_marker_comes_before_names_and_names_before_the_header(adobe, ids, otherwise):
    stream = read_jpeg_stream(compose_jpeg(planes_of(RGB), ids=ids, adobe=adobe))

    assert stream.is_ybr(otherwise) == (adobe == 1 if adobe is not None else (otherwise and ids != b"RGB"))


@pytest.mark.parametrize("is_ybr", [True, False])
def test_stated_colours_are_those_that_a_decoder_finds(is_ybr):
    stated = with_colours(JFIF, read_jpeg_stream(JFIF), is_ybr)
    decoded = cv2.imdecode(np.frombuffer(stated, np.uint8), cv2.IMREAD_COLOR_BGR)

    assert decoded is not None
    assert read_jpeg_stream(stated).is_ybr(otherwise=not is_ybr) == is_ybr
    assert (np.abs(decoded.astype(int) - RGB).mean() < 4) == is_ybr


def test_stating_colours_changes_nothing_else():
    stated = with_colours(JFIF, read_jpeg_stream(JFIF), True)

    assert strip_notes(stated) == strip_notes(JFIF)


@given(st.binary(max_size=200))
def test_other_bytes_are_an_image_error_and_nothing_else(rest):
    with pytest.raises(ImageError):
        read_jpeg_stream(b"\xff\xd8" + rest)
