"""Optuna told the truth, and the one memory of a study; which backend trains is nothing to it.

In place of Ray's `OptunaSearch` (2.60), which tells Optuna COMPLETE for trials that ASHA stopped, drops the value they
were stopped at, leaves trials with a NaN RUNNING for good, and keeps half of its state in pickles that lag behind the
database when a driver is killed. Here every event is one transaction in Optuna's storage and nothing else is
remembered: a trial is finished when Optuna says so, and one that was interrupted waits there with its values and its
checkpoint.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import optuna
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState

from sepl.tuning.record.attributes import CRASHED, FROM_STUDY, PARTS, POINT, RETRY_OF, SHARE
from sepl.tuning.search.limits import COSTS, REFUSED, Gate
from sepl.tuning.search.names import IS_LAST, JUDGED, METRIC, PAUSED, TIME_ATTR, WAITS
from sepl.tuning.search.proposals import PriorTrial, make_sampler
from sepl.tuning.space.by_task import as_config


class TruthfulOptunaSearch:
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
        sampler: str = "tpe",
        prior: Sequence[PriorTrial] = (),
        gate: Gate | None = None,
    ) -> None:
        num_earlier = _num_trials(storage, study_name)
        proposals = make_sampler(sampler, seed=seed, prior=prior, num_earlier=num_earlier)
        self.study = optuna.create_study(
            storage=storage, sampler=proposals, study_name=study_name, direction="maximize", load_if_exists=True
        )
        self._define, self.num_epochs, self._storage, self._gate = define, num_epochs, storage, gate
        self._study_id = storage.get_study_id_from_name(study_name)
        self._numbers: dict[str, int] = {}
        """Of this driver's trials, by the backend's id."""
        self._trials: dict[str, optuna.Trial] = {}
        """Those that run."""
        self._paused: dict[int, optuna.Trial] = {}
        self._seconds: dict[str, float] = {}
        self._deaths: dict[str, str] = {}
        self.share: dict[str, float] = {}
        """CPUs and GPUs of each trial to come, kept with it for what it costs."""
        self.release()
        for point in first_points:
            self.study.enqueue_trial(point, user_attrs={POINT: point}, skip_if_exists=True)

    def suggest(self, trial_id: str) -> dict[str, Any]:
        """The trial's config: `params`, its Optuna `number`, its `earlier` values and the checkpoint to go on from."""
        trial, params = self._ask() if self._gate is None else self._gate.first_within(self.study, self._ask)
        return self._begin(trial_id, trial, params)

    def resume(self, trial_id: str, number: int) -> dict[str, Any]:
        """A paused trial's config, as `suggest` gives it; it is running again."""
        trial = self._paused.pop(number, None) or optuna.Trial(self.study, self._storage_id(number))
        trial.set_user_attr(PAUSED, None)
        return self._begin(trial_id, trial, trial.user_attrs["config"])

    def paused(self) -> list[FrozenTrial]:
        """Those that may be resumed: RUNNING in Optuna, for which they are neither over nor to be asked for."""
        running = self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        return [frozen for frozen in running if frozen.user_attrs.get(PAUSED)]

    def retire_paused(self) -> None:
        """Nothing is left to begin, and none of them is worth more epochs: they are PRUNED where they stand."""
        for frozen in self.paused():
            self.study.tell(frozen.number, state=TrialState.PRUNED)
        self._paused.clear()

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
        if (result or {}).get(PAUSED) and not error:
            return self._pause(trial_id, frozen, result or {})
        self.study.tell(frozen.number, **self._verdict(trial_id, frozen, result or {}, error))
        del self._trials[trial_id], self._seconds[trial_id]
        return None

    def note_checkpoint(self, trial_id: str, path: str) -> None:
        """A checkpoint of the trial lies whole at `path`, in the file system of the study's storage."""
        if not self._frozen(trial_id).state.is_finished():
            trial = self._trials[trial_id]
            trial.set_user_attr("checkpoint", path)
            trial.set_user_attr("seconds", self._seconds[trial_id])

    def note_death(self, trial_id: str, reason: str) -> None:
        """The trial's process died, or its step raised: what is said of it when that was once too often."""
        self._deaths[trial_id] = reason

    def death_of(self, trial_id: str) -> str:
        return self._deaths.get(trial_id, "no reason was left")

    def trial(self, trial_id: str) -> FrozenTrial:
        """As Optuna has it, by the backend's id."""
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
        """After an interruption: running trials wait to be proposed again; those that are paused stay so."""
        for frozen in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            if not frozen.user_attrs.get(PAUSED):
                self._wait(frozen)

    def close(self) -> None:
        """When the budget is spent: trials it cut off are PRUNED where they stood; those without a value FAIL.

        First points that never started stay in the queue.
        """
        self.release()
        self.retire_paused()
        for frozen in self.study.get_trials(deepcopy=False):
            if frozen.state == TrialState.WAITING and (frozen.intermediate_values or frozen.params):
                self._cut_off(frozen)

    def __getstate__(self) -> dict[str, Any]:
        return {}  # whoever pickles what holds it: keeps a database password out of that

    def num_beside(self) -> int:
        """Trials beside the number that was asked for: repeated after a crash, refused, or another study's."""
        beside = (RETRY_OF, REFUSED, FROM_STUDY)
        trials = self.study.get_trials(deepcopy=False)
        return sum(any(name in trial.user_attrs for name in beside) for trial in trials)

    def _ask(self) -> tuple[optuna.Trial, dict[str, Any]]:
        trial = self.study.ask()
        params = as_config(self._define(trial), trial.params)
        trial.set_user_attr("config", params)
        return trial, params

    def _begin(self, trial_id: str, trial: optuna.Trial, params: dict[str, Any]) -> dict[str, Any]:
        self._trials[trial_id], self._numbers[trial_id] = trial, trial.number
        if self.share:
            trial.set_user_attr(SHARE, self.share)
        frozen = self._frozen(trial_id)
        self._seconds[trial_id] = frozen.user_attrs.get("seconds", 0.0)
        return {
            "params": params,
            "number": frozen.number,
            "earlier": sorted(frozen.intermediate_values.items()),
            "resume_from": frozen.user_attrs.get("checkpoint"),
            **({"part": frozen.user_attrs[PARTS]} if PARTS in frozen.user_attrs else {}),
        }

    def _pause(self, trial_id: str, frozen: FrozenTrial, result: Mapping[str, Any]) -> None:
        self._report(trial_id, frozen, result)
        trial = self._trials.pop(trial_id)
        trial.set_user_attr(PARTS, frozen.user_attrs.get(PARTS, 0) + 1)
        trial.set_user_attr(PAUSED, True)
        self._paused[frozen.number] = trial
        del self._seconds[trial_id]

    def _frozen(self, trial_id: str) -> FrozenTrial:
        return self._storage.get_trial(self._storage_id(self._numbers[trial_id]))

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
        if int(result[TIME_ATTR]) < self.num_epochs and not result.get(IS_LAST):
            return {"state": TrialState.PRUNED}
        return {"state": TrialState.COMPLETE, "values": float(result[METRIC])}

    def _keep(self, trial_id: str, result: Mapping[str, Any], error: bool) -> None:
        trial = self._trials[trial_id]
        trial.set_user_attr("seconds", self._seconds[trial_id])
        skills = {name.removeprefix("skills/"): value for name, value in result.items() if name.startswith("skills/")}
        if skills:
            trial.set_user_attr("skills", {name: value for name, value in skills.items() if math.isfinite(value)})
        for name in (*JUDGED, *COSTS):
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
