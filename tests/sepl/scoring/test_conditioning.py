"""Laws of conditioning on known values: planted Gaussians, what must change nothing, what must help."""

import numpy as np
import pytest
from graded import CAMERA, GRADES, MIXED, MIXED_SCALER, draw_levels
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from sepl.bundle.conditioning import Conditioning, KnownPattern, default_patterns
from sepl.bundle.format import Intervals
from sepl.data.dataset.scaling import LabelScaler
from sepl.scoring.conditioning import condition, fit_conditioning, nearest_pattern, scale_known, scale_outputs
from sepl.tasks import BUILT_IN_TASKS, TaskTable

Floats = NDArray[np.float64]

NAMES = ("age", "sbp", "dbp", "glucose", "bun")
TASKS = TaskTable.of(BUILT_IN_TASKS[name] for name in NAMES)
SCALER = LabelScaler(medians=(50.0, 120.0, 75.0, 95.0, 15.0), iqrs=(10.0, 20.0, 10.0, 15.0, 5.0))
PATTERNS = tuple(KnownPattern(known=(name,), quantiles=dict.fromkeys(set(NAMES) - {name}, 1.0)) for name in NAMES)


def _planted(seed: int) -> tuple[Conditioning, Floats]:
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(5, 5))
    covariance_TT = factor @ factor.T + 0.3 * np.eye(5)
    means_T = rng.normal(size=5)
    told = Conditioning(
        means=tuple(means_T), covariance=tuple(map(tuple, covariance_TT)), num_patients=400, patterns=PATTERNS
    )
    return told, covariance_TT


def _rows(seed: int, num_rows: int = 12) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    outputs_NT, known_NT = rng.normal(size=(2, num_rows, 5))
    return outputs_NT, np.where(rng.random((num_rows, 5)) < 0.4, known_NT, np.nan)


@given(seed=st.integers(0, 10_000))
def test_a_planted_gaussian_gives_the_textbooks_conditional_mean_and_variance(seed: int) -> None:
    told, covariance_TT = _planted(seed)
    outputs_NT, known_NT = _rows(seed)

    found = condition(told, NAMES, outputs_NT, known_NT)

    for row in range(len(outputs_NT)):
        known = np.flatnonzero(np.isfinite(known_NT[row]))
        rest = np.flatnonzero(~np.isfinite(known_NT[row]))
        if not len(known):
            continue
        gain = covariance_TT[np.ix_(rest, known)] @ np.linalg.inv(covariance_TT[np.ix_(known, known)])
        off = known_NT[row, known] - outputs_NT[row, known] - np.array(told.means)[known]
        variance = (covariance_TT[np.ix_(rest, rest)] - gain @ covariance_TT[np.ix_(known, rest)]).diagonal()
        np.testing.assert_allclose(found.values_NT[row, rest], outputs_NT[row, rest] + gain @ off, atol=1e-8)
        np.testing.assert_allclose(found.half_widths_NT[row, rest] ** 2, variance, atol=1e-8)
        np.testing.assert_array_equal(found.values_NT[row, known], known_NT[row, known])


@given(seed=st.integers(0, 10_000))
def test_permuting_rows_permutes_results(seed: int) -> None:
    told, _ = _planted(seed)
    outputs_NT, known_NT = _rows(seed)
    order = np.random.default_rng(seed).permutation(len(outputs_NT))

    found = condition(told, NAMES, outputs_NT, known_NT)
    permuted = condition(told, NAMES, outputs_NT[order], known_NT[order])
    alone = condition(told, NAMES, outputs_NT[:1], known_NT[:1])

    np.testing.assert_array_equal(permuted.values_NT, found.values_NT[order])
    np.testing.assert_array_equal(permuted.half_widths_NT, found.half_widths_NT[order])
    np.testing.assert_array_equal(alone.values_NT, found.values_NT[:1])


@given(seed=st.integers(0, 10_000))
def test_with_nothing_known_outputs_are_as_they_came(seed: int) -> None:
    told, _ = _planted(seed)
    outputs_NT, _ = _rows(seed)

    found = condition(told, NAMES, outputs_NT, np.full_like(outputs_NT, np.nan))

    np.testing.assert_array_equal(found.values_NT, outputs_NT)
    assert not found.is_moved_NT.any()


