"""Which checkpoints stay."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from optuna.storages import RDBStorage
from pyarrow.fs import LocalFileSystem

from sepl.storage import resolve
from sepl.tuning.search.names import METRIC
from sepl.tuning.search.searcher import TruthfulOptunaSearch
from sepl.tuning.trials.checkpoints import NUM_KEPT, CheckpointJournal
from sepl.tuning.trials.run_name import next_run

NUM_EPOCHS = 3


def searcher_of(name: str) -> TruthfulOptunaSearch:
    def define(trial: Any) -> dict[str, Any]:
        trial.suggest_float("learning_rate", 0.0, 1.0)
        return {}

    storage = RDBStorage("sqlite:///:memory:")
    return TruthfulOptunaSearch(define, num_epochs=NUM_EPOCHS, storage=storage, study_name=name)


def begin(searcher: TruthfulOptunaSearch, name: str) -> Any:
    return SimpleNamespace(trial_id=name, config=searcher.suggest(name))


def save(journal: CheckpointJournal, trial: Any, folder: Path) -> Path:
    folder.mkdir(parents=True)
    journal.on_checkpoint(1, [], trial, SimpleNamespace(path=str(folder)))
    return folder


def test_a_trial_keeps_its_newest_checkpoint_alone(tmp_path: Path) -> None:
    searcher = searcher_of("one")
    journal = CheckpointJournal(searcher, LocalFileSystem())
    trial = begin(searcher, "a")

    folders = [save(journal, trial, tmp_path / str(number)) for number in range(3)]

    assert [folder.exists() for folder in folders] == [False, False, True]
    assert searcher.trial("a").user_attrs["checkpoint"] == str(folders[-1])


def test_of_the_finished_trials_the_best_few_keep_theirs(tmp_path: Path) -> None:
    searcher = searcher_of("many")
    journal = CheckpointJournal(searcher, LocalFileSystem())
    folders = []
    for number in range(NUM_KEPT + 2):
        trial = begin(searcher, str(number))
        folders.append(save(journal, trial, tmp_path / str(number)))
        searcher.on_trial_complete(trial.trial_id, {"epoch": NUM_EPOCHS, METRIC: number / 10})
        journal.on_trial_complete(1, [], trial)

    assert [folder.exists() for folder in folders] == [False, False] + [True] * NUM_KEPT


def test_a_trial_that_was_stopped_or_failed_keeps_none(tmp_path: Path) -> None:
    searcher = searcher_of("stopped")
    journal = CheckpointJournal(searcher, LocalFileSystem())
    pruned, crashed = begin(searcher, "pruned"), begin(searcher, "crashed")
    folders = [save(journal, pruned, tmp_path / "pruned"), save(journal, crashed, tmp_path / "crashed")]

    searcher.on_trial_complete("pruned", {"epoch": 1, METRIC: 0.5})
    journal.on_trial_complete(1, [], pruned)
    searcher.on_trial_complete("crashed", error=True)
    journal.on_trial_error(1, [], crashed)

    assert not any(folder.exists() for folder in folders)


def test_a_later_driver_counts_the_checkpoints_of_the_one_before(tmp_path: Path) -> None:
    searcher = searcher_of("again")
    trial = begin(searcher, "a")
    before = save(CheckpointJournal(searcher, LocalFileSystem()), trial, tmp_path / "before")
    searcher.release()
    resumed = begin(searcher, "b")

    after = save(CheckpointJournal(searcher, LocalFileSystem()), resumed, tmp_path / "after")

    assert [before.exists(), after.exists()] == [False, True]


def test_a_drivers_folder_has_a_name_that_was_never_used(tmp_path: Path) -> None:
    study, folder = searcher_of("named").study, resolve(tmp_path)

    names = [next_run(study, folder), next_run(study, folder)]
    (tmp_path / "run-007").mkdir()

    assert [*names, next_run(study, folder)] == ["run-000", "run-001", "run-008"]
