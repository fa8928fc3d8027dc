"""What a new study takes over from one that is there: trials whose values count, or a prior and points to try first.

Values count when both ask the same question: the same dataset, search space, affinity, known values and epochs. They
are then finished trials of the new study too, which proposals and ASHA's rungs learn from, under the attribute
`from_study`. They are not counted in --num-trials, cost nothing and never win: what the other study published stands
under its own name, and its best setting is instead the first that the new one runs, so that it can win here.

Of any other question the settings alone say something, as far as the new space offers them: ranked as a prior, the
best of them tried first.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial
from pydantic import Field

from sepl.errors import ConfigError, StudyError
from sepl.settings import Settings
from sepl.tuning.record.attributes import CHECKPOINT, CRASHED, FROM_STUDY, FROM_TRIAL, POINT, RETRY_OF, SHARE
from sepl.tuning.record.record import HISTORY, StudyFolder, StudyRecord
from sepl.tuning.search.proposals.prior import PriorTrial
from sepl.tuning.space.space import SearchSpace

REPEATS = "repeats"
"""Attribute of a trial: number in the other study of the one whose setting it is."""

_QUESTION = ("fingerprint", "space_sha256", "affinity_sha256", "known_pattern", "num_epochs")
_OWN = (CHECKPOINT, CRASHED, RETRY_OF, POINT, SHARE, REPEATS)
"""Attributes that mean nothing in another study."""
_NUM_REPEATED = 3
"""Settings of another question that are tried first."""


class _RankedParams(Settings):
    params: dict[str, Any]
    rank: float = Field(gt=0.0, le=1.0)


class HistoryRecord(Settings):
    """`history.json` of a study that began with another's trials, written when all of them are in its database."""

    from_study: str
    num_trials: int
    """Those whose values count."""
    prior: tuple[_RankedParams, ...]

    def prior_trials(self) -> tuple[PriorTrial, ...]:
        return tuple(PriorTrial(trial.params, trial.rank) for trial in self.prior)


@dataclass(frozen=True)
class History:
    """Read, and not yet in the new study."""

    study: str
    trials: tuple[FrozenTrial, ...] = ()
    """Finished ones whose values count."""
    prior: tuple[PriorTrial, ...] = ()
    """The best first."""
    points: tuple[tuple[int, dict[str, Any]], ...] = ()
    """To run first: the trial's number in the other study, and its hyperparameters."""

    def record(self) -> HistoryRecord:
        prior = tuple(_RankedParams(params=trial.params, rank=trial.rank) for trial in self.prior)
        return HistoryRecord(from_study=self.study, num_trials=len(self.trials), prior=prior)


def read_history(folder: StudyFolder, asked: StudyRecord, space: SearchSpace) -> History:
    """Of the study in `folder` for a new one that asks `asked` over `space`. Raises ConfigError or StudyError."""
    if folder.name == asked.study:
        raise ConfigError(f"--from-study should be another study than --study, was {folder.name}")
    if not folder.exists():
        raise ConfigError(f"--from-study should name a study of the storage, found no {folder.location.uri}")
    record = folder.read()
    ranked = ranked_trials(folder.load_study().get_trials(deepcopy=False))
    if not ranked:
        raise StudyError(f"--from-study {folder.name} has no finished trial with a result to begin with")
    offers = space.offers()
    is_same = all(getattr(record, name) == getattr(asked, name) for name in _QUESTION)
    counting = [trial for trial in ranked if is_same and _is_offered(trial, offers)]
    others = [trial for trial in ranked if trial not in counting]
    return History(
        study=folder.name,
        trials=tuple(sorted(counting, key=lambda trial: trial.number)),
        prior=_as_prior(others, offers),
        points=_points(ranked, space, offers, most=1 if counting else _NUM_REPEATED),
    )


def read_record(folder: StudyFolder) -> HistoryRecord | None:
    """What a study began with; None of one that began with nothing, or has not yet."""
    place = folder.location / HISTORY
    return HistoryRecord.parse_json(place.read_bytes(), place.uri, StudyError) if place.exists() else None


