"""Factor rows drawn from the joint distribution of the 15 factors in people (NHANES 1999–2018).

A Gaussian copula by sex and age band: rank correlations join the factors, quantiles give each its shape. Weight follows
from height and BMI, so the three agree. `factors.json` was written by `derive_factors.py`. NHANES over-samples some
groups and we use no survey weights: this is the distribution of its participants, not of a country.
"""

from collections.abc import Mapping
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from sepl.settings import Settings
from sepl.tasks import CARDIOMETABOLIC_TASKS

FactorRows = Mapping[str, NDArray[np.float64]]
"""Factor name to values (N,), in the units of `sepl.tasks.CARDIOMETABOLIC_TASKS`; sex is 1 for male, 0 for female."""

FACTORS: tuple[str, ...] = tuple(task.name for task in CARDIOMETABOLIC_TASKS)
DRAWN_FACTORS: tuple[str, ...] = tuple(name for name in FACTORS if name not in ("sex", "weight"))
"""What the copula joins (F): sex is the cell's, weight is computed."""

_DECIMALS = {"age": 0, "creatinine": 2, "bmi": 2, "glucose": 0, "triglycerides": 0, "total_cholesterol": 0, "bun": 0}


class FactorCell(Settings):
    """One sex and age band."""

    sex: int
    """1 male, 0 female."""
    age_from: int
    age_to: int
    """Years, exclusive."""
    share: float
    """Share of all people."""
    quantiles: tuple[tuple[float, ...], ...]
    """(F, Q): of each drawn factor at the model's probabilities."""
    correlations: tuple[tuple[float, ...], ...]
    """(F, F): of the Gaussian copula."""


class MissingPattern(Settings):
    """Factors that are absent together."""

    share: float
    absent: tuple[str, ...]


class FactorModel(Settings):
    """The joint distribution and the missingness of one population."""

    source: str
    probabilities: tuple[float, ...]
    cells: tuple[FactorCell, ...]
    missing: tuple[MissingPattern, ...]

    def draw(self, num_patients: int, rng: np.random.Generator) -> dict[str, NDArray[np.float64]]:
        """Complete rows: factor name to values (num_patients,)."""
        shares = np.array([cell.share for cell in self.cells])
        which_N = rng.choice(len(self.cells), size=num_patients, p=shares / shares.sum())
        normals_NF = rng.standard_normal((num_patients, len(DRAWN_FACTORS)))
        values_NF = np.empty_like(normals_NF)
        for index in np.unique(which_N):
            members_N = which_N == index
            values_NF[members_N] = self._in_cell(int(index), normals_NF[members_N])
        rows = dict(zip(DRAWN_FACTORS, values_NF.T, strict=True))
        rows["sex"] = np.array([cell.sex for cell in self.cells], dtype=np.float64)[which_N]
        rounded = {name: np.round(values, _DECIMALS.get(name, 1)) for name, values in rows.items()}
        rounded["weight"] = np.round(rounded["bmi"] * (rounded["height"] / 100) ** 2, 1)
        return {name: rounded[name] for name in FACTORS}

    def draw_absent(self, rng: np.random.Generator) -> frozenset[str]:
        """The factors that one person lacks."""
        shares = np.array([pattern.share for pattern in self.missing])
        return frozenset(self.missing[rng.choice(len(shares), p=shares / shares.sum())].absent)

    def _in_cell(self, index: int, normals_NF: NDArray[np.float64]) -> NDArray[np.float64]:
        cell = self.cells[index]
        uniforms_NF = ndtr(normals_NF @ _cholesky(cell.correlations).T)
        columns = [
            np.interp(uniforms_N, self.probabilities, quantiles)
            for uniforms_N, quantiles in zip(uniforms_NF.T, cell.quantiles, strict=True)
        ]
        return np.stack(columns, axis=1)


@cache
def nhanes_factor_model() -> FactorModel:
    """The model that comes with the package."""
    text = resources.files("sepl.simulation").joinpath("factors.json").read_text("utf-8")
    return FactorModel.parse_json(text, "factors.json")


@cache
def _cholesky(correlations: tuple[tuple[float, ...], ...]) -> NDArray[np.float64]:
    return np.linalg.cholesky(np.array(correlations))
