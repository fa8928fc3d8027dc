"""What a study takes over from another: values of the same question, and of any other its settings."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution
from optuna.trial import FrozenTrial, TrialState, create_trial
from unsearched import SPACE, plan_first

from sepl.data.dataset.dataset import PreparedDataset
from sepl.errors import ConfigError, StudyError
from sepl.tuning.plan import StudyPlan
from sepl.tuning.record.attributes import CHECKPOINT, CRASHED, FROM_TRIAL
from sepl.tuning.record.ownership import claim
from sepl.tuning.results.leaderboard import leaderboard
from sepl.tuning.search.history import REPEATS, History, ranked_trials, read_record, take_over

EXPERTS = CategoricalDistribution([1, 2])
WIDER = SPACE.replace("[1, 2]", "[1, 2, 4]")
OTHER = SPACE.replace('trial.suggest_categorical("num_experts", [1, 2])', 'trial.suggest_int("num_experts", 2, 8)')


def trial(state: TrialState, *curve: float, num_experts: int = 2, **attributes: Any) -> FrozenTrial:
    return create_trial(
        state=state,
        value=curve[-1] if state == TrialState.COMPLETE else None,
        params={"num_experts": num_experts},
        distributions={"num_experts": EXPERTS},
        intermediate_values=dict(enumerate(curve, start=1)),
        user_attrs=attributes,
    )


TRIALS = (
    trial(TrialState.PRUNED, 0.4, num_experts=1),
    trial(TrialState.COMPLETE, 0.1, 0.3, num_experts=1, **{CHECKPOINT: "/gone", "seconds": 5.0}),
    trial(TrialState.COMPLETE, 0.1, 0.5, num_experts=2),
    trial(TrialState.FAIL, failure="diverged", **{CRASHED: True}),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, small_dataset: PreparedDataset) -> Path:
    """With a study `first` in `runs`, which has run the trials."""
    folder = tmp_path_factory.mktemp("history")
    begin(plan_first(small_dataset.uri, folder), TRIALS)
    return folder


@pytest.fixture
def after(folder: Path, small_dataset: PreparedDataset) -> Callable[..., StudyPlan]:
    """Plans a study that begins with `first`."""

    def plan(space: str = SPACE, **changes: object) -> StudyPlan:
        place = folder / f"space-{hashlib.sha256(space.encode()).hexdigest()[:8]}.py"
        place.write_text(space)
        asked = {"space": str(place), "study": "second", "from_study": "first"}
        return plan_first(small_dataset.uri, folder, **{**asked, **changes})

    return plan


def begin(planned: StudyPlan, trials: tuple[FrozenTrial, ...] = ()) -> optuna.Study:
    """As a driver does before its first trial."""
    record = planned.record
    planned.folder.write(record)
    storage = planned.folder.open_optuna_storage(record.optuna_url)
    claim(storage, record.study, str(record.study_id), resumed=planned.settings.resume)
    study = optuna.load_study(study_name=record.study, storage=storage)
    study.add_trials(trials)
    return study


def test_of_the_same_question_results_count(after: Callable[..., StudyPlan]) -> None:
    history = after().history

    assert history is not None
    assert [trial.number for trial in history.trials] == [0, 1, 2]  # not the one that failed
    assert history.prior == ()
    assert history.points == ((2, {"num_experts": 2}),)


@pytest.mark.parametrize(
    ("space", "params"),
    [(WIDER, [{"num_experts": 2}, {"num_experts": 1}, {"num_experts": 1}]), (OTHER, [{"num_experts": 2}])],
    ids=["a choice more", "another range"],
)
def test_of_another_space_what_it_offers_is_a_prior_from_the_best(
    after: Callable[..., StudyPlan], space: str, params: list[dict[str, Any]]
) -> None:
    history = after(space).history

    assert history is not None
    assert history.trials == ()
    assert [trial.params for trial in history.prior] == params
    assert [trial.rank for trial in history.prior] == pytest.approx(
        [(len(params) - place) / len(params) for place in range(len(params))]
    )
    assert [point for _, point in history.points] == params


def test_what_is_taken_over_is_told_neither_wins_nor_is_added_twice(after: Callable[..., StudyPlan]) -> None:
    planned = after(study="third")
    study = begin(planned)
    assert planned.history is not None
    half = History("first", planned.history.trials[:1])
    for part in (half, planned.history, planned.history):  # a driver was killed, another one goes on
        take_over(study, part, planned.folder)

    board = leaderboard(study)
    assert [trial.user_attrs.get(FROM_TRIAL) for trial in study.trials] == [0, 1, 2, None]
    assert [row.from_study for row in board.root if row.curve] == ["first"] * 3
    assert board.best() is None
    assert board.own().counts()["waiting"] == 1
    assert study.trials[-1].user_attrs[REPEATS] == 2
    assert not any(CHECKPOINT in trial.user_attrs for trial in study.trials)
    kept = read_record(planned.folder)
    assert kept is not None
    assert (kept.from_study, kept.num_trials) == ("first", 3)


def test_a_resumed_study_takes_nothing_over_again_and_remembers_its_prior(after: Callable[..., StudyPlan]) -> None:
    planned = after(WIDER, study="fourth")
    assert planned.history is not None
    take_over(begin(planned), planned.history, planned.folder)

    resumed = after(WIDER, study="fourth", from_study=None, resume=True)

    assert resumed.history is None
    assert resumed.record.from_study == "first"
    assert resumed.prior == planned.prior != ()


def test_a_study_goes_on_with_what_it_began_with(after: Callable[..., StudyPlan]) -> None:
    planned = after(study="fifth")
    begin(planned)

    with pytest.raises(StudyError, match="--from-study should be as when study fifth began; from_study was first"):
        after(study="fifth", from_study="second", resume=True)
    assert after(study="fifth", from_study=None, resume=True).history is not None  # it was killed before


@pytest.mark.parametrize(
    ("name", "message"),
    [("second", "should be another study than --study"), ("nothing", "should name a study of the storage")],
)
def test_a_wrong_name_is_told(after: Callable[..., StudyPlan], name: str, message: str) -> None:
    with pytest.raises(ConfigError, match=f"--from-study {message}"):
        after(from_study=name)


@given(st.permutations(range(len(TRIALS))))
def test_full_runs_are_ranked_before_stopped_ones_and_failed_ones_not_at_all(order: list[int]) -> None:
    ranked = ranked_trials([TRIALS[place] for place in order])

    assert ranked == [TRIALS[2], TRIALS[1], TRIALS[0]]
