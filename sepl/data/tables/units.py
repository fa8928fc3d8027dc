"""Units of the built-in factors: from what a laboratory writes to what sepl works in, and which unit a column is in.

Molar masses are sums of IUPAC's abridged standard atomic weights (2021): C 12.011, H 1.008, N 14.007, O 15.999.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_MOLAR_MASS = {  # g/mol
    "glucose": 6 * 12.011 + 12 * 1.008 + 6 * 15.999,  # C6H12O6, 180.156
    "cholesterol": 27 * 12.011 + 46 * 1.008 + 15.999,  # C27H46O, 386.664
    "triolein": 57 * 12.011 + 104 * 1.008 + 6 * 15.999,  # C57H104O6, 885.453; stands for triglycerides by convention
    "creatinine": 4 * 12.011 + 7 * 1.008 + 3 * 14.007 + 15.999,  # C4H7N3O, 113.120
    "uric acid": 5 * 12.011 + 4 * 1.008 + 4 * 14.007 + 3 * 15.999,  # C5H4N4O3, 168.112
    "urea": 12.011 + 4 * 1.008 + 2 * 14.007 + 15.999,  # CH4N2O, 60.056
    "urea nitrogen": 2 * 14.007,  # the two N of a urea molecule, 28.014
}
_NITROGEN_OF_UREA = _MOLAR_MASS["urea nitrogen"] / _MOLAR_MASS["urea"]


@dataclass(frozen=True)
class Unit:
    """A unit that a column may be in: value in the factor's own unit = slope · value + offset."""

    name: str
    slope: float
    source: str
    """Where the factor comes from."""
    offset: float = 0.0
    spellings: tuple[str, ...] = ()

    def convert(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Into the factor's own unit."""
        return self.slope * values + self.offset


@dataclass(frozen=True)
class Quantity:
    """The units of one built-in task; the first is the task's own."""

    units: tuple[Unit, ...]
    usual: tuple[float, float]
    """Between these lies the median of about any cohort of adults, in the task's own unit; tells units apart."""

    def unit(self, text: str) -> Unit:
        """The unit that a cohort file names. Raises ValueError naming the choices."""
        for unit in self.units:
            if _spelled(text) in {_spelled(name) for name in (unit.name, *unit.spellings)}:
                return unit
        raise ValueError(f"unit should be one of {', '.join(unit.name for unit in self.units)}, was {text!r}")

    def guess(self, values: NDArray[np.float64], declared: Unit) -> tuple[Unit, ...]:
        """The units that the median of these values, declared to be in `declared`, fits instead.

        Empty when it fits the declared unit, or no other.
        """
        finite = values[np.isfinite(values)]
        if not len(finite) or self._fits(float(np.median(finite)), declared):
            return ()
        return tuple(unit for unit in self.units if self._fits(float(np.median(finite)), unit))

    def _fits(self, median: float, unit: Unit) -> bool:
        low, high = self.usual
        return low <= unit.slope * median + unit.offset <= high


def quantity_of(task: str) -> Quantity | None:
    """The units of a built-in task; None for a task of a cohort's own, or one without unit."""
    return QUANTITIES.get(task)


def _own(name: str, *spellings: str) -> Unit:
    return Unit(name, 1.0, "sepl's own", spellings=spellings)


def _molar(name: str, substance: str, per_litre: float, *spellings: str) -> Unit:
    """mmol/L (per_litre 1e-3) or µmol/L (1e-6) to mg/dL: mol/L · g/mol = g/L, and 1 g/L = 100 mg/dL."""
    slope = per_litre * _MOLAR_MASS[substance] * 100
    return Unit(name, slope, f"molar mass of {substance} {_MOLAR_MASS[substance]:.3f} g/mol", spellings=spellings)


_SI = "SI prefixes"
_INCH = "international inch 2.54 cm, 1959 agreement"
_POUND = "international pound 0.45359237 kg, 1959 agreement"

_LENGTHS = (
    _own("cm", "centimetre", "centimeter"),
    Unit("in", 2.54, _INCH, spellings=("inch", "inches", '"')),
    Unit("m", 100.0, _SI, spellings=("metre", "meter")),
    Unit("mm", 0.1, _SI),
)
FEET_AND_INCHES = Unit("ft+in", 2.54, _INCH, spellings=("ft in", "ft-in", "feet and inches", "ft/in"))
"""Heights written 5'11"; the reader gives inches."""

_PRESSURES = (
    _own("mmHg"),
    Unit("kPa", 1 / 0.133322387415, "mmHg = 133.322387415 Pa, NIST SP 811"),
    Unit("cmHg", 10.0, _SI),
)
_MG_DL = _own("mg/dL", "mg/100 mL", "mg%")
_G_L = Unit("g/L", 100.0, _SI)
_MG_L = Unit("mg/L", 0.1, _SI)
_UMOL = ("umol/L", "micromol/L")


QUANTITIES: dict[str, Quantity] = {
    "age": Quantity(
        (
            _own("y", "a", "yr", "yrs", "year", "years"),
            Unit("months", 1 / 12, "12 months a year", spellings=("month", "mo")),
            Unit("days", 1 / 365.25, "365.25 days a year (Julian)", spellings=("day", "d")),
        ),
        (5, 110),
    ),
    "height": Quantity((*_LENGTHS, Unit("ft", 30.48, _INCH, spellings=("feet", "foot")), FEET_AND_INCHES), (100, 200)),
    "weight": Quantity(
        (
            _own("kg"),
            Unit("lb", 0.45359237, _POUND, spellings=("lbs", "pound", "pounds")),
            Unit("st", 6.35029318, "14 international pounds", spellings=("stone",)),
            Unit("g", 0.001, _SI),
        ),
        (35, 120),
    ),
    "bmi": Quantity((_own("kg/m2"),), (15, 45)),
    "waist": Quantity(_LENGTHS, (55, 140)),
    "sbp": Quantity(_PRESSURES, (95, 175)),
    "dbp": Quantity(_PRESSURES, (50, 110)),
    "total_cholesterol": Quantity((_MG_DL, _molar("mmol/L", "cholesterol", 1e-3), _G_L), (110, 280)),
    "glucose": Quantity((_MG_DL, _molar("mmol/L", "glucose", 1e-3), _G_L), (65, 250)),
    "triglycerides": Quantity((_MG_DL, _molar("mmol/L", "triolein", 1e-3), _G_L), (50, 350)),
    "hba1c": Quantity(
        (
            _own("%", "percent", "% NGSP", "NGSP"),
            Unit(
                "mmol/mol",
                0.09148,
                "NGSP = 0.09148 · IFCC + 2.152, the NGSP/IFCC master equation (ngsp.org/ifcc.asp)",
                2.152,
                ("mmol/mol IFCC", "IFCC"),
            ),
            Unit("fraction", 100.0, "per cent"),
        ),
        (4.2, 11),
    ),
    "bun": Quantity(
        (
            _own("mg/dL", "mg/dL BUN", "mg/dL N"),
            _molar("mmol/L", "urea nitrogen", 1e-3, "mmol/L urea", "mmol/L BUN"),
            Unit(
                "mg/dL urea",
                _NITROGEN_OF_UREA,
                "28.014 g of nitrogen in 60.056 g of urea",
                spellings=("mg/dL of urea",),
            ),
            Unit(
                "g/L urea",
                100 * _NITROGEN_OF_UREA,
                "28.014 g of nitrogen in 60.056 g of urea",
                spellings=("g/L of urea",),
            ),
        ),
        (7, 24),  # urea in mg/dL has its median from about 25
    ),
    "creatinine": Quantity((_MG_DL, _molar("µmol/L", "creatinine", 1e-6, *_UMOL), _MG_L), (0.4, 5)),
    "uric_acid": Quantity(
        (_MG_DL, _molar("µmol/L", "uric acid", 1e-6, *_UMOL), _molar("mmol/L", "uric acid", 1e-3), _MG_L), (3, 10)
    ),
}
"""By task."""


def _spelled(text: str) -> str:
    text = text.casefold().replace("\u00b5", "u").replace("\u03bc", "u").replace("²", "2").replace("^", "")
    return text.replace(" ", "")
