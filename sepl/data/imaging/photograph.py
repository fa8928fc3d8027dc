"""From the bytes of a photograph to the pixels that a network sees.

    bytes ── decode at reduced scale ── field of view ── square ── resize ──┬── CLAHE ── mirror ──► pixels
                                                                            └── thumbnail ──► quality, picture code

`read_photograph` is the one way in: preparation, offline scoring and the server all call it, so the same file gives the
same pixels everywhere. `examine_photograph` gives the same pixels and, from the same decode, what preparation judges.
"""

import hashlib
from dataclasses import dataclass
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from sepl.data.imaging.decode import Header, decode, read_header
from sepl.data.imaging.field_of_view import Box, blacken_bright_surround, find_field_of_view
from sepl.data.imaging.picture_code import encode_thumbnail
from sepl.data.imaging.quality import THUMBNAIL_SIDE, QualityMeasures, measure_thumbnail, thumbnail
from sepl.errors import ImageError
from sepl.settings import Settings

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


class Normalisation(NamedTuple):
    """A network's input of a pixel 0 … 255 is (pixel / 255 - mean) / std; of red, green, blue."""

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


IMAGENET = Normalisation(IMAGENET_MEAN, IMAGENET_STD)

_CLAHE_CLIP = 2.0  # as the released SePL code, which equalises at full size
_CLAHE_TILES = (8, 8)


class ImageSpec(Settings):
    """How a photograph becomes a network's input; kept with the dataset and with every bundle."""

    size: int = Field(ge=16, le=4096)
    """Side of the square, in pixels."""
    mean: tuple[float, float, float] = IMAGENET_MEAN
    """Of red, green, blue, in 0 … 1; the input of a bundle's network is (pixel / 255 - mean) / std. A dataset keeps
    pixels as they are: there neither is read, since it depends on the network."""
    std: tuple[float, float, float] = IMAGENET_STD
    field_of_view: bool = True
    """Crop to the bright field of view first; False keeps the whole photograph."""
    clahe: bool = False
    """Equalise the lightness (L of LAB) within 8 × 8 tiles with a clip limit of 2, at the working size."""
    mirror_left: bool = False
    """Show left eyes as right ones, so that the optic disc is always on one side; needs to be told the eye."""

    @property
    def normalisation(self) -> Normalisation:
        """Of a bundle's network."""
        return Normalisation(self.mean, self.std)

    def for_network(self, normalisation: Normalisation) -> "ImageSpec":
        """The same with how a network's input is normalised."""
        return self.model_copy(update=normalisation._asdict())


@dataclass(frozen=True, eq=False)
class Photograph:
    """A photograph as the network sees it, with what is needed to judge it and to find its copies."""

    pixels_HWC: NDArray[np.uint8]
    quality: QualityMeasures
    sha256: str
    """Of the thumbnail's pixels, which a copy of the file shares, whatever its header says."""
    perceptual: int
    """64 bits that a copy nearly shares; see `sepl.data.imaging.picture_code`."""
    signature: bytes
    """128 signed bytes that tell copies from look-alikes."""


def read_photograph(source: bytes, spec: ImageSpec, *, frame: int = 0, eye: str = "") -> NDArray[np.uint8]:
    """Pixels (size, size, 3) RGB, contiguous: cropped to the field of view, padded to a square with black, resized.

    `frame` numbers from 0 within a file of several; `eye` is "left", "right" or "" when unknown. Raises ImageError with
    the kind of reason: empty, not an image, truncated, damaged, unsupported, too large, no field of view.
    """
    return _finish(_resize(_decode_square(source, spec, frame), spec.size), spec, eye)


