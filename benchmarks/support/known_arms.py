"""Ways to use values that are known beside a photograph, fitted on patients who trained nothing, and what they bring.

Axes: N photograph, P patient, T task, B the sample itself, then its resamples.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import RidgeCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from benchmarks.support.skills import Floats
from sepl.data.dataset.dataset import Photographs
from sepl.data.dataset.scaling import LabelScaler
from sepl.metrics.bootstrap import resample_patients
from sepl.metrics.measures import skill_resamples
from sepl.models.parts.network import MultiTaskNetwork
from sepl.models.predict import predict_outputs
from sepl.scoring.conditioning import condition, fit_conditioning, probabilities, scale_known, scale_outputs
from sepl.scoring.intervals import calibrate
from sepl.tasks import TaskTable

_PENALTIES = 10.0 ** np.arange(-1, 5)


@dataclass(frozen=True, eq=False)
class Patients:
    """Outputs of a network (scaled values, logits) and labels in units, NaN where absent."""

    outputs_PT: Floats
    labels_PT: Floats

    def take(self, rows: NDArray[np.int64]) -> "Patients":
        return Patients(self.outputs_PT[rows], self.labels_PT[rows])


@dataclass(frozen=True, eq=False)
class Learned:
    """What values and skills are read by."""

    tasks: TaskTable
    scaler: LabelScaler

    def places(self, known: Sequence[str]) -> list[int]:
        return [self.tasks.index(name) for name in known]

    def only(self, labels: Floats, known: Sequence[str]) -> Floats:
        """The labels of the known tasks; NaN beside them."""
        return np.where(np.isin(self.tasks.names, known), labels, np.nan)

    def values(self, outputs_PT: Floats) -> Floats:
        """In units; of binary tasks the logit, whose order counts."""
        return np.where(self.tasks.is_binary, outputs_PT, self.scaler.unscale(outputs_PT))

    def skills(self, values_PT: Floats, labels_PT: Floats, num_bootstrap: int) -> Floats:
        """(B, T); the same resamples for as many patients."""
        weights_BP = resample_patients(len(labels_PT), num_bootstrap, seed=0)
        return skill_resamples(values_PT, labels_PT, self.scaler.medians, self.tasks, weights_BP)


def outputs_of(
    network: MultiTaskNetwork, photographs: Photographs, learned: Learned, told_PT: Floats | None = None
) -> Floats:
    """(P, T), mean over a patient's photographs; `told_PT` are labels in units that the network is told, NaN: none."""
    told_NT = None if told_PT is None else learned.scaler.scale(told_PT)[photographs.patient_index]
    outputs_NT = predict_outputs(
        network,
        photographs.shards,
        device=next(network.parameters()).device,
        patients=photographs.patient_index,
        labels_NT=told_NT,
    )
    return photographs.per_patient(outputs_NT.astype(np.float64))


@dataclass(frozen=True, eq=False)
class Moved:
    """Values (P, T) in units given what is known, those with another patient's known, half widths about the first."""

    values_PT: Floats
    shuffled_PT: Floats
    half_widths_PT: Floats
    """NaN where a task stays as predicted."""

    def coverage(self, labels_PT: Floats) -> float | None:
        """Share of labels inside the intervals, where there is one."""
        is_judged_PT = np.isfinite(self.half_widths_PT) & np.isfinite(labels_PT)
        if not is_judged_PT.any():
            return None
        return float((np.abs(self.values_PT - labels_PT) <= self.half_widths_PT)[is_judged_PT].mean())


def condition_on(known: Sequence[str], fit: Patients, judged: Patients, learned: Learned) -> Moved:
    """Stage 1: Gaussian conditioning on the residuals of the known ones, as scoring does it."""
    tasks, scaler = learned.tasks, learned.scaler
    intervals = calibrate(fit.outputs_PT, fit.labels_PT, tasks, scaler)
    fitted = fit_conditioning(fit.outputs_PT, fit.labels_PT, tasks, scaler, intervals, [tuple(known)])
    scale = fitted.binary_scale
    outputs_PT = scale_outputs(judged.outputs_PT, tasks, intervals.temperatures, scale)
    known_PT = scale_known(learned.only(judged.labels_PT, known), tasks, scaler, scale)
    found, other = (
        condition(fitted, tasks.names, outputs_PT, told_PT) for told_PT in (known_PT, np.roll(known_PT, 1, axis=0))
    )
    values_PT, shuffled_PT = (
        np.where(tasks.is_binary, probabilities(row.values_NT, scale), scaler.unscale(row.values_NT))
        for row in (found, other)
    )
    is_own = np.isin(tasks.names, known) | np.array(tasks.is_binary)
    half_PT = np.where(is_own, np.nan, found.half_widths_NT * np.array(scaler.iqrs))
    return Moved(values_PT, shuffled_PT, half_PT)


def stack_on(known: Sequence[str], fit: Patients, judged: Patients, learned: Learned) -> Moved:
    """The cheap rival: a ridge regression a task on all outputs and the known values, penalty cross-validated."""
    places = learned.places(known)
    rows = np.flatnonzero(np.isfinite(fit.labels_PT[:, places]).all(axis=1))
    inputs_PX = np.hstack([fit.outputs_PT, fit.labels_PT[:, places]])[rows]
    told = judged.labels_PT[:, places]
    own_PX, other_PX = (np.hstack([judged.outputs_PT, values]) for values in (told, np.roll(told, 1, axis=0)))
    values_PT, shuffled_PT = learned.values(judged.outputs_PT), learned.values(judged.outputs_PT)
    for index in range(len(learned.tasks)):
        labels_P = fit.labels_PT[rows, index]
        present_P = np.isfinite(labels_P)
        if index in places or present_P.sum() < 5:
            continue
        ridge = make_pipeline(StandardScaler(), RidgeCV(_PENALTIES)).fit(inputs_PX[present_P], labels_P[present_P])
        values_PT[:, index], shuffled_PT[:, index] = ridge.predict(own_PX), ridge.predict(other_PX)
    return Moved(values_PT, shuffled_PT, np.full_like(values_PT, np.nan))


def worst_of(loss_T: Mapping[str, float]) -> dict[str, object]:
    """The task that loses most, and its difference."""
    name = min(loss_T, key=lambda task: loss_T[task])
    return {"task": name, "difference": round(loss_T[name], 4)}
