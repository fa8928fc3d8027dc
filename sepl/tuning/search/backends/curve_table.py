"""A table of curves: settings that were trained once, a row a setting and epoch, to search in again and again.

Parquet columns: `config` (int), `params.NAME` a hyperparameter each, `epoch` from 1, `skill` of that epoch on the
validation patients, `best_skill` so far (NaN from where it diverged), `seconds` of the epoch, `test_skill` or null. The
file's metadata names its space: `sepl.space` is a JSON list of {name, kind: categorical | float | int, low, high, log,
choices}; without it the space is what the columns hold.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.storages import BaseStorage

from sepl.errors import ConfigError
from sepl.tuning.search.backends.simulated import ROW, TrainedCurve

SPACE = b"sepl.space"
_PREFIX = "params."
_COLUMNS = ("config", "epoch", "best_skill", "seconds")
_LOG_RANGE = 100.0  # a positive column that spans this factor is searched in logarithms where no space is named


@dataclass(frozen=True)
class CurveTable:
    """Settings and what training them came to."""

    space: Mapping[str, BaseDistribution]
    params: Sequence[Mapping[str, Any]]
    """A setting's hyperparameters; those that it does not have are left out."""
    curves: Sequence[TrainedCurve]

    @classmethod
    def read(cls, path: str | Path) -> "CurveTable":
        """Raises ConfigError for a file that is no such table."""
        try:
            with pq.ParquetFile(path) as file:
                table = file.read()
        except (OSError, ValueError) as problem:
            raise ConfigError(f"--table should be a Parquet table of curves, {path} is not: {problem}") from None
        names = [name.removeprefix(_PREFIX) for name in table.column_names if name.startswith(_PREFIX)]
        absent = [name for name in _COLUMNS if name not in table.column_names]
        if absent or not names:
            raise ConfigError(f"{path} should have the column {absent[0] if absent else 'params.NAME'}, has none")
        metadata = (table.schema.metadata or {}).get(SPACE)
        rows = table.sort_by([("config", "ascending"), ("epoch", "ascending")]).to_pylist()
        settings: dict[int, list[dict[str, Any]]] = {}
        for row in rows:
            settings.setdefault(row["config"], []).append(row)
        params = [_params(rows[0], names) for rows in settings.values()]
        space = _inferred_space(params) if metadata is None else _named_space(json.loads(metadata))
        params = [{name: _as_offered(space[name], value) for name, value in one.items()} for one in params]
        return cls(space, params, [_curve(rows, str(path)) for rows in settings.values()])

    @property
    def num_epochs(self) -> int:
        return max(len(curve.best_skills) for curve in self.curves)

    @property
    def best_skill(self) -> float:
        """Of the best setting at its end."""
        return float(np.nanmax([curve.best_skills[-1] for curve in self.curves]))

    def distances(self) -> "Distances":
        return Distances(self.space, self.params)


class Distances:
    """How far a proposal is from each setting: the sum over hyperparameters, each 0 … 1.

    A categorical one counts 1 where it differs; a number its difference over the range, in logarithms where it is
    searched in them; one that a setting does not have counts nothing.
    """

    def __init__(self, space: Mapping[str, BaseDistribution], params: Sequence[Mapping[str, Any]]) -> None:
        self._space = space
        self._units = {name: np.array([_unit(space[name], one.get(name)) for one in params]) for name in space}

    def __call__(self, proposal: Mapping[str, Any]) -> NDArray[np.float64]:
        """(S,) to each setting."""
        total_S = np.zeros(len(next(iter(self._units.values()))))
        for name, unit_S in self._units.items():
            away_S = np.abs(unit_S - _unit(self._space[name], proposal[name]))
            if isinstance(self._space[name], CategoricalDistribution):
                away_S = np.where(np.isnan(away_S), away_S, away_S > 0)
            total_S += np.nan_to_num(away_S)
        return total_S


