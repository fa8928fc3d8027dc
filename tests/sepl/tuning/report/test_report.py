"""The report of studies of every kind, made by hand."""

from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import plotly.graph_objects as go
import pytest
from bundles import TASKS, bundle_content, planted_conditioning, planted_evaluation
from optuna.trial import TrialState, create_trial
from unsearched import study_record

from sepl.bundle.registry import Registry
from sepl.errors import StudyError
from sepl.metrics import Estimate, Evaluation, TaskEvaluation
from sepl.metrics.known import KnownPredictions, evaluate_known
from sepl.storage import resolve
from sepl.training.affinity.record import Affinity, RankedSplit
from sepl.tuning.record.record import BUNDLE_ID, StudyFolder
from sepl.tuning.report.figures import affinity_figure, confusion_figure, curves_figure, history_figure, skill_figure
from sepl.tuning.report.report import grades_section, write_report
from sepl.tuning.results.importance import importance
from sepl.tuning.results.leaderboard import best_epoch, leaderboard

RATES = optuna.distributions.FloatDistribution(1e-4, 1e-2, log=True)
WIDTHS = optuna.distributions.IntDistribution(8, 64)
NASTY = '<img src="x" onerror="alert(1)">'


def make_study(storage: Path, num_full: int, num_pruned: int = 0, failure: str | None = None) -> optuna.Study:
    """Trials whose skill is a matter of the learning rate alone."""
    folder = StudyFolder.at(str(storage), "made")
    study = optuna.create_study(study_name="made", storage=folder.open_optuna_storage(None), direction="maximize")
    folder.write(study_record(dataset=f"/data/{NASTY}"))
    for number in range(num_full + num_pruned):
        rate = 1e-4 * 1.2**number
        steps = range(1, 4 if number < num_full else 2)
        state = TrialState.COMPLETE if number < num_full else TrialState.PRUNED
        study.add_trial(
            create_trial(
                state=state,
                value=rate * 3,
                params={"learning_rate": rate, "hidden_width": 8 + number % 3},
                distributions={"learning_rate": RATES, "hidden_width": WIDTHS},
                intermediate_values={step: rate * step for step in steps},
            )
        )
    if failure is not None:
        study.add_trial(create_trial(state=TrialState.FAIL, user_attrs={"failure": failure}))
    return study


def report_of(storage: Path) -> str:
    write_report(str(storage), "made", resolve(storage / "report.html"))
    return (storage / "report.html").read_text()


