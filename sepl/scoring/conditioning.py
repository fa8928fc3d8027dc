"""Known values: the other outputs moved by how far the known ones were off, as a Gaussian's are by conditioning.

    residual r = label − output, of patients who trained nothing; Σ their covariance, μ their means; K the known tasks
    output of t | K     f_t + a_t Σ_tK Σ_KK⁻¹ (y_K − f_K − μ_K)
    variance of t | K   Σ_tt − (2 a_t − a_t²) Σ_tK Σ_KK⁻¹ Σ_Kt

The share a_t of a move is what patients bear out who were left out of the fit; where a move did not make these better,
a task stays as predicted (the guard). Everything is in scaled units; a binary task's output is its probability or its
logit, whichever served better.

A network may have been told known values itself. Its outputs are then nearer to the truth and its residuals others: a
set of known tasks that it is told of has residuals, and so μ and Σ, of its own, of outputs with these values told. What
the guard holds stays as predicted with nothing known.

    P patients · N rows · T tasks · K known ones
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from sepl.bundle.conditioning import BinaryScale, Conditioning, FittedOn, KnownPattern, Residuals, all_patterns
from sepl.bundle.format import Intervals
from sepl.data.dataset.scaling import LabelScaler
from sepl.levels import single_outputs
from sepl.metrics.covariance import Moments, borne_out_share, winsorised_moments
from sepl.metrics.measures import mean_error
from sepl.scoring.intervals import conformal_quantile
from sepl.scoring.limits import believable_limits
from sepl.tasks import TaskTable

Floats = NDArray[np.float64]

MIN_PATIENTS = 20
"""With fewer a covariance follows the accident of a few patients: a task of so few labels moves nothing."""
MAX_LEFT_OUT = 500
"""So many patients are left out one at a time; of more, as many groups are."""
KNOWN_LOGIT = 4.0
PROBABILITIES = (0.005, 0.995)
_NUM_FOLDS = 50
_JITTER = 1e-12


@dataclass(frozen=True, eq=False)
class Conditioned:
    """Outputs given what is known, in scaled units (binary: on the conditioning's own scale)."""

    values_NT: Floats
    half_widths_NT: Floats
    """NaN where the task has no interval of its own here."""
    is_moved_NT: NDArray[np.bool_]
    """False: the output is as it came, and so should its interval be."""


def scale_outputs(
    outputs_NO: NDArray[np.floating], tasks: TaskTable, temperatures: Mapping[str, float], scale: BinaryScale
) -> Floats:
    """Network outputs (N, T) as conditioning takes them: a binary task's calibrated probability or logit, 0 of a graded
    task."""
    temperatures_T = np.array([temperatures.get(name, 1.0) for name in tasks.names])
    outputs_NT = single_outputs(outputs_NO, tasks)
    logits_NT = outputs_NT / temperatures_T
    binary_NT = expit(logits_NT) if scale == "probability" else logits_NT
    return np.where(np.array(tasks.is_binary), binary_NT, outputs_NT)


def scale_known(values_NT: Floats, tasks: TaskTable, scaler: LabelScaler, scale: BinaryScale) -> Floats:
    """Values in the tasks' units, NaN where absent, as conditioning takes them; a graded task has none."""
    values_NT = np.where(np.array(tasks.is_graded), np.nan, values_NT)
    binary_NT = values_NT if scale == "probability" else np.sign(values_NT - 0.5) * KNOWN_LOGIT
    return np.where(np.array(tasks.is_binary), binary_NT, scaler.scale(values_NT))


def probabilities(values_N: Floats, scale: BinaryScale) -> Floats:
    """Of conditioned outputs of a binary task."""
    return np.clip(values_N if scale == "probability" else expit(values_N), *PROBABILITIES)


def condition(
    conditioning: Conditioning,
    names: Sequence[str],
    outputs_NT: Floats,
    known_NT: Floats,
    told_NT: Floats | None = None,
) -> Conditioned:
    """Outputs of every row given its known values, whatever these are; a row's result depends on no other row.

    Args:
        names: of the tasks.
        outputs_NT: scaled, by `scale_outputs`.
        known_NT: scaled, by `scale_known`; NaN where unknown.
        told_NT: as `outputs_NT`, of a network that is told what is known; None: it takes nothing.

    A known task is its known value. Guard and quantile of another are those of the nearest pattern that does not hold
    it: the least symmetric difference, of several the one that is part of what is known; where the network is told of
    some, in these first.
    """
    told_NT = outputs_NT if told_NT is None else told_NT
    found = Conditioned(outputs_NT.copy(), np.full_like(outputs_NT, np.nan), np.zeros(outputs_NT.shape, bool))
    is_known_NT = np.isfinite(known_NT)
    for known_T in np.unique(is_known_NT[is_known_NT.any(axis=1)], axis=0):
        rows = np.flatnonzero((is_known_NT == known_T).all(axis=1))
        known = np.flatnonzero(known_T)
        told_names = {names[place] for place in known.tolist()}
        moves: dict[int, _Moves] = {}
        for index in np.flatnonzero(~known_T).tolist():
            pattern = nearest_pattern(conditioning.patterns, told_names, names[index], conditioning.network_inputs)
            if pattern is None or names[index] in pattern.guarded:
                continue
            residuals = pattern.residuals or conditioning
            if id(residuals) not in moves:
                moves[id(residuals)] = _Moves.of(_moments(residuals), known, told_NT[rows], known_NT[rows])
            share = pattern.shares.get(names[index], 1.0)
            move = moves[id(residuals)]
            quantile = pattern.quantiles.get(names[index])
            found.values_NT[rows, index] = told_NT[rows, index] + share * move.moves_NT[:, index]
            found.is_moved_NT[rows, index] = True
            if quantile is not None:
                found.half_widths_NT[rows, index] = quantile * move.deviations(share)[index]
        found.values_NT[np.ix_(rows, known)] = known_NT[np.ix_(rows, known)]
        found.half_widths_NT[np.ix_(rows, known)] = 0.0
        found.is_moved_NT[np.ix_(rows, known)] = True
    return found


def nearest_pattern(
    patterns: Sequence[KnownPattern], known: set[str], task: str, network_inputs: Collection[str] = ()
) -> KnownPattern | None:
    """Of those that do not hold `task`; None where there is none."""

    def distance(pattern: KnownPattern) -> tuple[int, int, bool]:
        differing = known ^ set(pattern.known)
        return len(differing & set(network_inputs)), len(differing), not known >= set(pattern.known)

    return min((pattern for pattern in patterns if task not in pattern.known), key=distance, default=None)


def fit_conditioning(
    outputs_PO: NDArray[np.floating],
    labels_PT: Floats,
    tasks: TaskTable,
    scaler: LabelScaler,
    intervals: Intervals,
    patterns: Sequence[Sequence[str]],
    *,
    is_calibration_P: NDArray[np.bool_] | None = None,
    fitted_on: FittedOn = ("calibration",),
    network_inputs: Sequence[str] = (),
    told: Mapping[tuple[str, ...], NDArray[np.floating]] | None = None,
    singles: bool = True,
) -> Conditioning:
    """How residuals go together, from patients on whom the network was not trained.

    Args:
        outputs_PO: network outputs (scaled values, logits), mean over a patient's photographs.
        labels_PT: in the tasks' units, NaN where absent.
        patterns: the declared ones, to which `all_patterns` adds single tasks if `singles`.
        is_calibration_P: whose residuals the intervals rest on; None: all.
        fitted_on: cohort splits of the patients.
        network_inputs: tasks of which the network is told known values.
        told: by pattern that has some of these, outputs (P, O) of the network told the labels of the pattern.
    """
    is_calibration_P = np.ones(len(labels_PT), bool) if is_calibration_P is None else is_calibration_P
    every = all_patterns(patterns, tasks, singles=singles)
    setting = tasks, every, patterns, intervals.confidence, is_calibration_P, fitted_on, tuple(network_inputs)
    found = [
        _fit_on_scale(
            scale_outputs(outputs_PO, tasks, intervals.temperatures, scale),
            scale_known(labels_PT, tasks, scaler, scale),
            {
                known: scale_outputs(told_PO, tasks, intervals.temperatures, scale)
                for known, told_PO in (told or {}).items()
            },
            _Setting(scale, *setting),
        )
        for scale in ("probability", "logit")
    ]
    return min(found, key=lambda row: row[1])[0]  # the first of equals


@dataclass(frozen=True, eq=False)
class _Setting:
    scale: BinaryScale
    tasks: TaskTable
    patterns: Sequence[tuple[str, ...]]
    declared: Sequence[Sequence[str]]
    confidence: float
    is_calibration_P: NDArray[np.bool_]
    fitted_on: FittedOn
    network_inputs: tuple[str, ...]


def _fit_on_scale(
    outputs_PT: Floats, labels_PT: Floats, told: Mapping[tuple[str, ...], Floats], setting: _Setting
) -> tuple[Conditioning, float]:
    """The conditioning, and its mean loss over patterns and tasks as a share of that without known values."""
    residuals_PT = labels_PT - outputs_PT
    fit = winsorised_moments(residuals_PT, MIN_PATIENTS)
    held_out = list(_leave_out(residuals_PT))
    patterns, losses = [], []
    for known in setting.patterns:
        if known in told:
            pattern, shares = _judge_told(known, outputs_PT, told[known], labels_PT, setting)
        else:
            pattern, shares = _judge(known, outputs_PT, outputs_PT, labels_PT, held_out, setting)
        patterns.append(pattern)
        losses.extend(shares)
    conditioning = Conditioning(
        **_residuals(fit).model_dump(),
        num_patients=int(np.isfinite(residuals_PT).any(axis=1).sum()),
        fitted_on=setting.fitted_on,
        binary_scale=setting.scale,
        patterns=tuple(patterns),
        limits=believable_limits(residuals_PT, fit.means_T, np.sqrt(fit.covariance_TT.diagonal())),
        network_inputs=setting.network_inputs,
    )
    return conditioning, float(np.mean(losses)) if losses else 1.0


def _judge_told(
    known: tuple[str, ...], outputs_PT: Floats, told_PT: Floats, labels_PT: Floats, setting: _Setting
) -> tuple[KnownPattern, list[float]]:
    """As `_judge`, with residuals of the outputs that the network has when it is told: of patients who have all."""
    places = [setting.tasks.index(name) for name in known]
    rows = np.flatnonzero(np.isfinite(labels_PT[:, places]).all(axis=1))
    residuals_RT = (labels_PT - told_PT)[rows]
    held_out = [(rows[out], fit) for out, fit in _leave_out(residuals_RT)]
    pattern, shares = _judge(known, outputs_PT, told_PT, labels_PT, held_out, setting)
    return pattern.model_copy(update={"residuals": _residuals(winsorised_moments(residuals_RT, MIN_PATIENTS))}), shares


def _judge(
    known: tuple[str, ...],
    outputs_PT: Floats,
    told_PT: Floats,
    labels_PT: Floats,
    held_out: Sequence[tuple[NDArray[np.int64], Moments]],
    setting: _Setting,
) -> tuple[KnownPattern, list[float]]:
    """The pattern with guard and quantiles from patients left out of the fit, and the shares of loss that remain."""
    tasks = setting.tasks
    places = np.array([tasks.index(name) for name in known])
    moves_PT, variances_PT, explained_PT = np.full((3, *outputs_PT.shape), np.nan)
    has_all_P = np.asarray(np.isfinite(labels_PT[:, places]).all(axis=1))
    for rows, fit in held_out:
        rows = rows[has_all_P[rows]]
        move = _Moves.of(fit, places, told_PT[rows], labels_PT[rows])
        moves_PT[rows], variances_PT[rows], explained_PT[rows] = move.moves_NT, move.variances_T, move.explained_T
    guarded, quantiles, losses, borne_out = [], {}, [], {}
    for index, task in enumerate(tasks):
        if task.name in known:
            continue
        judged_P: NDArray[np.bool_] = has_all_P & np.isfinite(labels_PT[:, index])
        is_binary = task.kind == "binary"
        share = borne_out_share(moves_PT[judged_P, index], (labels_PT - told_PT)[judged_P, index])
        values_P = told_PT[:, index] + share * moves_PT[:, index]
        deviations_P = _deviations(variances_PT[:, index], explained_PT[:, index], share)
        before, after = (
            _loss(values[judged_P], labels_PT[judged_P, index], is_binary, setting.scale)
            for values in (outputs_PT[:, index], values_P)
        )
        tested_P = judged_P & setting.is_calibration_P & (deviations_P > 0)
        errors_P = np.abs(labels_PT[:, index] - values_P)[tested_P] / deviations_P[tested_P]
        quantile = None if is_binary else conformal_quantile(errors_P, setting.confidence)
        opens = judged_P.sum() >= MIN_PATIENTS and after < before and (is_binary or quantile is not None)
        losses.append(after / before if opens else 1.0)
        if not opens:
            guarded.append(task.name)
            continue
        borne_out[task.name] = share
        if not is_binary:
            quantiles[task.name] = quantile
    declared = known in map(tuple, setting.declared)
    pattern = KnownPattern(
        known=known,
        guarded=tuple(guarded),
        quantiles=quantiles,
        shares=borne_out,
        num_patients=int(has_all_P.sum()),
        declared=declared,
    )
    return pattern, losses


def _loss(values_P: Floats, labels_P: Floats, is_binary: bool, scale: BinaryScale) -> float:
    if is_binary:
        values_P = probabilities(values_P, scale)
        labels_P = (labels_P > (0.5 if scale == "probability" else 0.0)).astype(np.float64)
    return mean_error(values_P, labels_P, is_binary)


@dataclass(frozen=True, eq=False)
class _Moves:
    """Of rows whose known tasks are the same."""

    moves_NT: Floats
    """Of outputs given the known tasks, whole."""
    variances_T: Floats
    explained_T: Floats
    """Of the variances, by the known tasks."""

    @classmethod
    def of(cls, fit: Moments, known: NDArray[np.int64], outputs_NT: Floats, known_NT: Floats) -> "_Moves":
        cross_TK = fit.covariance_TT[:, known]
        own_KK = fit.covariance_TT[np.ix_(known, known)]
        jitter = _JITTER * max(float(own_KK.diagonal().max()), 1.0)
        weights_TK = np.linalg.solve(own_KK + jitter * np.eye(len(known)), cross_TK.T).T
        off_NK = known_NT[:, known] - outputs_NT[:, known] - fit.means_T[known]
        # einsum, not BLAS: there a row's last digits would depend on how many rows come with it
        moves_NT = np.einsum("nk,tk->nt", off_NK, weights_TK)
        return cls(moves_NT, fit.covariance_TT.diagonal(), (weights_TK * cross_TK).sum(axis=1))

    def deviations(self, share: float) -> Floats:
        """(T,) of what is left when this share of the move is made."""
        return _deviations(self.variances_T, self.explained_T, share)


def _deviations(variances: Floats, explained: Floats, share: float) -> Floats:
    return np.sqrt(np.clip(variances - (2 * share - share**2) * explained, 0.0, None))


def _moments(residuals: Residuals) -> Moments:
    return Moments(np.array(residuals.means), np.array(residuals.covariance))


def _residuals(moments: Moments) -> Residuals:
    return Residuals(
        means=tuple(moments.means_T.tolist()), covariance=tuple(map(tuple, moments.covariance_TT.tolist()))
    )


def _leave_out(residuals_PT: Floats) -> Iterator[tuple[NDArray[np.int64], Moments]]:
    num_patients = len(residuals_PT)
    num_groups = num_patients if num_patients <= MAX_LEFT_OUT else _NUM_FOLDS
    everybody = np.arange(num_patients)
    for group in range(num_groups):
        is_out_P = np.equal(everybody % num_groups, group)
        yield everybody[is_out_P], winsorised_moments(residuals_PT[~is_out_P], MIN_PATIENTS - int(is_out_P.sum()))