def examine_photograph(source: bytes, spec: ImageSpec, *, frame: int = 0, eye: str = "") -> Photograph:
    """The pixels of `read_photograph` with quality and codes, from one decode. Raises ImageError as it does."""
    square_BGR = _decode_square(source, spec, frame)
    pixels_HWC = _resize(square_BGR, spec.size)
    small = thumbnail(pixels_HWC if spec.size >= THUMBNAIL_SIDE else _to_rgb(square_BGR))
    code = encode_thumbnail(small)
    return Photograph(
        pixels_HWC=_finish(pixels_HWC, spec, eye),
        quality=measure_thumbnail(small),
        sha256=hashlib.sha256(small.pixels_HWC.data).hexdigest(),
        perceptual=code.perceptual,
        signature=code.signature,
    )


def _decode_square(source: bytes, spec: ImageSpec, frame: int) -> NDArray[np.uint8]:
    """The square around the field of view, BGR, as small as the decoder can make it above the sizes that are needed."""
    header = read_header(source)
    least = max(spec.size, THUMBNAIL_SIDE)  # fewer pixels would make every photograph look blurred
    reduction = _reduction_for(header, least)
    try:
        pixels, box = _decode_field(source, header, reduction, spec, frame)
        while reduction > 1 and box.longest < least:  # a field much smaller than its photograph
            reduction //= 2
            pixels, box = _decode_field(source, header, reduction, spec, frame)
        return _square(pixels, box)
    except cv2.error as problem:
        raise ImageError(f"damaged {header.kind}", f"OpenCV gave up ({problem.err})") from problem


def _reduction_for(header: Header, size: int) -> int:
    """The largest reduction that leaves the shorter side at least `size` pixels."""
    if not header.can_reduce:
        return 1
    shorter = min(header.width, header.height)
    return next(reduction for reduction in (8, 4, 2, 1) if reduction == 1 or shorter // reduction >= size)


def _decode_field(
    source: bytes, header: Header, reduction: int, spec: ImageSpec, frame: int
) -> tuple[NDArray[np.uint8], Box]:
    pixels = decode(source, header, reduction, frame)
    if not spec.field_of_view:
        return pixels, Box(0, 0, pixels.shape[1], pixels.shape[0])
    pixels = blacken_bright_surround(pixels)
    return pixels, find_field_of_view(pixels)


def _square(pixels: NDArray[np.uint8], box: Box) -> NDArray[np.uint8]:
    """The box in the middle of a black square, so that a circle stays a circle."""
    crop = pixels[box.top : box.bottom, box.left : box.right]
    height, width = crop.shape[:2]
    if height == width:
        return crop
    top, left = (box.longest - height) // 2, (box.longest - width) // 2
    square = np.zeros((box.longest, box.longest, 3), np.uint8)
    square[top : top + height, left : left + width] = crop
    return square


def _resize(square_BGR: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """RGB at the working size."""
    if square_BGR.shape[0] != size:
        # area averaging does not alias when it shrinks; it would leave blocks when it enlarges
        interpolation = cv2.INTER_AREA if square_BGR.shape[0] > size else cv2.INTER_CUBIC
        square_BGR = cv2.resize(square_BGR, (size, size), interpolation=interpolation)  # type: ignore[assignment]
    return _to_rgb(square_BGR)


def _to_rgb(pixels_BGR: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return cv2.cvtColor(pixels_BGR, cv2.COLOR_BGR2RGB)  # type: ignore[return-value]


def _finish(pixels_HWC: NDArray[np.uint8], spec: ImageSpec, eye: str) -> NDArray[np.uint8]:
    if spec.clahe:
        pixels_HWC = _equalise(pixels_HWC)
    if spec.mirror_left and eye == "left":
        pixels_HWC = np.ascontiguousarray(pixels_HWC[:, ::-1])
    return pixels_HWC


def _equalise(pixels_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Contrast-limited adaptive equalisation of the lightness alone, so that hues stay."""
    lightness, *colour = cv2.split(cv2.cvtColor(pixels_HWC, cv2.COLOR_RGB2LAB))
    equalised = cv2.createCLAHE(clipLimit=_CLAHE_CLIP, tileGridSize=_CLAHE_TILES).apply(lightness)
    return cv2.cvtColor(cv2.merge([equalised, *colour]), cv2.COLOR_LAB2RGB)  # type: ignore[return-value]
