"""A whole driver without Ray: trials are played in this process, all else is what a search runs."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray.tune import Callback
from unsearched import CLUSTER, plan_first

from sepl.data.dataset.dataset import PreparedDataset
from sepl.tuning import study as driver
from sepl.tuning.record.attributes import FROM_STUDY, SHARE
from sepl.tuning.record.record import BUNDLE_ID
from sepl.tuning.search.budget import FLAT
from sepl.tuning.studies.verify import verify_study
from sepl.tuning.study import StudyResult, run_study

NUM_EPOCHS = 9  # of the space of `unsearched`


class NoWatch(nullcontext[None], Callback):
    """In place of the watch of a cluster, of which there is none."""

    def __init__(self, *args: Any) -> None:
        nullcontext.__init__(self)


def play(gain: float) -> Callable[..., None]:
    """In place of Tune: trial after trial runs its epochs; each is better than the one before by `gain`."""

    def run(folder: Any, packing: Any, searcher: Any, **given: Any) -> None:
        stopper, callbacks = given["stopper"], given["callbacks"]
        for place in range(given["num_trials"]):
            if stopper.stop_all():
                return
            trial_id = f"{len(searcher.study.trials)}-{place}"
            config = searcher.suggest(trial_id)
            local = Path(folder.location.path) / "tune" / "run-000" / f"trial-{config['number']:05d}"
            trial = SimpleNamespace(
                trial_id=trial_id,
                config=config,
                local_path=str(local),
                run_metadata=SimpleNamespace(num_failures=0),
            )
            skill = 0.3 + gain * config["number"]
            result = {"best_skill": skill, "skills/age": skill, "skill_error": 0.01, "time_this_iter_s": 10.0}
            for epoch in range(1, NUM_EPOCHS + 1):
                told = {**result, "epoch": epoch}
                stopper(trial_id, told)
                for callback in callbacks:
                    callback.on_trial_result(1, [], trial, told)
                if epoch < NUM_EPOCHS:
                    searcher.on_trial_result(trial_id, told)
            searcher.on_trial_complete(trial_id, {**result, "epoch": NUM_EPOCHS})
            for callback in callbacks:
                callback.on_trial_complete(1, [], trial)
        for callback in callbacks:
            callback.on_experiment_end([])

    return run


@pytest.fixture
def search(
    tmp_path: Path, small_dataset: PreparedDataset, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., StudyResult]:
    """Runs a driver with the changes that are given."""
    monkeypatch.setattr(driver, "ClusterWatch", NoWatch)

    def run(gain: float = 0.01, **changes: object) -> StudyResult:
        monkeypatch.setattr(driver, "run_trials", play(gain))
        return run_study(plan_first(small_dataset.uri, tmp_path, **changes), CLUSTER)

    return run


def test_a_study_goes_on_for_more_until_its_winner_is_published(
    search: Callable[..., StudyResult], tmp_path: Path
) -> None:
    first = search(num_trials=2)
    same = search(num_trials=2, resume=True)
    more = search(num_trials=4, resume=True)
    first.folder.load_study().set_user_attr(BUNDLE_ID, "first-0123456789ab")
    published = search(num_trials=9, resume=True)

    assert [len(result.board.root) for result in (first, same, more, published)] == [2, 2, 4, 4]
    assert more.ended == "all trials are finished"
    assert [trial.user_attrs[SHARE]["gpus"] for trial in more.folder.load_study().trials] == [0] * 4
    assert len(list((tmp_path / "runs" / "first" / "tune").glob("run-*/trial-*/events.out.tfevents.*"))) == 4


def test_a_study_that_begins_with_anothers_trials_runs_its_own_number(
    search: Callable[..., StudyResult], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    search(num_trials=3)
    capsys.readouterr()
    second = search(num_trials=2, study="second", from_study="first")

    own = second.board.own().root
    assert len(second.board.root) == 5
    assert len(own) == 2
    assert second.board.best() in own
    assert sum(FROM_STUDY in trial.user_attrs for trial in second.folder.load_study().trials) == 3
    assert "| 2/2 finished" in capsys.readouterr().out
    assert verify_study(str(tmp_path / "runs"), "second") == []


def test_a_flat_search_stops_and_one_that_gains_does_not(
    search: Callable[..., StudyResult], capsys: pytest.CaptureFixture[str]
) -> None:
    flat = search(gain=0.0, num_trials=40, stop_when_flat=True)
    told = capsys.readouterr().out
    rising = search(gain=0.02, num_trials=14, study="rising", stop_when_flat=True)

    assert str(flat.ended).startswith(FLAT)
    assert len(flat.board.root) == 12
    assert "expected gain 0.0000, noise 0.0100" in told
    assert rising.ended == "all trials are finished"


def test_money_is_counted_over_drivers(search: Callable[..., StudyResult]) -> None:
    """A trial of 90 s on one core costs 0.1 at 4 an hour; 0.35 are four trials, two of the first driver."""
    asked = {"price_per_hour": 4.0, "max_cost": 0.35}
    search(num_trials=2, **asked)

    result = search(num_trials=9, resume=True, **asked)

    assert result.ended == "the money is spent"
    assert len(result.board.root) == 4
