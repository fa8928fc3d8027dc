"""A study's trials as tables for other programs: one row a trial, and beside it one row an epoch of each."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from optuna.trial import FrozenTrial

from sepl.errors import ConfigError, StudyError
from sepl.storage import Location
from sepl.tuning.record.record import StudyFolder
from sepl.tuning.studies.database import find_trials

_KINDS = (".parquet", ".csv")


def export_trials(storage: str, study: str, out: Location) -> tuple[Location, Location]:
    """Writes `NAME.parquet` (or .csv) with a row a trial and `NAME-epochs.parquet` with a row an epoch; where they are.

    Trials: number, state, value (of a full run), best_skill, num_epochs, seconds, from_study, begun and ended in UTC,
    `param_…` a hyperparameter (empty where it was not asked), `attr_…` what else Optuna keeps, as JSON where it is no
    plain value. Epochs: number, epoch, best_skill (best so far). Raises ConfigError for another ending, StudyError
    without a study or trials.
    """
    kind = next((kind for kind in _KINDS if out.name.endswith(kind)), None)
    if kind is None:
        raise ConfigError(f"--out should end in {' or '.join(_KINDS)}, was {out.uri}")
    folder = StudyFolder.at(storage, study)
    found = find_trials(folder, folder.read())
    if found is None:
        raise StudyError(f"study {study} has no trial yet")
    trials = found.get_trials(deepcopy=False)
    beside = _beside(out, kind)
    _write(_trials_table(trials), out, kind)
    _write(_epochs_table(trials), beside, kind)
    return out, beside


def _beside(out: Location, kind: str) -> Location:
    name = f"{out.name.removesuffix(kind)}-epochs{kind}"
    folder = out.path.rpartition("/")[0]
    address, question, query = out.uri.partition("?")
    return Location(out.filesystem, f"{folder}/{name}", f"{address.rpartition('/')[0]}/{name}{question}{query}")


def _trials_table(trials: Iterable[FrozenTrial]) -> pd.DataFrame:
    rows = [_row(trial) for trial in trials]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    params = sorted(name for name in columns if name.startswith("param_"))
    attributes = sorted(name for name in columns if name.startswith("attr_"))
    plain = [name for name in columns if not name.startswith(("param_", "attr_"))]
    return pd.DataFrame({name: _column([row.get(name) for row in rows]) for name in [*plain, *params, *attributes]})


def _row(trial: FrozenTrial) -> dict[str, Any]:
    attributes = dict(trial.user_attrs)
    return {
        "number": trial.number,
        "state": trial.state.name,
        "value": trial.value if trial.values else None,
        "best_skill": max(trial.intermediate_values.values(), default=None),
        "num_epochs": max(trial.intermediate_values, default=0),
        "seconds": float(attributes.pop("seconds", 0.0)),
        "from_study": attributes.pop("from_study", None),
        "begun": _utc(trial.datetime_start),
        "ended": _utc(trial.datetime_complete),
        **{f"param_{name}": value for name, value in trial.params.items()},
        **{f"attr_{name}": _plain(value) for name, value in attributes.items()},
    }


def _utc(moment: Any) -> Any:
    """Optuna keeps local time without saying so."""
    return None if moment is None else pd.Timestamp(moment.astimezone()).tz_convert("UTC")


def _plain(value: Any) -> Any:
    is_plain = isinstance(value, str | int | float | bool) or value is None
    return value if is_plain else json.dumps(value, sort_keys=True)


def _column(values: list[Any]) -> pd.Series:
    """Of one kind, as Parquet wants it: numbers where all are, else text."""
    kinds = {type(value) for value in values if value is not None}
    if len(kinds) > 1 and not kinds <= {int, float}:
        values = [None if value is None else str(value) for value in values]
    if kinds == {int}:
        return pd.Series(values, dtype="Int64")
    return pd.Series(values, dtype="Float64" if kinds and kinds <= {int, float} else None)


def _epochs_table(trials: Iterable[FrozenTrial]) -> pd.DataFrame:
    rows = [
        (trial.number, epoch, value) for trial in trials for epoch, value in sorted(trial.intermediate_values.items())
    ]
    columns: Mapping[str, str] = {"number": "int64", "epoch": "int64", "best_skill": "float64"}
    return pd.DataFrame(rows, columns=list(columns)).astype(dict(columns))


def _write(table: pd.DataFrame, out: Location, kind: str) -> None:
    if kind == ".csv":
        out.write_bytes(table.to_csv(index=False).encode())
        return
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pandas(table, preserve_index=False), sink)
    out.write_bytes(memoryview(sink.getvalue()))
