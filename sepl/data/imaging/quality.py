"""Can a photograph be graded, and is it a retina at all? A few plain measures, and limits that a cohort may move.

What refuses in preparation refuses in scoring: the limits go with the dataset into the bundle. Every measure is taken
from the same thumbnail of 112 × 112 pixels, whatever the working size, so that a limit means the same for every dataset
and costs a few hundredths of a millisecond. Nothing here was learnt: each measure is a share, or a percentage, that can
be seen by looking at the photograph. They refuse what nobody could grade and what is no colour fundus photograph; they
cannot tell a retina from every other red round thing.
"""

from dataclasses import dataclass, fields
from typing import Self

import cv2
import numpy as np
from cv2.typing import MatLike
from numpy.typing import NDArray
from pydantic import Field, model_validator

from sepl.data.imaging.reasons import NOT_GRADEABLE, Refusal
from sepl.data.imaging.resize import halve_to
from sepl.settings import Settings

THUMBNAIL_SIDE = 112  # half of the usual 224, which area averaging reaches thirteen times faster than 128

DARK = 20
"""Of 255 in the brightest channel; the surround of the field of view lies below."""
_DIM = 40  # of 255 in the brightest channel: vessels can no longer be told from the retina
_BURNT = 245  # of 255 in green, where vessels are seen best: nothing is left to see
_VESSEL_WINDOW = 7  # pixels of the thumbnail: twice the widest vessel
_RIM = 9  # pixels of the thumbnail: an erosion that takes the step at the rim out of the measures
_CELLS = (16, 16)  # of 7 × 7 pixels of the thumbnail
_MAX_ROUGHNESS = 12  # grey levels; a cell of a retina stays below 10, of print or noise does not
_WITHOUT_SURROUND = 0.97  # share of the square; a circle has 0.785, and the fullest of 1,800 photographs 0.91
_LEAST_INTERIOR = 64  # pixels of the thumbnail; less is a rim, no field


@dataclass(frozen=True)
class QualityMeasures:
    """Of the square that a network sees, before CLAHE. The field is what is brighter than 20 of 255."""

    field_coverage: float
    """Share of the square that is field: 0.785 for a whole circle, less where it is cut, 1 for a view out of one."""
    exposure_low: float
    """Share of the field that is darker than 40 of 255 in every channel."""
    exposure_high: float
    """Share of the field whose green is at 245 of 255 or above."""
    colour: float
    """Share of the field (in cells of a sixteenth of the side) whose red exceeds its blue by 5 % and 4 grey levels."""
    fundus_likeness: float
    """Share of the cells that could be retina: red above blue as for `colour`, red at least nine tenths of green, and
    smoother than print or noise (12 grey levels between neighbours)."""
    sharpness: float
    """Of vessels, in per cent: mean difference of green from its surroundings (a sixteenth of the square), over the
    mean of red or green, whichever is brighter. Sharp photographs have 1 to 4, blank ones less than
    0.4; the working size moves it by an eighth."""

    def as_dict(self) -> dict[str, float]:
        """By name, in the order of `NAMES`."""
        return {name: getattr(self, name) for name in NAMES}  # asdict would copy each value deeply


NAMES: tuple[str, ...] = tuple(field.name for field in fields(QualityMeasures))


class Limits(Settings):
    """What a measure may be; None means no limit."""

    low: float | None = Field(default=None, ge=0.0, allow_inf_nan=False)
    high: float | None = Field(default=None, ge=0.0, allow_inf_nan=False)

    def describe(self) -> str:
        """In words."""
        match self.low, self.high:
            case None, None:
                return "none"
            case low, None:
                return f"at least {low:g}"
            case None, high:
                return f"at most {high:g}"
            case low, high:
                return f"{low:g} to {high:g}"

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"low should not exceed high, {self.low} does {self.high}")
        return self


class QualityThresholds(Settings):
    """The `[quality]` section of a cohort file. `sharpness = {low = 1.0}` asks for more, `sharpness = {}` for nothing.

    The defaults are lenient: of 1,800 photographs of many cameras, taken as they came, they refuse 25, all of them
    blank, burnt or nearly black.
    """

    field_coverage: Limits = Limits(low=0.25)
    exposure_low: Limits = Limits(high=0.65)
    exposure_high: Limits = Limits(high=0.3)
    colour: Limits = Limits(low=0.3)
    colour_without_surround: Limits = Limits(low=0.9)
    """Of `colour` where the field covers 97 % of the square, which no photograph with a dark surround does: wood and
    skin are red too, but hardly fill a picture."""
    fundus_likeness: Limits = Limits(low=0.35)
    sharpness: Limits = Limits(low=0.4, high=12.0)
    """The upper limit is for print and noise; severe simulated disease reaches 10."""


