"""DICOM files for tests, of an RGB picture in every transfer syntax and photometric interpretation that we read."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from openjpeg.utils import encode_array as encode_jpeg_2000
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate, encapsulate_extended
from pydicom.pixels.encoders.base import RLELosslessEncoder
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
from writers.jpeg import Plane, compose_jpeg, encode_lossless_jpeg, planes_of
from writers.jpeg_ls import encode_jpeg_ls

OPHTHALMIC_8_BIT = UID("1.2.840.10008.5.1.4.1.1.77.1.5.1")
OPHTHALMIC_16_BIT = UID("1.2.840.10008.5.1.4.1.1.77.1.5.2")
SECONDARY_CAPTURE = UID("1.2.840.10008.5.1.4.1.1.7")
MULTI_FRAME_COLOUR = UID("1.2.840.10008.5.1.4.1.1.7.4")

PLAIN = (ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)
SECRETS = ("Secret", "P-0042", "19600229")
"""What stands in every file and should stand in no message: name, patient id, birth date."""
LOSSY = (JPEGBaseline8Bit, JPEGExtended12Bit, JPEGLSNearLossless, JPEG2000)

Picture = Plane


def draw_fundus(height: int = 72, width: int = 96, seed: int = 0) -> NDArray[np.uint8]:
    """(height, width, 3) RGB: a reddish disc with a pale spot and dark lines, smooth enough that shared chroma fits."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:height, :width].astype(np.float64)
    radius = np.hypot(rows - height / 2, columns - width / 2) / (0.48 * min(height, width))
    disc = 1 / (1 + np.exp((radius - 1) * 12))
    spot = np.exp(-((rows - height * 0.45) ** 2 + (columns - width * 0.62) ** 2) / (0.01 * height * width))
    vessels = sum(np.sin((rows * np.cos(turn) + columns * np.sin(turn)) / 7 + turn) for turn in rng.uniform(0, 6, 3))
    levels = [(150, 80, 25), (70, 110, 20), (35, 70, 12)]
    channels = [disc * (base + bright * spot + dark * 0.3 * vessels) for base, bright, dark in levels]
    return np.clip(np.stack(channels, axis=2) + 6, 0, 255).astype(np.uint8)


def to_ybr(rgb: Picture, bits: int = 8) -> Picture:
    """The full-range luminance and chroma of PS3.3 C.7.6.3.1.2."""
    weights = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
    ybr = rgb.astype(np.float64) @ weights.T + np.array([0, 2 ** (bits - 1), 2 ** (bits - 1)])
    return np.clip(np.rint(ybr), 0, 2**bits - 1).astype(rgb.dtype)


def to_palette(rgb: Picture) -> tuple[NDArray[np.uint8], NDArray[np.uint16]]:
    """Codes (height, width) and their colours (256, 3) of a picture brought down to few colours."""
    few = rgb // 48 * 48 + 20
    colours, codes = np.unique(few.reshape(-1, 3), axis=0, return_inverse=True)
    table = np.zeros((256, 3), np.uint16)
    table[: len(colours)] = colours
    return codes.reshape(rgb.shape[:2]).astype(np.uint8), table


def write_dicom(
    rgb: Picture | Sequence[Picture],
    syntax: str = ExplicitVRLittleEndian,
    photometric: str = "RGB",
    *,
    bits: int = 8,
    planar: int = 0,
    sop_class: UID = OPHTHALMIC_8_BIT,
    header: Mapping[str, object] | None = None,
    **options: Any,
) -> bytes:
    """A DICOM file of one RGB picture or of several frames; `bits` are those stored, `options` go to the encoder.

    Grey interpretations store the green channel. `header` sets or, with None, removes elements by keyword.
    """
    frames = [rgb] if isinstance(rgb, np.ndarray) else list(rgb)
    stored = [_stored(frame, photometric, bits) for frame in frames]
    dataset = _new_dataset(stored[0], UID(syntax), photometric, bits, planar, sop_class)
    if len(frames) > 1:
        dataset.NumberOfFrames = len(frames)
    if photometric == "PALETTE COLOR":
        _add_palette(dataset, to_palette(frames[0])[1])
    if UID(syntax) in PLAIN:
        dataset.PixelData = _even(b"".join(_plain(frame, dataset, options) for frame in stored))
        dataset["PixelData"].VR = "OW" if bits > 8 else "OB"
    else:
        coded = [encode_frame(frame, syntax, photometric, bits, **options) for frame in stored]
        dataset.PixelData = encapsulate(coded)
        dataset["PixelData"].VR = "OB"
    for keyword, value in (header or {}).items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    return save(dataset)


