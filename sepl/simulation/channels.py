"""Channels: what a photograph shows of a person, as numbers, before anything is drawn.

A channel's value is a formula of the factors plus noise that both eyes share plus noise of each eye, in units of about
one standard deviation over people, kept within ±`LIMIT`. The directions follow what is known of eyes; the strengths
are chosen, not measured, and larger than in people. `docs/simulator.md` gives the reasons. Several channels mix a
target with priors (a product, an offset), so that they can only be read by someone who knows the priors.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sepl.simulation.factors import FactorRows

LIMIT = 3.0
"""Largest absolute value of a channel."""

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Channel:
    """One visible property of the eye."""

    name: str
    expected: Callable[[FactorRows], Values]
    """Factor rows (N,) to the expected value (N,)."""
    patient_noise: float
    """Standard deviation of what both eyes share."""
    eye_noise: float
    """Standard deviation of each eye by itself."""


def _age(rows: FactorRows) -> Values:
    return (rows["age"] - 50) / 18


def _sex(rows: FactorRows) -> Values:
    return 2 * rows["sex"] - 1  # +1 male, -1 female


def _bmi(rows: FactorRows) -> Values:
    return np.log(rows["bmi"] / 28) / 0.22


def _height(rows: FactorRows) -> Values:
    return (rows["height"] - 167) / 10


def _sbp(rows: FactorRows) -> Values:
    return (rows["sbp"] - 124) / 19


def _dbp(rows: FactorRows) -> Values:
    return (rows["dbp"] - 70) / 12


def _cholesterol(rows: FactorRows) -> Values:
    return (rows["total_cholesterol"] - 195) / 41


def _glucose(rows: FactorRows) -> Values:
    return np.log(rows["glucose"] / 95) / 0.18


def _hba1c(rows: FactorRows) -> Values:
    return np.log(rows["hba1c"] / 5.5) / 0.11


def _triglycerides(rows: FactorRows) -> Values:
    return np.log(rows["triglycerides"] / 110) / 0.55


def _bun(rows: FactorRows) -> Values:
    return np.log(rows["bun"] / 13) / 0.38


def _uric_acid(rows: FactorRows) -> Values:
    return (rows["uric_acid"] - 5.4) / 1.45


def _grows(rows: FactorRows, rate: float) -> Values:
    """Gain that grows with age, 1 at 50 years."""
    return np.maximum(1 + rate * _age(rows), 0.2)


def filtration_rate(rows: FactorRows) -> Values:
    """Estimated glomerular filtration rate, ml/min/1.73 m², by CKD-EPI 2021 from creatinine (mg/dL), age and sex."""
    male = rows["sex"] > 0.5
    ratio = rows["creatinine"] / np.where(male, 0.9, 0.7)
    low = np.minimum(ratio, 1) ** np.where(male, -0.302, -0.241)
    return 142 * low * np.maximum(ratio, 1) ** -1.2 * 0.9938 ** rows["age"] * np.where(male, 1.0, 1.012)


def _artery_narrowing(rows: FactorRows) -> Values:
    # Beaver Dam: 7.0 µm narrower for each 10 mmHg of mean pressure at 43-54 years, 2.5 µm at 75-84 (Wong et al. 2003):
    # a gain that falls by 0.38 of its value at 50 for every 18 years.
    return (0.5 * _sbp(rows) + 0.7 * _dbp(rows)) * _grows(rows, -0.38) + 0.3 * _age(rows)


def _lens_yellowing(rows: FactorRows) -> Values:
    return _age(rows) + 0.7 * _hba1c(rows) * _grows(rows, 0.4)  # glycation adds up over the years


def _fundus_pallor(rows: FactorRows) -> Values:
    return -np.log(filtration_rate(rows) / 95) / 0.27


CHANNELS: tuple[Channel, ...] = (
    Channel("nerve_fibre_sheen", lambda rows: -_age(rows), 0.3, 0.3),
    Channel("lens_yellowing", _lens_yellowing, 0.25, 0.25),
    Channel("fovea_depth", lambda rows: 0.6 * _sex(rows), 0.55, 0.55),
    Channel("peripapillary_tone", lambda rows: -0.6 * _sex(rows), 0.55, 0.55),
    Channel("disc_size", lambda rows: -_height(rows), 0.4, 0.4),
    Channel("tessellation", lambda rows: 0.6 * _height(rows) + 0.6 * _age(rows), 0.4, 0.4),
    Channel("disc_margin_blur", _bmi, 0.4, 0.4),
    Channel("artery_narrowing", _artery_narrowing, 0.3, 0.3),
    Channel("artery_reflex", lambda rows: _sbp(rows) * _grows(rows, 0.3) + 0.5 * _age(rows), 0.3, 0.3),
    Channel("vein_width", lambda rows: 0.9 * _uric_acid(rows) + 0.5 * _bmi(rows) - 0.4 * _age(rows), 0.3, 0.3),
    Channel("vessel_cream", lambda rows: _triglycerides(rows) * (1 + 0.4 * _sex(rows)), 0.3, 0.3),
    Channel("fundus_pallor", _fundus_pallor, 0.3, 0.3),
    Channel("disc_pallor", lambda rows: 0.9 * _bun(rows) + 0.3 * _age(rows), 0.4, 0.4),
    Channel("haemorrhages", lambda rows: 0.6 * _hba1c(rows) + 0.4 * _glucose(rows), 0.3, 0.3),
    Channel("exudates", lambda rows: _glucose(rows) * _grows(rows, 0.3) - 0.3 * _age(rows), 0.3, 0.3),
    Channel("drusen", lambda rows: _cholesterol(rows) * _grows(rows, 0.35) + 0.7 * _age(rows), 0.3, 0.3),
)

CHANNEL_NAMES: tuple[str, ...] = tuple(channel.name for channel in CHANNELS)


def expected_channels(rows: FactorRows) -> Values:
    """Expected values (N, C) of all channels for factor rows of N people."""
    return np.stack([channel.expected(rows) for channel in CHANNELS], axis=1)


def draw_channels(rows: FactorRows, rng: np.random.Generator) -> Values:
    """Values as drawn in the pictures, (N, 2, C): right eye, left eye."""
    expected_NC = expected_channels(rows)
    patient_NC = rng.standard_normal(expected_NC.shape) * [channel.patient_noise for channel in CHANNELS]
    eye_NEC = rng.standard_normal((len(expected_NC), 2, len(CHANNELS))) * [channel.eye_noise for channel in CHANNELS]
    return np.clip((expected_NC + patient_NC)[:, None] + eye_NEC, -LIMIT, LIMIT)
