import struct

import numpy as np
import pytest
from dicoms import draw_fundus, encode_frame
from pydicom.uid import JPEG2000Lossless

from sepl.data.imaging.codecs.jpeg_2000_stream import Codestream, read_codestream
from sepl.errors import ImageError

SIDE = 2000
BLACK = encode_frame(np.zeros((SIDE, SIDE, 3), np.uint8), JPEG2000Lossless, "YBR_RCT")
CODING = BLACK.index(b"\xff\x52")


def with_coding(change):
    """The black picture with another coding style segment, of the parameters that `change` makes of its own."""
    (length,) = struct.unpack_from(">H", BLACK, CODING + 2)
    parameters = change(bytearray(BLACK[CODING + 4 : CODING + 2 + length]))
    segment = b"\xff\x52" + struct.pack(">H", len(parameters) + 2) + bytes(parameters)
    return BLACK[:CODING] + segment + BLACK[CODING + 2 + length :]


def with_byte(index, value):
    def change(parameters):
        parameters[index] = value
        return parameters

    return with_coding(change)


@pytest.mark.parametrize(
    ("photometric", "bits", "num_components"), [("RGB", 8, 3), ("YBR_RCT", 12, 3), ("MONOCHROME2", 16, 1)]
)
def test_the_header_is_read(photometric, bits, num_components):
    picture = draw_fundus(48, 64)[:, :, :num_components].astype(np.uint16 if bits > 8 else np.uint8)
    source = encode_frame(picture, JPEG2000Lossless, photometric, bits)

    assert read_codestream(source) == Codestream(64, 48, num_components, bits, photometric == "YBR_RCT")


def test_tiny_precincts_are_refused():
    def shrink(parameters):
        levels = parameters[5]
        return bytes([parameters[0] | 1]) + parameters[1:] + bytes([0x00] + [0x11] * levels)

    with pytest.raises(ImageError, match=r"unsupported JPEG 2000: [0-9]+ precincts"):
        read_codestream(with_coding(shrink))


def test_tiny_tiles_are_refused():
    for side, reason in ((1, "tiles"), (32, "precincts")):
        source = bytearray(BLACK)
        struct.pack_into(">II", source, 24, side, side)

        with pytest.raises(ImageError, match=rf"unsupported JPEG 2000: [0-9]+ {reason}"):
            read_codestream(bytes(source))


def test_tiny_code_blocks_are_refused():
    large = bytearray(with_coding(lambda parameters: parameters[:6] + bytes([0, 0]) + parameters[8:]))
    struct.pack_into(">II", large, 8, 3000, 3000)

    with pytest.raises(ImageError, match=r"unsupported JPEG 2000: [0-9]+ code blocks"):
        read_codestream(bytes(large))


def test_layers_without_end_are_refused():
    def change(parameters):
        medium = [0x77] * (parameters[5] + 1)  # precincts of 128×128
        return bytes([parameters[0] | 1, parameters[1]]) + b"\xff\xff" + parameters[4:] + bytes(medium)

    with pytest.raises(ImageError, match=r"unsupported JPEG 2000: [0-9]+ packets"):
        read_codestream(with_coding(change))


def test_a_component_with_tiny_precincts_of_its_own_is_refused():
    own = bytes([0, 1, 5, 4, 4, 0, 1]) + bytes([0x11] * 6)
    segment = b"\xff\x53" + struct.pack(">H", len(own) + 2) + own

    with pytest.raises(ImageError, match="precincts"):
        read_codestream(BLACK[:CODING] + segment + BLACK[CODING:])


def test_a_tile_coded_in_its_own_way_is_refused():
    tile = BLACK.index(b"\xff\x90")
    (length,) = struct.unpack_from(">H", BLACK, CODING + 2)
    segment = BLACK[CODING : CODING + 2 + length]
    (whole,) = struct.unpack_from(">I", BLACK, tile + 6)
    start = BLACK[tile : tile + 6] + struct.pack(">I", whole + len(segment)) + BLACK[tile + 10 : tile + 12]

    with pytest.raises(ImageError, match="a tile coded in its own way"):
        read_codestream(BLACK[:tile] + start + segment + BLACK[tile + 12 :])


@pytest.mark.parametrize("levels", [33, 255])
def test_more_levels_than_exist_are_refused(levels):
    with pytest.raises(ImageError, match="does not say how it is coded"):
        read_codestream(with_byte(5, levels))


@pytest.mark.parametrize(
    ("place", "value", "reason"),
    [
        (8, 0, "without a size"),
        (24, 0, "without a size"),
        (32, 2**31, "without a size"),
    ],
)
def test_a_grid_that_holds_nothing_is_refused(place, value, reason):
    source = bytearray(BLACK)
    struct.pack_into(">I", source, place, value)

    with pytest.raises(ImageError, match=reason):
        read_codestream(bytes(source))


@pytest.mark.parametrize("place", [44, 43])
def test_components_of_different_size_are_refused(place):
    source = bytearray(BLACK)
    source[place] = 2

    with pytest.raises(ImageError, match="components of different depth or size"):
        read_codestream(bytes(source))


def test_every_part_of_the_headers_is_refused():
    for length in range(len(BLACK)):
        with pytest.raises(ImageError):
            read_codestream(BLACK[:length])