def write_coded(
    frames: Sequence[bytes],
    size: tuple[int, int],
    syntax: str,
    photometric: str,
    *,
    samples: int = 3,
    bits: int = 8,
    fragments: int = 1,
    has_offsets: bool = True,
    is_extended: bool = False,
) -> bytes:
    """A DICOM file around frames that are coded already; `size` is (width, height)."""
    empty = np.zeros((size[1], size[0], samples), np.uint16 if bits > 8 else np.uint8)
    dataset = _new_dataset(empty, UID(syntax), photometric, bits, 0, SECONDARY_CAPTURE)
    dataset.NumberOfFrames = len(frames)
    if is_extended:
        data, dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths = encapsulate_extended(list(frames))
        dataset.PixelData = data
    else:
        dataset.PixelData = encapsulate(list(frames), fragments_per_frame=fragments, has_bot=has_offsets)
    dataset["PixelData"].VR = "OB"
    return save(dataset)


def save(dataset: FileDataset) -> bytes:
    """The bytes of a dataset's file."""
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def encode_frame(stored: Picture, syntax: str, photometric: str, bits: int = 8, **options: Any) -> bytes:
    """One frame, already in the colours of its photometric interpretation, in a compressed transfer syntax."""
    match UID(syntax):
        case uid if uid in (JPEGBaseline8Bit, JPEGExtended12Bit):
            return _encode_baseline(stored, photometric, **options)
        case uid if uid in (JPEGLossless, JPEGLosslessSV1):
            return encode_lossless_jpeg(stored, bits)
        case uid if uid in (JPEGLSLossless, JPEGLSNearLossless):
            return encode_jpeg_ls(stored, bits, near=2 if uid == JPEGLSNearLossless else 0, **options)
        case uid if uid in (JPEG2000, JPEG2000Lossless):
            return _encode_jpeg_2000(stored, photometric, bits, is_lossy=uid == JPEG2000)
        case uid if uid == RLELossless:
            return _encode_rle(stored, bits)
    raise ValueError(f"no encoder for {syntax}")


def _stored(rgb: Picture, photometric: str, bits: int) -> Picture:
    if photometric == "PALETTE COLOR":
        return to_palette(rgb)[0][:, :, None]
    if photometric == "MONOCHROME1":
        return 2**bits - 1 - rgb[:, :, 1:2]
    if photometric == "MONOCHROME2":
        return rgb[:, :, 1:2]
    return to_ybr(rgb, bits) if photometric.startswith("YBR_FULL") else rgb