def take_over(study: optuna.Study, history: History, folder: StudyFolder) -> None:
    """Adds the trials to the new study, those that an interrupted driver has added left alone, and keeps the rest."""
    present = study.get_trials(deepcopy=False)
    taken = {(trial.user_attrs.get(FROM_STUDY), trial.user_attrs.get(FROM_TRIAL)) for trial in present}
    repeated = {trial.user_attrs.get(REPEATS) for trial in present}
    for trial in history.trials:
        copy = _copy(trial, history.study)
        if (copy.user_attrs[FROM_STUDY], copy.user_attrs[FROM_TRIAL]) not in taken:
            study.add_trial(copy)
    for number, point in history.points:
        if number not in repeated:
            study.enqueue_trial(point, user_attrs={POINT: point, REPEATS: number})
    (folder.location / HISTORY).write_bytes((history.record().model_dump_json(indent=2) + "\n").encode())


def ranked_trials(trials: Iterable[FrozenTrial]) -> list[FrozenTrial]:
    """Those that have a result, the best first: full runs by their value, then stopped ones from the longest."""
    judged = [trial for trial in trials if _has_result(trial)]
    return sorted(judged, key=_goodness, reverse=True)


def _has_result(trial: FrozenTrial) -> bool:
    is_told = trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
    values = trial.intermediate_values.values()
    return is_told and bool(values) and all(math.isfinite(value) for value in values)


def _goodness(trial: FrozenTrial) -> tuple[bool, int, float]:
    is_full = trial.state == TrialState.COMPLETE
    return is_full, 0 if is_full else trial.last_step or 0, max(trial.intermediate_values.values())


def _is_offered(trial: FrozenTrial, offers: Mapping[str, BaseDistribution]) -> bool:
    """Whether the new study asks for each of its hyperparameters, and in the same way where that may not change."""
    for name, distribution in trial.distributions.items():
        if name not in offers or not _accepts(name, offers[name], trial.params[name]):
            return False
        try:
            optuna.distributions.check_distribution_compatibility(distribution, offers[name])
        except ValueError:
            return False
    return True


def _accepts(name: str, distribution: BaseDistribution, value: Any) -> bool:
    try:
        create_trial(state=TrialState.WAITING, params={name: value}, distributions={name: distribution})
    except ValueError:
        return False
    return True


def _offered_params(trial: FrozenTrial, offers: Mapping[str, BaseDistribution]) -> dict[str, Any]:
    return {
        name: value for name, value in trial.params.items() if name in offers and _accepts(name, offers[name], value)
    }


def _as_prior(trials: Sequence[FrozenTrial], offers: Mapping[str, BaseDistribution]) -> tuple[PriorTrial, ...]:
    """Ranks in (0, 1], evenly spaced over those that say anything of the new space."""
    said = [params for trial in trials if (params := _offered_params(trial, offers))]
    return tuple(PriorTrial(params, (len(said) - place) / len(said)) for place, params in enumerate(said))


def _points(
    ranked: Sequence[FrozenTrial], space: SearchSpace, offers: Mapping[str, BaseDistribution], most: int
) -> tuple[tuple[int, dict[str, Any]], ...]:
    """The best that the new space answers completely."""
    points: list[tuple[int, dict[str, Any]]] = []
    for trial in ranked:
        params = _offered_params(trial, offers)
        try:
            answered, _ = space.answer(params, "a trial of --from-study")
        except ConfigError:  # the new space asks for something that the other did not, or offers other values
            continue
        if all(_accepts(name, offers[name], value) for name, value in answered.params.items()):
            points.append((trial.number, dict(answered.params)))
        if len(points) == most:
            break
    return tuple(points)


def _copy(trial: FrozenTrial, study: str) -> FrozenTrial:
    """What a study had from a third one keeps that one's name."""
    kept = {name: value for name, value in trial.user_attrs.items() if name not in _OWN}
    return create_trial(
        state=trial.state,
        value=trial.value if trial.state == TrialState.COMPLETE else None,
        params=trial.params,
        distributions=trial.distributions,
        intermediate_values=trial.intermediate_values,
        user_attrs={FROM_STUDY: study, FROM_TRIAL: trial.number, **kept},
    )