@given(seed=st.integers(0, 10_000), value=st.floats(-5, 5))
def test_a_task_whose_errors_tell_nothing_of_the_others_changes_nothing(seed: int, value: float) -> None:
    told, covariance_TT = _planted(seed)
    covariance_TT[1, :] = covariance_TT[:, 1] = 0.0
    told = told.model_copy(update={"covariance": tuple(map(tuple, covariance_TT))})
    outputs_NT, known_NT = _rows(seed)
    known_NT[:, 1] = np.nan
    with_it_NT = known_NT.copy()
    with_it_NT[:, 1] = value

    without = condition(told, NAMES, outputs_NT, known_NT)
    found = condition(told, NAMES, outputs_NT, with_it_NT)

    others = [0, 2, 3, 4]
    np.testing.assert_allclose(found.values_NT[:, others], without.values_NT[:, others], atol=1e-9)


def test_a_guarded_task_stays_as_predicted() -> None:
    told, _ = _planted(1)
    guarded = KnownPattern(known=("age",), guarded=("sbp", "glucose", "bun"), quantiles={"dbp": 1.0})
    told = told.model_copy(update={"patterns": (guarded,)})
    outputs_NT, known_NT = np.zeros((1, 5)), np.array([[2.0, np.nan, np.nan, np.nan, np.nan]])

    found = condition(told, NAMES, outputs_NT, known_NT)

    assert found.values_NT[0, 1] == 0.0
    assert found.is_moved_NT[0].tolist() == [True, False, True, False, False]
    assert found.values_NT[0, 2] != 0.0


@pytest.mark.parametrize(
    ("known", "nearest"),
    [
        ({"age"}, ("age",)),
        ({"age", "sex"}, ("age", "sex")),
        ({"age", "sex", "bun"}, ("age", "sex")),
        ({"age", "sex", "height", "weight"}, ("age", "sex", "height", "weight", "bmi")),
        ({"age", "height"}, ("age",)),  # as far from {age, sex}, which is no part of it
        ({"bmi", "dbp"}, ("bmi",)),
    ],
)
def test_the_nearest_pattern_is_that_of_the_least_difference_and_of_two_the_part(
    known: set[str], nearest: tuple[str, ...]
) -> None:
    sets = [("age", "sex"), ("age", "sex", "height", "weight", "bmi"), ("bmi",), ("age",)]
    patterns = [KnownPattern(known=names) for names in sets]

    found = nearest_pattern(patterns, known, "sbp")

    assert found is not None
    assert found.known == nearest


def test_grades_and_classes_are_neither_known_nor_moved_and_disturb_no_other() -> None:
    rng = np.random.default_rng(4)
    alone = TaskTable.of(task for task in MIXED if not task.is_graded)
    outputs_PT = rng.normal(0, 1, (30, 3))
    labels_PT = np.column_stack([rng.random(30) < 0.5, *(rng.normal([50, 120], [10, 20], (30, 2)).T)]).astype(float)
    (grades_PK, grades_P), (classes_PK, classes_P) = (draw_levels(task, 30, rng) for task in (GRADES, CAMERA))
    outputs_PO = np.column_stack([outputs_PT[:, 0], grades_PK, outputs_PT[:, 1], classes_PK, outputs_PT[:, 2]])
    mixed_PT = np.column_stack([labels_PT[:, 0], grades_P, labels_PT[:, 1], classes_P, labels_PT[:, 2]])
    scaler = LabelScaler(medians=(0.0, 50.0, 120.0), iqrs=(1.0, 10.0, 20.0))
    patterns = [["sex", "age"], ["age", "retinopathy"]]

    mixed = fit_conditioning(outputs_PO, mixed_PT, MIXED, MIXED_SCALER, Intervals(), patterns)
    plain = fit_conditioning(outputs_PT, labels_PT, alone, scaler, Intervals(), patterns[:1])

    assert [row.known for row in mixed.patterns] == [row.known for row in plain.patterns]
    assert all({"retinopathy", "camera"} <= {*row.known, *row.guarded} for row in mixed.patterns)
    covariance_TT, numbers = np.array(mixed.covariance), [0, 2, 4]
    np.testing.assert_allclose(covariance_TT[[1, 3]], 0.0, atol=1e-12)
    np.testing.assert_allclose(np.array(mixed.means)[numbers], plain.means)
    np.testing.assert_allclose(covariance_TT[np.ix_(numbers, numbers)].diagonal(), np.diag(plain.covariance))


def test_a_pattern_that_holds_the_task_itself_lends_it_nothing() -> None:
    patterns = [KnownPattern(known=("age", "sbp")), KnownPattern(known=("bun",))]

    found = nearest_pattern(patterns, {"age"}, "sbp")

    assert found is not None
    assert found.known == ("bun",)