@dataclass(frozen=True, eq=False)
class Thumbnail:
    """What is measured: 112 × 112 pixels, some of their planes, and the field as 255 on 0."""

    pixels_HWC: NDArray[np.uint8]
    green_HW: MatLike
    brightest_HW: MatLike
    field_HW: MatLike


def judge(measures: QualityMeasures, thresholds: QualityThresholds) -> Refusal | None:
    """Why a photograph is refused, as "not gradeable: sharpness 0.02 below 0.4"; None when it is not.

    The first measure beyond its limits is named; what is no photograph of a retina is told before what is a poor one.
    """
    for name, limits in thresholds:
        value = _measure_of(measures, name)
        if value is not None and limits.low is not None and value < limits.low:
            return Refusal(NOT_GRADEABLE, f"{name} {value:.2g} below {limits.low:g}", name)
        if value is not None and limits.high is not None and value > limits.high:
            return Refusal(NOT_GRADEABLE, f"{name} {value:.2g} above {limits.high:g}", name)
    return None


def _measure_of(measures: QualityMeasures, name: str) -> float | None:
    """What a limit is of; None where it does not apply."""
    if name == "colour_without_surround":
        return measures.colour if measures.field_coverage >= _WITHOUT_SURROUND else None
    return getattr(measures, name)


def thumbnail(pixels_HWC: NDArray[np.uint8]) -> Thumbnail:
    """Of square pixels (H, H, 3): by halves as far as that goes, the rest by interpolation."""
    small_HWC = halve_to(pixels_HWC, THUMBNAIL_SIDE)
    if small_HWC.shape[0] != THUMBNAIL_SIDE:
        small_HWC = np.asarray(cv2.resize(small_HWC, (THUMBNAIL_SIDE, THUMBNAIL_SIDE)), np.uint8)
    red, green, blue = cv2.split(small_HWC)
    brightest = cv2.max(cv2.max(red, green), blue)
    return Thumbnail(small_HWC, green, brightest, cv2.threshold(brightest, DARK, 255, cv2.THRESH_BINARY)[1])


def measure_thumbnail(small: Thumbnail) -> QualityMeasures:
    """The measures of what `thumbnail` gave."""
    num_field = cv2.countNonZero(small.field_HW)
    coverage = num_field / THUMBNAIL_SIDE**2
    interior = cv2.erode(small.field_HW, np.ones((_RIM, _RIM), np.uint8), borderValue=0)  # type: ignore[call-overload]
    if cv2.countNonZero(interior) < _LEAST_INTERIOR:
        return QualityMeasures(coverage, 1.0, 0.0, 0.0, 0.0, 0.0)
    detail = cv2.absdiff(small.green_HW, cv2.blur(small.green_HW, (_VESSEL_WINDOW, _VESSEL_WINDOW)))
    light = max(cv2.mean(small.pixels_HWC, interior)[:2])
    colour, likeness = _cells(small)
    return QualityMeasures(
        field_coverage=coverage,
        exposure_low=1 - _num_above(small.brightest_HW, _DIM) / num_field,
        exposure_high=_num_above(small.green_HW, _BURNT - 1) / num_field,
        colour=colour,
        fundus_likeness=likeness,
        sharpness=100 * cv2.mean(detail, interior)[0] / light,
    )


def _num_above(plane_HW: MatLike, level: int) -> int:
    return cv2.countNonZero(cv2.threshold(plane_HW, level, 255, cv2.THRESH_BINARY)[1])


def _cells(small: Thumbnail) -> tuple[float, float]:
    """Shares of the cells of the field that are redder than blue, and that could be retina."""
    is_field = cv2.resize(small.field_HW, _CELLS, interpolation=cv2.INTER_AREA) > 127
    num_cells = np.count_nonzero(is_field)
    if not num_cells:
        return 0.0, 0.0
    cells_HWC = cv2.resize(small.pixels_HWC, _CELLS, interpolation=cv2.INTER_AREA).astype(np.int32)
    red, green, blue = cells_HWC.transpose(2, 0, 1)
    step = cv2.absdiff(small.green_HW, cv2.blur(small.green_HW, (3, 3)))
    rough = cv2.resize(step, _CELLS, interpolation=cv2.INTER_AREA)
    is_warm = is_field & (100 * red > 105 * blue + 400)
    could_be = is_warm & (10 * red >= 9 * green) & (rough <= _MAX_ROUGHNESS)
    return np.count_nonzero(is_warm) / num_cells, np.count_nonzero(could_be) / num_cells