class TableSpace:
    """The space of a study in a table: a proposal becomes the nearest setting that was not tried before.

    Optuna is told the hyperparameters of that setting, for they are what was trained.
    """

    def __init__(self, table: CurveTable, storage: BaseStorage) -> None:
        self._table, self._storage = table, storage
        self._distances = table.distances()
        self._is_tried_S = np.zeros(len(table.params), dtype=bool)

    def __call__(self, trial: Any) -> dict[str, Any]:
        """Asks `trial`; the constant says which curve is the trial's."""
        proposal = {name: _ask(trial, name, distribution) for name, distribution in self._table.space.items()}
        row = int(np.argmin(np.where(self._is_tried_S, np.inf, self._distances(proposal))))
        self._is_tried_S[row] = True
        study_id = self._storage.get_study_id_from_name(trial.study.study_name)
        trial_id = self._storage.get_trial_id_from_study_id_trial_number(study_id, trial.number)
        for name, value in self._table.params[row].items():
            distribution = self._table.space[name]
            self._storage.set_trial_param(trial_id, name, distribution.to_internal_repr(value), distribution)
        return {ROW: row}


def _ask(trial: Any, name: str, distribution: BaseDistribution) -> Any:
    if isinstance(distribution, CategoricalDistribution):
        return trial.suggest_categorical(name, distribution.choices)
    if isinstance(distribution, IntDistribution):
        return trial.suggest_int(name, distribution.low, distribution.high, log=distribution.log)
    assert isinstance(distribution, FloatDistribution)
    return trial.suggest_float(name, distribution.low, distribution.high, log=distribution.log)


def _unit(distribution: BaseDistribution, value: Any) -> float:
    """A number within 0 … 1, a choice's place, NaN of an absent one."""
    if value is None:
        return math.nan
    if isinstance(distribution, CategoricalDistribution):
        return float(distribution.choices.index(value))
    assert isinstance(distribution, FloatDistribution | IntDistribution)
    low, high = float(distribution.low), float(distribution.high)
    if high == low:
        return 0.0
    if distribution.log:
        return math.log(float(value) / low) / math.log(high / low)
    return (float(value) - low) / (high - low)


def _params(row: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: row[_PREFIX + name] for name in names if row[_PREFIX + name] is not None}


def _as_offered(distribution: BaseDistribution, value: Any) -> Any:
    """A choice as the space spells it: a column holds one type, choices need not."""
    if not isinstance(distribution, CategoricalDistribution) or value in distribution.choices:
        return value
    return {str(choice): choice for choice in distribution.choices}[str(value)]


def _curve(rows: Sequence[Mapping[str, Any]], path: str) -> TrainedCurve:
    epochs = [row["epoch"] for row in rows]
    if epochs != list(range(1, len(rows) + 1)):
        raise ConfigError(f"{path}: epochs of config {rows[0]['config']} should be 1, 2, … in turn, were {epochs}")
    return TrainedCurve([row["best_skill"] for row in rows], [row["seconds"] for row in rows])


def _named_space(entries: Sequence[Mapping[str, Any]]) -> dict[str, BaseDistribution]:
    space: dict[str, BaseDistribution] = {}
    for entry in entries:
        if entry["kind"] == "categorical":
            space[entry["name"]] = CategoricalDistribution(entry["choices"])
        elif entry["kind"] == "int":
            space[entry["name"]] = IntDistribution(entry["low"], entry["high"], log=bool(entry.get("log")))
        else:
            space[entry["name"]] = FloatDistribution(entry["low"], entry["high"], log=bool(entry.get("log")))
    return space


def _inferred_space(params: Sequence[Mapping[str, Any]]) -> dict[str, BaseDistribution]:
    names = dict.fromkeys(name for one in params for name in one)
    return {name: _inferred([one[name] for one in params if name in one]) for name in names}


def _inferred(values: Sequence[Any]) -> BaseDistribution:
    low, high = min(values), max(values)
    if isinstance(low, str | bool):
        return CategoricalDistribution(sorted(set(values)))
    is_log = low > 0 and high >= _LOG_RANGE * low
    if isinstance(low, int):
        return IntDistribution(low, high, log=is_log)
    return FloatDistribution(low, high, log=is_log)