def _patients(num_patients: int, seed: int, tasks: TaskTable = TASKS) -> tuple[Floats, Floats]:
    """Outputs (scaled, logits) and labels in units, whose errors in age and pressures go together."""
    rng = np.random.default_rng(seed)
    labels_PT = rng.normal(size=(num_patients, 5))
    common = rng.normal(size=(num_patients, 1))
    errors_PT = 0.8 * common * np.array([1.0, 1.0, 1.0, 0.0, 0.0]) + 0.4 * rng.normal(size=(num_patients, 5))
    return labels_PT - errors_PT, np.asarray(SCALER.unscale(labels_PT), np.float64)


def _fit(num_patients: int, seed: int = 0, **changes: object) -> Conditioning:
    outputs_PT, labels_PT = _patients(num_patients, seed)
    return fit_conditioning(outputs_PT, labels_PT, TASKS, SCALER, Intervals(), [("age",)], **changes)  # type: ignore[arg-type]


def test_a_known_age_helps_where_errors_go_together_and_its_intervals_cover() -> None:
    fitted = _fit(400)
    outputs_PT, labels_PT = _patients(4000, seed=1)
    truth_PT = scale_known(labels_PT, TASKS, SCALER, fitted.binary_scale)
    known_PT = np.where(np.arange(5) == 0, truth_PT, np.nan)

    found = condition(fitted, NAMES, outputs_PT, known_PT)

    before_T, after_T = np.abs(truth_PT - outputs_PT).mean(axis=0), np.abs(truth_PT - found.values_NT).mean(axis=0)
    assert (after_T[1:3] < 0.8 * before_T[1:3]).all()
    covered_T = (np.abs(truth_PT - found.values_NT) <= found.half_widths_NT).mean(axis=0)
    assert (np.abs(covered_T[1:3] - 0.9) < 0.03).all()
    assert not found.is_moved_NT[:, 3].any() or after_T[3] < before_T[3] + 0.01


def test_patients_beyond_the_brute_force_are_left_out_in_groups_with_the_same_outcome() -> None:
    one_by_one, in_groups = _fit(500), _fit(501)

    assert not {"sbp", "dbp"} & {*one_by_one.patterns[0].guarded, *in_groups.patterns[0].guarded}
    assert one_by_one.patterns[0].quantiles["sbp"] == pytest.approx(in_groups.patterns[0].quantiles["sbp"], rel=0.1)


def test_of_outputs_that_stay_the_same_when_told_the_fit_is_the_same() -> None:
    outputs_PT, labels_PT = _patients(150, seed=5)
    told = {("age",): outputs_PT}

    plain = _fit(150, seed=5)
    fitted = _fit(150, seed=5, network_inputs=("age",), told=told)

    first, other = fitted.patterns[0], plain.patterns[0]
    assert first.residuals is not None
    np.testing.assert_allclose(first.residuals.covariance, plain.covariance, atol=1e-12)
    assert first.model_copy(update={"residuals": None}) == other
    assert fitted.patterns[1:] == plain.patterns[1:]
    known_PT = np.where(np.arange(5) == 0, scale_known(labels_PT, TASKS, SCALER, "probability"), np.nan)
    values = [condition(made, NAMES, outputs_PT, known_PT, outputs_PT).values_NT for made in (plain, fitted)]
    np.testing.assert_allclose(values[0], values[1], atol=1e-9)


def test_what_the_network_mended_when_told_is_not_mended_twice() -> None:
    """Told the age, it leaves nothing of the common error in the pressures."""
    outputs_PT, labels_PT = _patients(4400, seed=6)
    truth_PT = scale_known(labels_PT, TASKS, SCALER, "probability")
    told_PT = outputs_PT.copy()
    told_PT[:, 1:3] += (truth_PT - outputs_PT)[:, [0]]  # errors of pressures are age's and their own
    half = slice(None, 400)
    fitted = fit_conditioning(
        outputs_PT[half],
        labels_PT[half],
        TASKS,
        SCALER,
        Intervals(),
        [("age",)],
        network_inputs=("age",),
        told={("age",): told_PT[half]},
    )
    known_PT = np.where(np.arange(5) == 0, truth_PT, np.nan)[400:]

    found = condition(fitted, NAMES, outputs_PT[400:], known_PT, told_PT[400:])
    shared = fitted.model_copy(
        update={"patterns": tuple(row.model_copy(update={"residuals": None}) for row in fitted.patterns)}
    )
    twice = condition(shared, NAMES, outputs_PT[400:], known_PT, told_PT[400:])

    def error(values_NT: Floats) -> Floats:
        return np.abs(truth_PT[400:] - values_NT)[:, 1:3].mean(axis=0)

    assert (error(found.values_NT) <= error(told_PT[400:]) * 1.01).all()
    assert (error(found.values_NT) < 0.9 * error(twice.values_NT)).all()
    covered_T = (np.abs(truth_PT[400:] - found.values_NT) <= found.half_widths_NT).mean(axis=0)
    assert (np.abs(covered_T[1:3] - 0.9) < 0.04).all()


