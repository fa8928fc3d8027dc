"""Values that are known of a patient beside the photographs: which are believed, and what the others become by them.

    given ── plausible? of one mind? like what is seen? ──► known ── relations, conditioning ──► values, intervals

A value that is not believed is ignored and the row says why: a wrong patient or a wrong unit is found here.

N patients · T tasks
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sepl.bundle.conditioning import Conditioning
from sepl.bundle.format import BundleManifest
from sepl.errors import ConfigError
from sepl.levels import plausible_limits
from sepl.scoring.conditioning import condition, probabilities, scale_known, scale_outputs
from sepl.scoring.intervals import CalibratedValues, calibrated_values
from sepl.scoring.limits import MAX_DEVIATIONS
from sepl.scoring.relations import Relation, contradiction, derived, relations_of
from sepl.tasks import Task

Floats = NDArray[np.float64]
KnownValues = Mapping[str, float]
"""By task, in its unit; 0 or 1 of a binary one. What is not known is not in it."""

_MAX_SCALED = 1e6
_MAX_SPREAD = 0.5  # of one patient's values, in interquartile ranges: two visits may be a year apart


@dataclass(frozen=True)
class Given:
    """What is given of one patient."""

    values: KnownValues
    ignored: tuple[str, ...] = ()
    """Why others are not among them."""


NOTHING = Given({})


@dataclass(frozen=True, eq=False)
class KnownScores:
    """Values and intervals, and of each row what they rest on."""

    found: CalibratedValues
    known: list[tuple[str, ...]]
    """Tasks that were given or follow from what was, in the order of the table."""
    ignored: list[str | None]


def check_known(names: Sequence[str], manifest: BundleManifest) -> None:
    """Raises ConfigError for a task that the bundle does not have or that is graded, or a bundle that cannot take known
    values."""
    unknown = sorted(set(names) - set(manifest.tasks.names))
    if unknown:
        raise ConfigError(f"known should be of {', '.join(manifest.tasks.names)}; was of {', '.join(unknown)}")
    graded = [
        f"{name} ({manifest.tasks[name].kind})" for name in dict.fromkeys(names) if manifest.tasks[name].is_graded
    ]
    if graded:
        raise ConfigError(
            f"known should be of tasks that are a number; grades and classes cannot be given, was {', '.join(graded)}"
        )
    if names and manifest.conditioning is None:
        raise ConfigError(
            f"known should be given to a bundle that is calibrated for it, {manifest.bundle_id} is not: calibrate anew "
            "with `python -m jobs.calibrate --bundle … --data …`"
        )


def check_rows(known: Sequence[KnownValues], num_photographs: int, manifest: BundleManifest) -> list[KnownValues]:
    """Known values a photograph; none at all: nothing is known of any.

    Raises ConfigError when they are not as many as photographs, are no numbers, or cannot be known to the bundle.
    """
    if not known:
        return [{}] * num_photographs
    if len(known) != num_photographs:
        raise ConfigError(f"known should be one a photograph, {num_photographs}, were {len(known)}")
    check_known([name for row in known for name in row], manifest)
    return [{name: _number(name, value) for name, value in row.items()} for row in known]


def join_known(rows: Sequence[KnownValues], manifest: BundleManifest) -> Given:
    """Of one patient, from what is given with each photograph: the mean, as labels are; none where they contradict."""
    if not any(rows):
        return NOTHING
    values, ignored = {}, []
    for task, iqr in zip(manifest.tasks, manifest.scaler.iqrs, strict=True):
        own = list(dict.fromkeys(row[task.name] for row in rows if task.name in row))
        if len(own) > 1 and not max(own) - min(own) <= (0.0 if task.kind == "binary" else _MAX_SPREAD * iqr):
            shown = ", ".join(f"{value:g}" for value in own[:3])
            ignored.append(f"{task.name}: one patient's photographs have {shown}")
        elif own:
            values[task.name] = own[0] if len(own) == 1 else sum(own) / len(own)
    return Given(values, tuple(ignored))


def believe(outputs_NO: NDArray[np.floating], given: Sequence[Given], manifest: BundleManifest) -> list[Given]:
    """Of what is given of each row what stays, with what follows from it, and why the rest does not.

    Raises ConfigError as `check_known` does.
    """
    names = {name for row in given for name in row.values}
    if not names:
        return list(given)
    check_known(sorted(names), manifest)
    conditioning = manifest.conditioning
    assert conditioning is not None  # check_known
    relations = relations_of(manifest.tasks, manifest.rules)
    plain = calibrated_values(outputs_NO, manifest.tasks, manifest.scaler, manifest.intervals)
    scaled_NT = scale_outputs(outputs_NO, manifest.tasks, manifest.intervals.temperatures, conditioning.binary_scale)
    return [
        _believe(row, outputs_T, values_T, manifest, conditioning, relations)
        for row, outputs_T, values_T in zip(given, scaled_NT, plain.values_NT, strict=True)
    ]


def network_told(outputs_NO: NDArray[np.floating], given: Sequence[Given], manifest: BundleManifest) -> Floats:
    """Of what is believed, what the network itself is told: (N, T) in units, NaN where nothing."""
    inputs = () if manifest.conditioning is None else manifest.conditioning.network_inputs
    if not inputs:
        return np.full((len(given), len(manifest.tasks)), math.nan)
    rows = [
        [row.values.get(name, math.nan) if name in inputs else math.nan for name in manifest.tasks.names]
        for row in believe(outputs_NO, given, manifest)
    ]
    return np.array(rows).reshape(len(given), len(manifest.tasks))


def score_known(
    outputs_NO: NDArray[np.floating],
    given: Sequence[Given],
    manifest: BundleManifest,
    told_NO: NDArray[np.floating] | None = None,
) -> KnownScores:
    """Calibrated values and intervals of network outputs, given what is known of each row.

    A known value stands as it is, its interval has no width; a row of whom nothing is known, or believed, is exactly
    as `calibrated_values` has it. `told_NO` are the outputs of a network that was told what `network_told` says. Raises
    ConfigError as `check_known` does.
    """
    plain = calibrated_values(outputs_NO, manifest.tasks, manifest.scaler, manifest.intervals)
    if not any(row.values for row in given):
        return KnownScores(plain, [()] * len(given), [_joined(row.ignored) for row in given])
    believed = believe(outputs_NO, given, manifest)
    known_NT = np.array([[row.values.get(name, math.nan) for name in manifest.tasks.names] for row in believed])
    known = [tuple(name for name in manifest.tasks.names if name in row.values) for row in believed]
    moved = _moved(outputs_NO, outputs_NO if told_NO is None else told_NO, known_NT, plain, manifest)
    return KnownScores(moved, known, [_joined(row.ignored) for row in believed])


def _moved(
    outputs_NO: NDArray[np.floating],
    told_NO: NDArray[np.floating],
    known_NT: Floats,
    plain: CalibratedValues,
    manifest: BundleManifest,
) -> CalibratedValues:
    tasks, scaler, conditioning = manifest.tasks, manifest.scaler, manifest.conditioning
    assert conditioning is not None  # `believe` found something known
    scale = conditioning.binary_scale
    scaled_NT, scaled_told_NT = (
        scale_outputs(rows_NO, tasks, manifest.intervals.temperatures, scale) for rows_NO in (outputs_NO, told_NO)
    )
    scaled_known_NT = scale_known(known_NT, tasks, scaler, scale)
    found = condition(conditioning, tasks.names, scaled_NT, scaled_known_NT, scaled_told_NT)
    is_binary_T = np.array(tasks.is_binary)
    values_NT = np.where(is_binary_T, probabilities(found.values_NT, scale), scaler.unscale(found.values_NT))
    half_NT = np.where(is_binary_T, math.nan, found.half_widths_NT * np.array(scaler.iqrs))
    limits = plausible_limits(tasks)
    is_known_NT = np.isfinite(known_NT)
    is_moved_NT = found.is_moved_NT & ~np.array(tasks.is_graded)
    values_NT, low_NT, high_NT = (
        np.where(is_known_NT, known_NT, np.where(is_moved_NT, np.clip(moved_NT, *limits), plain_NT))
        for moved_NT, plain_NT in (
            (values_NT, plain.values_NT),
            (np.clip(values_NT, *limits) - half_NT, plain.low_NT),
            (np.clip(values_NT, *limits) + half_NT, plain.high_NT),
        )
    )
    return CalibratedValues(values_NT, low_NT, high_NT, plain.levels)


def _believe(
    given: Given,
    outputs_T: Floats,
    predicted_T: Floats,
    manifest: BundleManifest,
    conditioning: Conditioning,
    relations: Sequence[Relation],
) -> Given:
    """What stays when the implausible and the contradictory are gone, with what follows from it."""
    if not given.values:
        return given
    tasks = manifest.tasks
    implausible = {name: why for name, value in given.values.items() if (why := _implausible(tasks[name], value))}
    values = {name: value for name, value in given.values.items() if name not in implausible}
    reasons = contradiction(values, tasks, relations)
    values = {name: value for name, value in values.items() if name not in reasons}
    unlike = _unlike(values, outputs_T, predicted_T, manifest, conditioning)
    values = {name: value for name, value in values.items() if name not in unlike}
    ignored = (*given.ignored, *implausible.values(), *dict.fromkeys(reasons.values()), *unlike.values())
    return Given({**values, **derived(values, tasks, relations)}, ignored)


def _implausible(task: Task, value: float) -> str | None:
    if not math.isfinite(value):
        return f"{task.name}: is no plausible number"
    if task.kind == "binary" and value not in (0.0, 1.0):
        return f"{task.name}: {value:g} should be 0 or 1"
    if not task.is_plausible(value):
        return f"{task.name}: {value:g} is outside {task.low:g} to {task.high:g} {task.unit}"
    return None


def _unlike(
    values: KnownValues, outputs_T: Floats, predicted_T: Floats, manifest: BundleManifest, conditioning: Conditioning
) -> dict[str, str]:
    reasons = {}
    tasks = manifest.tasks
    given_T = np.array([[values.get(name, math.nan) for name in tasks.names]])
    with np.errstate(over="ignore"):
        scaled_T = scale_known(given_T, tasks, manifest.scaler, conditioning.binary_scale)[0]
    for name, value in values.items():
        index = tasks.index(name)
        off = abs(float(scaled_T[index]) - float(outputs_T[index]) - conditioning.means[index])
        limit = _limit(conditioning, index)
        if 0 < limit < off or not off <= _MAX_SCALED:
            reasons[name] = (
                f"{name}: {value:g} is too far from the predicted {predicted_T[index]:.3g} {tasks[name].unit}, as of a "
                "wrong patient or unit"
            )
    return reasons


def _limit(conditioning: Conditioning, index: int) -> float:
    if conditioning.limits:
        return conditioning.limits[index]
    return MAX_DEVIATIONS * math.sqrt(max(conditioning.covariance[index][index], 0.0))


def _number(name: str, value: object) -> float:
    if isinstance(value, bool | int | float | np.number):
        try:
            return float(value)
        except OverflowError:
            return math.inf
    raise ConfigError(f"known value of {name} should be a number, was {value!r}")


def _joined(reasons: Sequence[str]) -> str | None:
    return "; ".join(reasons) or None
