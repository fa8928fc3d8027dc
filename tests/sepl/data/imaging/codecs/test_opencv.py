import cv2
import numpy as np
import pytest

from sepl.data.imaging.codecs.opencv import REDUCED_COLOUR, REDUCED_GREY, unpack
from sepl.errors import ImageError

JPEG = cv2.imencode(".jpg", np.full((64, 96, 3), 90, np.uint8))[1].tobytes()


@pytest.mark.parametrize("reduction", [1, 2, 4, 8])
def test_a_reduction_divides_the_size(reduction):
    assert unpack(JPEG, REDUCED_COLOUR[reduction], "JPEG").shape == (64 // reduction, 96 // reduction, 3)
    assert unpack(JPEG, REDUCED_GREY[reduction], "JPEG").shape == (64 // reduction, 96 // reduction)


@pytest.mark.parametrize("source", [b"", b"hello", JPEG[:30]])
def test_what_cannot_be_unpacked_is_damaged(source, capfd):
    with pytest.raises(ImageError, match=r"^damaged JPEG$"):
        unpack(source, REDUCED_COLOUR[1], "JPEG")
    assert capfd.readouterr().err == ""
