"""From a study that is over to its winner: chosen, published, and the second time read."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import optuna
import torch

from sepl.bundle.registry import Registry
from sepl.bundle.unsealing import UnsealingRecord
from sepl.config import TrialConfig
from sepl.errors import StudyError
from sepl.metrics import Evaluation
from sepl.tuning.record.record import BUNDLE_ID, ENDED, StudyFolder
from sepl.tuning.results.leaderboard import Leaderboard, TrialRow, leaderboard
from sepl.tuning.selection.candidates import Candidate, find_candidates
from sepl.tuning.selection.publication import Publisher
from sepl.tuning.selection.reruns import RunAll, Workshop
from sepl.tuning.selection.rules import SelectionRules

Tell = Callable[[str], None]
_FIRST_WINS = SelectionRules()


@dataclass(frozen=True)
class Winner:
    """What a study came to."""

    row: TrialRow
    bundle_id: str
    bundle_uri: str
    evaluation: Evaluation


@dataclass(frozen=True)
class _Ended:
    """A study that is over."""

    folder: StudyFolder
    trials: optuna.Study
    board: Leaderboard
    candidates: Sequence[Candidate]

    @classmethod
    def read(cls, storage: str, study: str, rules: SelectionRules) -> "_Ended":
        folder = StudyFolder.at(storage, study)
        trials = folder.load_study()
        if trials.user_attrs.get(ENDED) is None:
            raise StudyError(f"study {study} is not over; go on with --resume")
        board = leaderboard(trials)
        candidates = find_candidates(board, folder, len(board.root) if rules.ensemble else rules.finalists)
        if not candidates:
            raise StudyError(
                f"study {study}: {trials.user_attrs[ENDED]}, but no trial ran to the end; --resume it with more"
            )
        return cls(folder, trials, board, candidates)

    @property
    def is_published(self) -> bool:
        return BUNDLE_ID in self.trials.user_attrs

    def unsealing(self) -> UnsealingRecord:
        return self.folder.unsealing(self.folder.read().fingerprint)


def rerun_finalists(
    storage: str,
    study: str,
    rules: SelectionRules,
    run_all: RunAll,
    tell: Tell = print,
    num_threads: int | None = None,
    *,
    test_again: bool = False,
) -> None:
    """Makes the re-runs that `select_winner` would make, where `run_all` does; none once a winner is published.

    Raises as `select_winner`.
    """
    ended = _Ended.read(storage, study, rules)
    with ended.folder.only_driver():
        if not ended.is_published and (test_again or _bundle_of(ended.unsealing(), ended.candidates) is None):
            Workshop(ended.folder, tell, run_all, num_threads).decide(ended.candidates, rules)


def select_winner(
    storage: str,
    study: str,
    tell: Tell = print,
    num_threads: int | None = None,
    *,
    rules: SelectionRules = _FIRST_WINS,
    test_again: bool = False,
) -> Winner:
    """Publishes the bundle of a study's winner under the study's name as alias; the second time, reads it.

    The winner is the best full trial, or by `rules` the best of several that are trained again first. The sealed test
    patients are read once. That they are is written beside the registry before; a bundle of which the
    study's database does not know is found there. When they were read and no bundle came of it, they are read again
    only with `test_again`, and the bundle says so.

    `num_threads` of torch should be what a trial had: a small network is no faster with more, and many times slower
    when the cores are busy with something else.

    Raises StudyError when the search is not over, no trial ran to the end or the sealed patients were read before,
    DatasetError when the dataset is not what it was, StorageError when another process has the study.
    """
    ended = _Ended.read(storage, study, rules)
    registry = Registry(ended.folder.registry.uri)
    if num_threads is not None:
        torch.set_num_threads(num_threads)
    with ended.folder.only_driver():  # two at once would both test
        if not ended.is_published:
            bundle_id = _find_or_publish(ended, rules, tell, num_threads, test_again)
            _promote_once(registry, bundle_id, study)
            ended.trials.set_user_attr(BUNDLE_ID, bundle_id)
    bundle = registry.show(ended.trials.user_attrs[BUNDLE_ID])
    assert bundle.evaluation is not None  # what a study publishes was tested
    row = _row_of(bundle.manifest.config, ended)
    return Winner(row, bundle.bundle_id, registry.resolve(bundle.bundle_id), bundle.evaluation)


def _find_or_publish(
    ended: _Ended, rules: SelectionRules, tell: Tell, num_threads: int | None, test_again: bool
) -> str:
    """The bundle's id."""
    unsealing = ended.unsealing()
    bundle_id = None if test_again else _bundle_of(unsealing, ended.candidates)
    if bundle_id is not None:
        return bundle_id
    publisher = Publisher(ended.folder, ended.trials, len(ended.board.root), tell)
    if rules.ensemble:
        return publisher.publish_ensemble(ended.candidates, rules.ensemble)
    workshop = Workshop(ended.folder, tell, num_threads=num_threads)
    return publisher.publish(workshop.decide(ended.candidates, rules))


def _row_of(config: TrialConfig, ended: _Ended) -> TrialRow:
    """The trial that the bundle is of; the first of the search where it is of none that is known."""
    rows = [*(candidate.row for candidate in ended.candidates), *ended.board.root]
    same = [row for row in rows if row.state == "complete" and TrialConfig.from_params(row.config) == config]
    return same[0] if same else ended.candidates[0].row


def _bundle_of(unsealing: UnsealingRecord, candidates: Sequence[Candidate]) -> str | None:
    """Id of the winner's bundle that was published although the database does not know, None before the first test.

    Raises StudyError when the sealed patients were read and there is no such bundle.
    """
    configs = [candidate.config for candidate in candidates]
    own = [manifest.bundle_id for manifest in unsealing.bundles() if manifest.config in configs]
    if own:
        return own[-1]
    if unsealing.num_readings():
        raise StudyError(
            f"study {unsealing.study} has read the sealed test patients before (see {unsealing.registry.uri}), and no "
            "bundle of its winner is there: begin a study of another name, or give --test-again, which the bundle will "
            "say"
        )
    return None


def _promote_once(registry: Registry, bundle_id: str, alias: str) -> None:
    """A bundle that was promoted before stays where its people have put it since."""
    history = registry.aliases().aliases.get(alias, ())
    if bundle_id not in [promotion.bundle_id for promotion in history]:
        registry.promote(bundle_id, alias)
