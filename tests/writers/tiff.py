"""TIFFs in every layout that a header can declare, written byte by byte, as no library of ours writes them."""

import functools
import struct
import zlib

import cv2
import numpy as np

PLAIN, LZW, JPEG, DEFLATE, OLD_DEFLATE, PACK_BITS = 1, 5, 7, 8, 32946, 32773


def write_tiff(
    samples,
    *,
    photometric=None,
    planar=False,
    tile=None,
    strip_rows=None,
    compression=PLAIN,
    predictor=1,
    orientation=None,
    order="<",
    extra=None,
    tags=(),
):
    """A file of samples (H, W) or (H, W, channels), uint8 or uint16, that are stored as they are.

    `tile` is (height, width); `tags` adds or replaces (tag, type, values), or drops a tag where values is None.
    """
    samples = np.atleast_3d(samples)
    height, width, channels = samples.shape
    bits = 8 * samples.itemsize
    planes = [samples[:, :, channel : channel + 1] for channel in range(channels)] if planar else [samples]
    size = tile or (strip_rows or height, width)
    stored = [encode(piece, compression, predictor, order) for plane in planes for piece in cut(plane, size, tile)]
    entries = {
        256: (4, [width]),
        257: (4, [height]),
        258: (3, [bits] * channels),
        259: (3, [compression]),
        262: (3, [(2 if channels >= 3 else 1) if photometric is None else photometric]),
        277: (3, [channels]),
        284: (3, [2 if planar else 1]),
        324 if tile else 273: (4, list(8 + np.cumsum([0, *map(len, stored)])[:-1])),
        325 if tile else 279: (4, list(map(len, stored))),
    }
    entries |= {322: (4, [tile[1]]), 323: (4, [tile[0]])} if tile else {278: (4, [size[0]])}
    if predictor != 1:
        entries[317] = (3, [predictor])
    if orientation is not None:
        entries[274] = (3, [orientation])
    if extra is not None:
        entries[338] = (3, [extra])
    for tag, kind, values in tags:
        entries.pop(tag, None)
        if values is not None:
            entries[tag] = (kind, values)
    return with_directory(b"".join(stored), entries, order)


def with_directory(stored, entries, order="<"):
    """A header, what is stored from byte 8 on, and a directory of {tag: (type, values)}."""
    stored += bytes(len(stored) % 2)
    first = 8 + len(stored)
    behind = first + 2 + 12 * len(entries) + 4
    listed, values = struct.pack(order + "H", len(entries)), b""
    for tag, (kind, numbers) in sorted(entries.items()):
        data = struct.pack(f"{order}{len(numbers)}{' BBHI'[kind]}", *map(int, numbers))
        place = data.ljust(4, b"\0")
        if len(data) > 4:
            place = struct.pack(order + "I", behind + len(values))
            values += data + bytes(len(data) % 2)
        listed += struct.pack(order + "HHI", tag, kind, len(numbers)) + place
    magic = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, first)
    return magic + stored + listed + bytes(4) + values


def cut(plane, size, is_tiled):
    """Tiles are whole, so the last of a row or column goes past the picture; the last strip is as low as it is."""
    height, width = plane.shape[:2]
    for top in range(0, height, size[0]):
        for left in range(0, width, size[1]):
            piece = plane[top : top + size[0], left : left + size[1]]
            missing = (size[0] - piece.shape[0], size[1] - piece.shape[1]) if is_tiled else (0, 0)
            yield np.pad(piece, ((0, missing[0]), (0, missing[1]), (0, 0)), "edge")


def encode(piece, compression, predictor=1, order="<"):
    if compression == JPEG:
        bgr = piece[:, :, ::-1] if piece.shape[2] == 3 else piece[:, :, 0]
        return cv2.imencode(".jpg", np.ascontiguousarray(bgr), [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    if predictor == 2:
        piece = np.concatenate([piece[:, :1], piece[:, 1:] - piece[:, :-1]], axis=1)
    return pack(piece.astype(f"{order}u{piece.itemsize}").tobytes(), compression)


@functools.cache
def pack(data, compression):
    packers = {PLAIN: bytes, DEFLATE: zlib.compress, OLD_DEFLATE: zlib.compress, LZW: lzw, PACK_BITS: pack_bits}
    return packers[compression](data)


def pack_bits(data):
    pieces = [data[start : start + 128] for start in range(0, len(data), 128)]
    return b"".join(bytes([len(piece) - 1]) + piece for piece in pieces)


def lzw(data):
    """Codes of 9 bits only: the table is cleared before it needs a tenth."""
    codes = [256]
    for start in range(0, len(data), 250):
        codes += [*data[start : start + 250], 256]
    bits = "".join(f"{code:09b}" for code in [*codes[:-1], 257])
    bits += "0" * (-len(bits) % 8)
    return int(bits, 2).to_bytes(len(bits) // 8, "big")


def upright(pixels, orientation):
    """As a viewer shows what is stored so, by the words of TIFF 6.0: what row 0 and column 0 are of the picture."""
    return {
        1: lambda stored: stored,
        2: np.fliplr,
        3: lambda stored: np.rot90(stored, 2),
        4: np.flipud,
        5: lambda stored: np.swapaxes(stored, 0, 1),
        6: lambda stored: np.rot90(stored, -1),
        7: lambda stored: np.rot90(np.swapaxes(stored, 0, 1), 2),
        8: lambda stored: np.rot90(stored, 1),
    }[orientation](pixels)
