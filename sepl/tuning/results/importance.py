"""Which hyperparameters made the difference."""

from dataclasses import dataclass

import optuna
from optuna.trial import FrozenTrial, TrialState, create_trial

_FEWEST_TRIALS = 8  # below, any ranking is chance


@dataclass(frozen=True)
class Importance:
    """Shares of the explained variance, largest first; they sum to 1."""

    shares: dict[str, float]
    basis: str
    """What was explained, over which trials."""


def importance(study: optuna.Study) -> Importance | None:
    """PED-ANOVA (Watanabe et al., IJCAI 2023), which knows conditional hyperparameters; None with too few trials.

    Of the final skill when enough trials ran to the end; else of the skill after the first rung, where every trial was
    judged after the same number of epochs. Last values of stopped and full runs together would mostly explain who was
    stopped.
    """
    finished = [trial for trial in study.get_trials(deepcopy=False) if trial.intermediate_values]
    complete = [trial for trial in finished if trial.state == TrialState.COMPLETE]
    if len(complete) >= _FEWEST_TRIALS:
        return _explain(complete, None, f"best skill of {len(complete)} full trials")
    first = min((step for trial in finished for step in trial.intermediate_values), default=0)
    started = [trial for trial in finished if first in trial.intermediate_values]
    if len(started) < _FEWEST_TRIALS:
        return None
    return _explain(started, first, f"skill after epoch {first} of all {len(started)} trials; too few ran to the end")


def _explain(trials: list[FrozenTrial], step: int | None, basis: str) -> Importance | None:
    study = _study_of([_completed(trial, step) for trial in trials])
    if len({trial.value for trial in study.trials}) == 1:
        return None
    shares = optuna.importance.get_param_importances(study)
    return Importance(shares, basis)


def _completed(trial: FrozenTrial, step: int | None) -> FrozenTrial:
    """The trial as if it had ended at `step`; as it is for None."""
    value = trial.value if step is None else trial.intermediate_values[step]
    return create_trial(params=trial.params, distributions=trial.distributions, value=value)


def _study_of(trials: list[FrozenTrial]) -> optuna.Study:
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(direction="maximize")
        study.add_trials(trials)
        return study
    finally:
        optuna.logging.set_verbosity(verbosity)
