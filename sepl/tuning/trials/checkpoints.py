"""Which checkpoints of a study are kept, and where Optuna is told that they lie."""

from typing import Any

from optuna.trial import FrozenTrial, TrialState
from pyarrow.fs import FileSystem
from ray.tune import Callback

from sepl.errors import StudyError
from sepl.tuning.record.attributes import CHECKPOINT, NUM_KEPT
from sepl.tuning.search.searcher import TruthfulOptunaSearch


class CheckpointJournal(Callback):
    """Notes in Optuna where the newest whole checkpoint of a trial lies, and deletes those that nobody will read.

    A trial needs its newest; of the finished ones only the best few keep theirs. Ray's own `num_to_keep` would write a
    snapshot of the whole experiment for each checkpoint.
    """

    def __init__(self, searcher: TruthfulOptunaSearch, filesystem: FileSystem) -> None:
        self._searcher, self._filesystem = searcher, filesystem
        self._newest: dict[str, str] = {}
        self._best: list[tuple[float, str]] = []
        for trial in searcher.study.get_trials(deepcopy=False):
            self._rank(trial)

    def on_checkpoint(self, iteration: int, trials: list[Any], trial: Any, checkpoint: Any, **info: Any) -> None:  # noqa: ARG002
        try:
            self._searcher.note_checkpoint(
                trial.trial_id, checkpoint.path
            )  # first: Optuna never names one that is gone
        except StudyError:  # of a lost database, for which the study stops; Tune would print it and go on
            return
        before = self._newest.get(trial.trial_id) or trial.config.get("resume_from")
        self._newest[trial.trial_id] = checkpoint.path
        if before not in (None, checkpoint.path):
            self._delete(str(before))

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:  # noqa: ARG002
        self._rank(self._searcher.trial(trial.trial_id))

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:  # noqa: ARG002
        self._rank(self._searcher.trial(trial.trial_id))

    def _rank(self, trial: FrozenTrial) -> None:
        path = trial.user_attrs.get(CHECKPOINT)
        if path is None or not trial.state.is_finished():
            return
        if trial.state == TrialState.COMPLETE and trial.value is not None:
            self._best = sorted([*self._best, (trial.value, path)], reverse=True)
            for _, worse in self._best[NUM_KEPT:]:
                self._delete(worse)
            self._best = self._best[:NUM_KEPT]
        else:
            self._delete(path)

    def _delete(self, path: str) -> None:
        try:
            self._filesystem.delete_dir(path)
        except OSError:  # gone already, or a storage that refuses: space is lost, no trial
            return

    def __getstate__(self) -> dict[str, Any]:
        return {}