class Sources(HTMLParser):
    """Everything that a page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.found += [str(value) for name, value in attrs if name in ("src", "href")]


def sources_of(page: str) -> Sources:
    parser = Sources()
    parser.feed(page)
    return parser


def traces_of(figure: go.Figure) -> list[Any]:
    return list(figure.data)


def test_the_page_fetches_nothing_and_holds_the_plotting_library_once(tmp_path: Path) -> None:
    make_study(tmp_path, num_full=9, num_pruned=3)

    page = report_of(tmp_path)

    assert sources_of(page).found == []
    assert page.count("plotly.js v") == 1


def test_what_a_user_named_is_text_and_never_markup(tmp_path: Path) -> None:
    make_study(tmp_path, num_full=2, failure=NASTY)

    page = report_of(tmp_path)

    assert "img" not in sources_of(page).tags
    assert "&lt;img" in page


def test_the_hyperparameter_that_matters_is_the_most_important(tmp_path: Path) -> None:
    found = importance(make_study(tmp_path, num_full=20))

    assert found is not None
    assert next(iter(found.shares)) == "learning_rate"
    assert "full trials" in found.basis


def test_with_few_full_trials_importance_is_that_of_the_first_rung_and_says_so(tmp_path: Path) -> None:
    make_study(tmp_path, num_full=3, num_pruned=12)

    page = report_of(tmp_path)

    assert "skill after epoch 1 of all 15 trials" in page


@pytest.mark.parametrize("num_full", [0, 1, 7])
def test_with_few_trials_importance_is_not_guessed(tmp_path: Path, num_full: int) -> None:
    make_study(tmp_path, num_full=num_full)

    assert "Too few trials to tell" in report_of(tmp_path)


def test_a_study_without_a_winner_yet_says_so(tmp_path: Path) -> None:
    make_study(tmp_path, num_full=2)

    assert "No model has been selected yet" in report_of(tmp_path)


def test_a_winners_skill_with_values_known_is_a_column_and_a_table_of_its_own(tmp_path: Path) -> None:
    study = make_study(tmp_path, num_full=2)
    registry = Registry(StudyFolder.at(str(tmp_path), "made").registry.uri)
    evaluation = _evaluated_with_age_and_sex_known()
    added = registry.add(**bundle_content(conditioning=planted_conditioning(), evaluation=evaluation))
    study.set_user_attr(BUNDLE_ID, added.bundle_id)

    page = report_of(tmp_path)

    assert "with sex and age known" in page
    assert page.count(">given</td>") == 2  # age and sex themselves
    assert "Skill when values are known" in page
    skill = evaluation.known[0]["sbp"].skill
    assert str(skill.known_over_floor) in page
    assert str(skill.shuffled) in page


def _evaluated_with_age_and_sex_known() -> Evaluation:
    rng = np.random.default_rng(0)
    labels_PT = np.column_stack([rng.random(40) < 0.5, *rng.normal(50, 10, (3, 40))]).astype(float)
    guesses_PT = np.column_stack([rng.random(40), *rng.normal(50, 10, (3, 40))])
    told = KnownPredictions(guesses_PT, labels_PT, *([guesses_PT] * 4))
    known = evaluate_known(("sex", "age"), told, labels_PT, [0.5, 50, 50, 50], TASKS, num_bootstrap=20)
    return planted_evaluation(guesses_PT, labels_PT).model_copy(update={"known": (known,)})


def test_a_study_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="found no"):
        report_of(tmp_path)


def test_stopped_trials_are_in_the_curves_with_a_cross(tmp_path: Path) -> None:
    figure = curves_figure(leaderboard(make_study(tmp_path, num_full=2, num_pruned=3)))

    stopped = [trace for trace in traces_of(figure) if trace.name == "stopped early"]

    assert len(stopped) == 3
    assert all(trace.marker.symbol == "x" for trace in stopped)


def test_best_so_far_in_the_history_never_falls(tmp_path: Path) -> None:
    figure = history_figure(leaderboard(make_study(tmp_path, num_full=6)))

    steps = next(trace.y for trace in traces_of(figure) if trace.name == "best so far")

    assert list(steps) == sorted(steps)


def test_the_leaderboard_puts_full_trials_before_stopped_and_failed_ones(tmp_path: Path) -> None:
    board = leaderboard(make_study(tmp_path, num_full=2, num_pruned=2, failure="diverged"))

    assert [row.state for row in board.root] == ["complete"] * 2 + ["pruned"] * 2 + ["failed"]
    assert board.root[0].number == 1  # the higher learning rate of the two
    assert board.root[-1].failure == "diverged"


@pytest.mark.parametrize(("curve", "epoch"), [({}, None), ({1: 0.1}, 1), ({1: 0.1, 2: 0.3, 3: 0.3}, 2)])
def test_the_best_epoch_is_the_first_that_reached_the_best_skill(curve: dict[int, float], epoch: int | None) -> None:
    assert best_epoch(curve) == epoch


def test_skill_is_drawn_with_its_interval_beside_floor_and_what_is_reachable() -> None:
    figure = skill_figure(_evaluation())

    drawn = {trace.name: trace for trace in traces_of(figure)}
    assert set(drawn) == {"reachable", "floor (age and sex)", "skill, prior", "skill, target"}
    assert list(drawn["skill, target"].x) == [0.5]
    assert drawn["skill, target"].error_x.array[0] == pytest.approx(0.1)
    assert drawn["skill, target"].error_x.arrayminus[0] == pytest.approx(0.2)


def test_confusions_of_a_graded_task_are_counts_coloured_by_share_of_the_true_level() -> None:
    figure = confusion_figure(_graded_row())

    (heatmap,) = traces_of(figure)
    np.testing.assert_allclose(heatmap.z, [[0.75, 0.25], [0.0, 1.0]])
    assert [list(row) for row in heatmap.text] == [["3", "1"], ["0", "2"]]
    assert figure.layout.yaxis.title.text == "true"


def test_levels_are_escaped_in_the_section_of_grades() -> None:
    evaluation = _evaluation()
    graded = evaluation.model_copy(update={"tasks": (*evaluation.tasks, _graded_row())})

    page = str(grades_section(graded))

    assert "&lt;b&gt;" in page
    assert "<b>" not in page
    assert "0.500 [0.300, 0.600] in sets of 0.500 of 2 levels" in page
    assert str(grades_section(evaluation)) == ""
    assert str(grades_section(None)) == ""


def _graded_row() -> TaskEvaluation:
    some = Estimate(value=0.5, low=0.3, high=0.6)
    row = _evaluation()["sbp"]
    return row.model_copy(
        update={
            "name": "grade",
            "kind": "ordinal",
            "label": "<b>Grade",
            "measures": dict.fromkeys(("kappa", "accuracy", "usual_accuracy", "mae", "usual_mae", "set_size"), some),
            "interval_coverage": some,
            "levels": ("none", "<b>some"),
            "confusion": ((3, 1), (0, 2)),
        }
    )


def _evaluation() -> Evaluation:
    some = Estimate(value=0.5, low=0.3, high=0.6)
    none = Estimate(value=None, low=None, high=None)

    def task(name: str, role: str, reachable: float | None) -> TaskEvaluation:
        return TaskEvaluation(
            name=name,
            kind="regression",
            unit="y",
            label=name.title(),
            role=role,  # pyright: ignore[reportArgumentType]
            num_patients=9,
            num_positive=None,
            skill=some,
            floor_skill=some if role == "target" else none,
            skill_over_floor=some,
            reachable_skill=reachable,
            measures={"mae": some, "median_mae": some},
            interval_coverage=None,
        )

    return Evaluation(
        cohort_split="test",
        num_patients=9,
        num_train_patients=9,
        num_bootstrap=10,
        mean_skill=some,
        prior_mean_skill=some,
        target_mean_skill=some,
        floor_mean_skill=some,
        mean_skill_over_floor=some,
        tasks=(task("age", "prior", None), task("sbp", "target", 0.8)),
    )


def test_an_affinity_is_shown_as_heat_maps_and_ranking(tmp_path: Path) -> None:
    make_study(tmp_path, num_full=2)
    without = report_of(tmp_path)
    affinity = Affinity(
        tasks=("sex", "age"),
        fingerprint="f",
        num_steps=100,
        num_measurements=8,
        extra_time=0.1,
        skills=(0.5, None),
        label_correlation=((1.0, 0.2), (0.2, 1.0)),
        gradient_cosine=((1.0, -0.1), (-0.1, 1.0)),
        lookahead=((0.3, 0.01), (None, None)),
        benefit=((0.0, 0.04), (0.03, 0.0)),
        splits=(RankedSplit(task_split="sex", score=0.02),),
    )
    folder = StudyFolder.at(str(tmp_path), "made")
    sha256 = {"affinity_sha256": "a"}
    folder.write(folder.read().model_copy(update=sha256), affinity.model_dump_json().encode())

    page = report_of(tmp_path)

    assert "What to predict first" not in without
    assert "What to predict first" in page
    assert "<td>0.020</td>" in page
    assert "--affinity" in page
    panels = [trace for trace in affinity_figure(affinity).data if isinstance(trace, go.Heatmap)]
    assert len(panels) == 4
    assert np.asarray(panels[0].z)[0, 1] == 0.04