def test_the_nearest_pattern_is_first_that_of_what_the_network_is_told() -> None:
    patterns = [KnownPattern(known=("sbp",)), KnownPattern(known=("age",)), KnownPattern(known=("sbp", "bun"))]

    found = [nearest_pattern(patterns, {"age", "sbp", "bun"}, "dbp", inputs) for inputs in ((), ("age",))]

    assert [row.known for row in found if row is not None] == [("sbp", "bun"), ("age",)]


def test_too_few_patients_move_nothing() -> None:
    fitted = _fit(12)

    assert all(set(pattern.guarded) == set(NAMES) - set(pattern.known) for pattern in fitted.patterns)


def test_intervals_rest_on_calibration_patients_alone() -> None:
    outputs_PT, labels_PT = _patients(200, seed=3)
    is_calibration_P = np.arange(200) < 5

    fitted = fit_conditioning(
        outputs_PT, labels_PT, TASKS, SCALER, Intervals(), [("age",)], is_calibration_P=is_calibration_P
    )

    assert set(fitted.patterns[0].guarded) == set(NAMES) - {"age"}  # five make no interval of 90 %


def test_absent_labels_are_no_residuals() -> None:
    outputs_PT, labels_PT = _patients(300, seed=4)
    labels_PT[np.random.default_rng(0).random(labels_PT.shape) < 0.3] = np.nan
    labels_PT[:, 4] = np.nan

    fitted = fit_conditioning(outputs_PT, labels_PT, TASKS, SCALER, Intervals(), [("age",)])

    assert "sbp" in fitted.patterns[0].quantiles
    assert set(np.array(fitted.covariance)[4]) == {0.0}
    assert (np.linalg.eigvalsh(np.array(fitted.covariance)) > -1e-12).all()


def test_a_binary_task_is_moved_as_probability_or_logit_whichever_does_better() -> None:
    names = ("sex", "height", "weight", "bmi", "age")
    tasks = TaskTable.of(BUILT_IN_TASKS[name] for name in names)
    scaler = LabelScaler(medians=(0.0, 170.0, 70.0, 24.0, 50.0), iqrs=(1.0, 12.0, 15.0, 4.0, 10.0))
    rng = np.random.default_rng(0)
    male_P = rng.random(400) < 0.5
    height_P = 165 + 12 * male_P + rng.normal(0, 4, 400)
    labels_PT = np.column_stack([male_P.astype(float), height_P, *rng.normal(50, 5, (3, 400))])
    outputs_PT = np.column_stack([rng.normal(0, 0.3, 400), *rng.normal(0, 0.1, (4, 400))])

    fitted = fit_conditioning(outputs_PT, labels_PT, tasks, scaler, Intervals(), [("height",)])

    assert "sex" not in fitted.patterns[0].guarded
    scaled_PT = scale_outputs(outputs_PT, tasks, {}, fitted.binary_scale)
    known_PT = scale_known(labels_PT, tasks, scaler, fitted.binary_scale)
    known_PT[:, [0, 2, 3, 4]] = np.nan
    moved_P = condition(fitted, names, scaled_PT, known_PT).values_NT[:, 0]
    assert moved_P[male_P].mean() > moved_P[~male_P].mean() + 0.2


def test_the_default_patterns_are_age_and_sex_and_all_simple_factors_that_there_are() -> None:
    assert default_patterns(TASKS) == (("age",),)
    assert default_patterns(TaskTable.of(BUILT_IN_TASKS.values()))[1][:3] == ("sex", "age", "height")


def test_a_covariance_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="covariance should be 2 × 2"):
        Conditioning(means=(0.0, 0.0), covariance=((1.0,),), num_patients=3)


def test_limits_of_another_number_than_tasks_are_refused() -> None:
    with pytest.raises(ValueError, match="limits should be 2, as means are, were 1"):
        Conditioning(means=(0.0, 0.0), covariance=((1.0, 0.0), (0.0, 1.0)), num_patients=3, limits=(1.0,))
