"""Optuna through Ray Tune, told the truth, and the one memory of a study.

In place of Ray's `OptunaSearch` (2.60), which tells Optuna COMPLETE for trials that ASHA stopped, drops the value they
were stopped at, leaves trials with a NaN RUNNING for good, and keeps half of its state in pickles that lag behind the
database when a driver is killed. Here every event is one transaction in Optuna's storage and nothing else is
remembered: a trial is finished when Optuna says so, and one that was interrupted waits there with its values and its
checkpoint.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState
from ray.tune.search import Searcher

from sepl.tuning.record.attributes import CRASHED, FROM_STUDY, POINT, RETRY_OF, SHARE
from sepl.tuning.search.names import IS_LAST, JUDGED, METRIC, TIME_ATTR, WAITS


class TruthfulOptunaSearch(Searcher):
    """Finished is COMPLETE, stopped below `num_epochs` is PRUNED with its values, diverged or crashed is FAIL.

    Finished is also a trial that ended itself, getting no better for `early_stopping_epochs`.

    A database is needed: Optuna's in-memory storage overlooks a trial that goes back to waiting (seen in 5.0).

    `define` asks a trial for hyperparameters and returns the constants. Trials of `study_name` that an earlier driver
    left open are proposed first, with the hyperparameters, values and checkpoint that they had; a first point that was
    enqueued before is not enqueued again.
    """

    def __init__(
        self,
        define: Callable[[Any], dict[str, Any]],
        *,
        num_epochs: int,
        storage: BaseStorage,
        study_name: str,
        first_points: tuple[dict[str, Any], ...] = (),
        seed: int = 0,
    ) -> None:
        num_earlier = _num_trials(storage, study_name)
        # The sampler's random state is not stored: seeded alike, a resumed study would draw its first points again.
        sampler = optuna.samplers.TPESampler(seed=seed + num_earlier)
        super().__init__(metric=METRIC, mode="max")
        self.study = optuna.create_study(
            storage=storage, sampler=sampler, study_name=study_name, direction="maximize", load_if_exists=True
        )
        self._define, self._num_epochs, self._storage = define, num_epochs, storage
        self._study_id = storage.get_study_id_from_name(study_name)
        self._trials: dict[str, optuna.Trial] = {}
        """Of this driver, by Tune's id."""
        self._seconds: dict[str, float] = {}
        self._deaths: dict[str, str] = {}
        self.share: dict[str, float] = {}
        """CPUs and GPUs of each trial to come, kept with it for what it costs."""
        self.release()
        for point in first_points:
            self.study.enqueue_trial(point, user_attrs={POINT: point}, skip_if_exists=True)

    def suggest(self, trial_id: str) -> dict[str, Any]:
        """The trial's config: `params`, its Optuna `number`, its `earlier` values and the checkpoint to go on from."""
        trial = self.study.ask()
        self._trials[trial_id] = trial
        params = {**self._define(trial), **trial.params}
        trial.set_user_attr("config", params)
        if self.share:
            trial.set_user_attr(SHARE, self.share)
        frozen = self._frozen(trial_id)
        self._seconds[trial_id] = frozen.user_attrs.get("seconds", 0.0)
        return {
            "params": params,
            "number": frozen.number,
            "earlier": sorted(frozen.intermediate_values.items()),
            "resume_from": frozen.user_attrs.get("checkpoint"),
        }

    def on_trial_result(self, trial_id: str, result: dict[str, Any]) -> None:
        frozen = self._frozen(trial_id)
        if not frozen.state.is_finished():
            self._note_time(trial_id, result)
            self._report(trial_id, frozen, result)

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        frozen = self._frozen(trial_id)
        if frozen.state.is_finished():
            return None
        if (result is None and not error) or (result or {}).get(WAITS):  # taken from the queue, or not to blame
            return self._wait(frozen)
        self._note_time(trial_id, result or {})
        self._keep(trial_id, result or {}, error)
        self.study.tell(frozen.number, **self._verdict(trial_id, frozen, result or {}, error))
        return None

    def note_checkpoint(self, trial_id: str, path: str) -> None:
        """A checkpoint of the trial lies whole at `path`, in the file system of the study's storage."""
        trial = self._trials[trial_id]
        if not self._frozen(trial_id).state.is_finished():
            trial.set_user_attr("checkpoint", path)
            trial.set_user_attr("seconds", self._seconds[trial_id])

    def note_death(self, trial_id: str, reason: str) -> None:
        """The trial's process died, or its step raised: what is said of it when that was once too often."""
        self._deaths[trial_id] = reason

    def death_of(self, trial_id: str) -> str:
        return self._deaths.get(trial_id, "no reason was left")

    def trial(self, trial_id: str) -> FrozenTrial:
        """As Optuna has it, by Tune's id."""
        return self._frozen(trial_id)

    def retry_failed(self) -> int:
        """Trials whose process died for good are enqueued once more, from their first epoch; how many.

        They stay in the study as they ended. A configuration that failed by itself, diverging for instance, is not
        tried again.
        """
        trials = self.study.get_trials(deepcopy=False)
        retried = {trial.user_attrs.get(RETRY_OF) for trial in trials}
        crashed = [trial for trial in trials if trial.user_attrs.get(CRASHED) and trial.number not in retried]
        for trial in crashed:
            self.study.enqueue_trial(trial.params, user_attrs={POINT: trial.params, RETRY_OF: trial.number})
        return len(crashed)

    def release(self) -> None:
        """After an interruption: running trials wait to be proposed again."""
        for frozen in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            self._wait(frozen)

    def close(self) -> None:
        """When the budget is spent: trials it cut off are PRUNED where they stood; those without a value FAIL.

        First points that never started stay in the queue.
        """
        self.release()
        for frozen in self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            if frozen.intermediate_values or frozen.params:
                self._cut_off(frozen)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the state is Optuna's storage, and no pickle of it is ever read."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing."""

    def __getstate__(self) -> dict[str, Any]:
        return {}  # for Tune's own snapshot, which is written but never restored; keeps a database password out of it

    def num_beside(self) -> int:
        """Trials beside the number that was asked for: those that repeat crashed ones, and another study's."""
        trials = self.study.get_trials(deepcopy=False)
        return sum(RETRY_OF in trial.user_attrs or FROM_STUDY in trial.user_attrs for trial in trials)

    def _frozen(self, trial_id: str) -> FrozenTrial:
        return self._storage.get_trial(self._storage_id(self._trials[trial_id].number))

    def _storage_id(self, number: int) -> int:
        return self._storage.get_trial_id_from_study_id_trial_number(self._study_id, number)

    def _wait(self, frozen: FrozenTrial) -> None:
        # Optuna's own retry callback fails the trial and enqueues a copy; this keeps it one trial with its values.
        self._storage.set_trial_state_values(self._storage_id(frozen.number), TrialState.WAITING)

    def _cut_off(self, frozen: FrozenTrial) -> None:
        trial_id = self._storage_id(frozen.number)
        self._storage.set_trial_state_values(trial_id, TrialState.RUNNING)  # only a running trial is told
        if frozen.intermediate_values:
            self.study.tell(frozen.number, state=TrialState.PRUNED)
            return
        self._storage.set_trial_user_attr(trial_id, "failure", "the budget ended before its first epoch")
        self.study.tell(frozen.number, state=TrialState.FAIL)

    def _note_time(self, trial_id: str, result: Mapping[str, Any]) -> None:
        self._seconds[trial_id] += result.get("time_this_iter_s", 0.0)

    def _report(self, trial_id: str, frozen: FrozenTrial, result: Mapping[str, Any]) -> None:
        step, value = int(result[TIME_ATTR]), float(result[METRIC])
        if step not in frozen.intermediate_values and math.isfinite(value):
            self._trials[trial_id].report(value, step)

    def _verdict(self, trial_id: str, frozen: FrozenTrial, result: Mapping[str, Any], error: bool) -> dict[str, Any]:
        if error or _is_failed(result):
            return {"state": TrialState.FAIL}
        self._report(trial_id, frozen, result)  # Tune does not pass the result that stops a trial to on_trial_result
        if int(result[TIME_ATTR]) < self._num_epochs and not result.get(IS_LAST):
            return {"state": TrialState.PRUNED}
        return {"state": TrialState.COMPLETE, "values": float(result[METRIC])}

    def _keep(self, trial_id: str, result: Mapping[str, Any], error: bool) -> None:
        trial = self._trials[trial_id]
        trial.set_user_attr("seconds", self._seconds[trial_id])
        skills = {name.removeprefix("skills/"): value for name, value in result.items() if name.startswith("skills/")}
        if skills:
            trial.set_user_attr("skills", {name: value for name, value in skills.items() if math.isfinite(value)})
        for name in JUDGED:
            if math.isfinite(result.get(name, math.nan)):
                trial.set_user_attr(name, result[name])
        if error or _is_failed(result):
            trial.set_user_attr(
                "failure", str(result.get("failure") or f"its process crashed: {self.death_of(trial_id)}")
            )
            trial.set_user_attr(CRASHED, error)


def _is_failed(result: Mapping[str, Any]) -> bool:
    value = result.get(METRIC)
    return bool(result.get("failure")) or value is None or not math.isfinite(value)


def _num_trials(storage: BaseStorage, study_name: str) -> int:
    try:
        return storage.get_n_trials(storage.get_study_id_from_name(study_name))
    except KeyError:
        return 0
