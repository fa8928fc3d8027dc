"""Derives `factors.json` from the NHANES table.

    python -m sepl.simulation.derive.factors --table nhanes_1999_2018.parquet --out sepl/simulation/factors.json

The table has a row for each adult and the columns of `sepl.tasks.CARDIOMETABOLIC_TASKS`, sex as M or F. Takes seconds.
"""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import tyro
from numpy.typing import NDArray

from sepl.simulation.factors import DRAWN_FACTORS, FACTORS, FactorCell, FactorModel, MissingPattern

AGE_BANDS = (20, 30, 40, 50, 60, 70, 86)
PROBABILITIES = (
    0.001,
    0.005,
    0.01,
    0.025,
    0.05,
    *(round(0.1 * i, 1) for i in range(1, 10)),
    0.95,
    0.975,
    0.99,
    0.995,
    0.999,
)
LEAST_PATTERN_SHARE = 1e-3
"""Rarer patterns of absence (2 % of people) are left out."""


def derive(table: Path, out: Path) -> None:
    """Writes the factor model of a table of people to `out` as JSON."""
    with pq.ParquetFile(table) as file:
        people = file.read().to_pandas()
    people["sex"] = (people["sex"] == "M").astype(float)
    model = FactorModel(
        source="NHANES 1999-2018, adults, unweighted (CDC, through the BioAge R package)",
        probabilities=PROBABILITIES,
        cells=tuple(_cell(people, sex, *band) for sex in (0, 1) for band in pairwise(AGE_BANDS)),
        missing=_missing_patterns(people[list(FACTORS)]),
    )
    out.write_text(json.dumps(model.model_dump(mode="json"), separators=(",", ":")) + "\n", "utf-8")


def _cell(people: pd.DataFrame, sex: int, age_from: int, age_to: int) -> FactorCell:
    members = people[(people["sex"] == sex) & people["age"].between(age_from, age_to, inclusive="left")]
    factors = members[list(DRAWN_FACTORS)].astype(float)
    quantiles_FQ = [factors[name].quantile(list(PROBABILITIES)) for name in DRAWN_FACTORS]
    return FactorCell(
        sex=sex,
        age_from=age_from,
        age_to=age_to,
        share=round(len(members) / len(people), 5),
        quantiles=tuple(tuple(float(f"{value:.4g}") for value in row) for row in quantiles_FQ),
        correlations=_copula_correlations(factors.corr(method="spearman").to_numpy()),
    )


def _copula_correlations(spearman_FF: NDArray[np.float64]) -> tuple[tuple[float, ...], ...]:
    # A Gaussian copula has rank correlation 6/π·asin(ρ/2). Pairwise complete rows need not give a positive definite
    # matrix, so eigenvalues are kept above 0.01 before the diagonal is set back to 1.
    values_F, vectors_FF = np.linalg.eigh(2 * np.sin(np.pi * spearman_FF / 6))
    repaired_FF = (vectors_FF * np.maximum(values_F, 0.01)) @ vectors_FF.T
    scale_F = np.sqrt(np.diag(repaired_FF))
    rounded_FF = np.round(repaired_FF / np.outer(scale_F, scale_F), 3)
    return tuple(tuple(float(value) for value in row) for row in rounded_FF)


def _missing_patterns(factors: pd.DataFrame) -> tuple[MissingPattern, ...]:
    shares = factors.isna().value_counts(normalize=True)
    patterns = [(share, tuple(np.array(FACTORS)[list(absent)])) for absent, share in shares.items()]  # pyright: ignore[reportArgumentType, reportCallIssue]
    return tuple(
        MissingPattern(share=round(float(share), 5), absent=absent)
        for share, absent in patterns
        if share >= LEAST_PATTERN_SHARE
    )


if __name__ == "__main__":
    tyro.cli(derive)