def _new_dataset(stored: Picture, syntax: UID, photometric: str, bits: int, planar: int, sop_class: UID) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = UID("1.2.826.0.1.3680043.8.498.1")
    meta.TransferSyntaxUID = syntax
    dataset = FileDataset(
        "",
        {},
        file_meta=meta,
        preamble=bytes(128),
        is_implicit_VR=syntax.is_implicit_VR,
        is_little_endian=syntax.is_little_endian,
    )
    dataset.SOPClassUID = sop_class
    dataset.SOPInstanceUID = meta.MediaStorageSOPInstanceUID
    dataset.Modality = "OP"
    dataset.PatientName = "Secret^Secret"
    dataset.PatientID = "P-0042"
    dataset.PatientBirthDate = "19600229"
    dataset.PatientSex = "F"
    dataset.PatientAge = "061Y"
    dataset.StudyDate = "20210301"
    dataset.AcquisitionDateTime = "20210302101500"
    dataset.Manufacturer = "Maker"
    dataset.ManufacturerModelName = "Model 1"
    dataset.ImageLaterality = "R"
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = stored.shape
    dataset.PhotometricInterpretation = photometric
    if stored.shape[2] > 1:
        dataset.PlanarConfiguration = planar
    dataset.BitsAllocated = 16 if bits > 8 else 8
    dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = bits, bits - 1, 0
    return dataset


def _add_palette(dataset: FileDataset, table: NDArray[np.uint16]) -> None:
    for name, levels in zip(("Red", "Green", "Blue"), table.T, strict=True):
        setattr(dataset, f"{name}PaletteColorLookupTableDescriptor", [256, 0, 16])
        order = ">" if dataset.file_meta.TransferSyntaxUID == ExplicitVRBigEndian else "<"
        words = (levels << 8).astype(f"{order}u2")
        setattr(dataset, f"{name}PaletteColorLookupTableData", words.tobytes())


def _plain(stored: Picture, dataset: FileDataset, options: Mapping[str, Any]) -> bytes:
    order = ">" if dataset.file_meta.TransferSyntaxUID == ExplicitVRBigEndian else "<"
    if dataset.PhotometricInterpretation == "YBR_FULL_422" and not options.get("keep_chroma"):
        chroma = stored[:, 0::2, 1:]
        pairs = [stored[:, 0::2, :1], stored[:, 1::2, :1], chroma]
        return np.concatenate(pairs, axis=2).tobytes()
    if stored.shape[2] > 1 and dataset.PlanarConfiguration == 1:
        stored = stored.transpose(2, 0, 1)
    return stored.astype(stored.dtype.newbyteorder(order)).tobytes()


def _even(data: bytes) -> bytes:
    return data + bytes(len(data) % 2)


def _encode_baseline(
    stored: Picture, photometric: str, *, quality: int = 95, ids: bytes = b"\1\2\3", adobe: int | None = None
) -> bytes:
    if photometric == "YBR_FULL_422":
        rgb = cv2.cvtColor(np.ascontiguousarray(stored[:, :, (0, 2, 1)]), cv2.COLOR_YCrCb2BGR)
        sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_422
        flags = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
        return cv2.imencode(".jpg", rgb, flags)[1].tobytes()
    planes = planes_of(stored)
    return compose_jpeg(planes, ids=ids[: len(planes)], adobe=adobe, quality=quality)


def _encode_jpeg_2000(stored: Picture, photometric: str, bits: int, is_lossy: bool) -> bytes:
    has_transform = photometric in ("YBR_RCT", "YBR_ICT")
    ratios = [4.0] if is_lossy else None
    picture = stored if stored.shape[2] > 1 else stored[:, :, 0]
    return encode_jpeg_2000(
        np.ascontiguousarray(picture),
        bits_stored=bits,
        photometric_interpretation=1 if has_transform else 0,
        use_mct=has_transform,
        compression_ratios=ratios,
    )


def _encode_rle(stored: Picture, bits: int) -> bytes:
    rows, columns, samples = stored.shape
    return RLELosslessEncoder.encode(
        stored if samples > 1 else stored[:, :, 0],
        encoding_plugin="pydicom",
        rows=rows,
        columns=columns,
        samples_per_pixel=samples,
        number_of_frames=1,
        bits_allocated=16 if bits > 8 else 8,
        bits_stored=bits,
        pixel_representation=0,
        photometric_interpretation="RGB"
        if samples > 1
        else "MONOCHROME2",  # it knows no deep YBR; the bytes are the same
        planar_configuration=0,
    )
