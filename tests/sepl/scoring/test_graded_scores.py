"""Photographs of a bundle with grades and classes: rows, tables, patients, and what is known beside them."""

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from bundles import build_bundle, bundle_content, draw_fundus, planted_conditioning
from graded import CAMERA, GRADES, MIXED, graded_intervals

from sepl.bundle.format import compose_bundle, read_bundle
from sepl.data.imaging.photograph import read_photograph
from sepl.errors import ConfigError
from sepl.levels import expected_level, level_probabilities, predicted_level
from sepl.scoring.level_sets import level_scores
from sepl.scoring.rows import Score
from sepl.scoring.scorer import Scorer
from sepl.scoring.table import write_scores
from sepl.tasks import TaskTable

PHOTOGRAPHS = [(f"{seed}.jpg", draw_fundus(seed)) for seed in range(4)]


@pytest.fixture(scope="module")
def scorer(tmp_path_factory: pytest.TempPathFactory) -> Scorer:
    """Of a bundle that was written and opened."""
    folder = tmp_path_factory.mktemp("bundles") / "bundle"
    build_bundle(folder, tasks=MIXED, intervals=graded_intervals(), conditioning=planted_conditioning(MIXED))
    return Scorer(read_bundle(folder), device="cpu")


def outputs_of(scorer: Scorer) -> np.ndarray:
    spec = scorer.bundle.manifest.image
    return scorer.outputs([np.stack([read_photograph(data, spec) for _, data in PHOTOGRAPHS])])


def test_a_row_has_level_set_and_probabilities_of_its_photographs_outputs(scorer: Scorer) -> None:
    outputs_NO = outputs_of(scorer)

    scores = scorer.score_bytes(PHOTOGRAPHS)

    assert outputs_NO.shape == (4, MIXED.num_outputs)
    for task, temperature, columns in ((GRADES, 1.5, MIXED.outputs[1]), (CAMERA, 1.0, MIXED.outputs[3])):
        expected_NL = level_probabilities(outputs_NO[:, columns], task, temperature)
        places_N = predicted_level(expected_NL, task)
        is_in_NL = level_scores(outputs_NO[:, columns], task) <= 0.6
        for score, expected_L, place, is_in_L in zip(scores, expected_NL, places_N, is_in_NL, strict=True):
            row = score.values[task.name]
            assert row.levels is not None
            assert (row.value, row.low, row.high) == (place, None, None)
            assert row.levels.level == task.levels[int(place)]
            assert list(row.levels.probabilities) == list(task.levels)
            assert list(row.levels.probabilities.values()) == pytest.approx(expected_L, abs=1e-5)
            own = tuple(level for level, is_in in zip(task.levels, is_in_L, strict=True) if is_in)
            assert row.levels.level_set == (own if task is GRADES else None)


def test_a_table_has_the_levels_name_its_set_and_a_column_of_each_probability(scorer: Scorer, tmp_path: Path) -> None:
    scores = scorer.score_bytes([*PHOTOGRAPHS, ("broken.jpg", b"no picture")])

    write_scores([scores], scorer.bundle.manifest, str(tmp_path / "scores.parquet"))

    table = pq.read_table(tmp_path / "scores.parquet")
    names = [name for name in table.schema.names if name.startswith(("retinopathy", "camera"))]
    assert names == [
        "retinopathy",
        "retinopathy_set",
        *(f"retinopathy_p_{level}" for level in GRADES.levels),
        "camera",
        "camera_set",
        "camera_p_Kowa_VX_10",
        "camera_p_Topcon_NW400",
        "camera_p_Zeiss_500",
    ]
    *rows, broken = table.to_pylist()
    for row, score in zip(rows, scores, strict=False):
        levels = score.values["retinopathy"].levels
        assert levels is not None
        assert row["retinopathy"] == levels.level
        assert row["retinopathy"] in row["retinopathy_set"].split("|")
        assert row["retinopathy_set"].split("|") == list(levels.level_set or ())
        assert sum(row[f"retinopathy_p_{level}"] for level in GRADES.levels) == pytest.approx(1)
        assert row["camera_set"] is None
    assert all(broken[name] is None for name in names)
    about = table.schema.field("camera_p_Zeiss_500").metadata
    assert (about[b"unit"], about[b"level"]) == (b"probability", b"Zeiss 500")
    assert json.loads(table.schema.field("camera").metadata[b"levels"]) == list(CAMERA.levels)


def test_a_patient_has_the_worst_grade_of_the_photographs_where_a_task_says_so() -> None:
    grades = GRADES.model_copy(update={"patient": "worst"})
    tasks = TaskTable.of([grades if task is GRADES else task for task in MIXED])
    scorer = Scorer(compose_bundle(**bundle_content(tasks=tasks))[0], device="cpu")
    outputs_NK = outputs_of(scorer)[:, tasks.outputs[1]]
    worst = int(expected_level(level_probabilities(outputs_NK, grades)).argmax())

    alone = scorer.score_bytes(PHOTOGRAPHS)
    together = scorer.score_bytes(PHOTOGRAPHS, ["P"] * len(PHOTOGRAPHS))

    assert_close(together[0], alone[worst], "retinopathy")
    assert together[0].values["age"].value == pytest.approx(
        np.mean([row.values["age"].value for row in alone]), abs=1e-4
    )


def assert_close(one: Score, other: Score, name: str) -> None:
    ours, theirs = one.values[name].levels, other.values[name].levels
    assert ours is not None
    assert theirs is not None
    assert ours.level == theirs.level
    assert list(ours.probabilities.values()) == pytest.approx(list(theirs.probabilities.values()), abs=1e-5)


def test_known_values_move_the_other_numbers_and_no_level(scorer: Scorer) -> None:
    before = scorer.score_bytes(PHOTOGRAPHS)

    found = scorer.score_bytes(PHOTOGRAPHS, known=[{"age": 71.0}] * 4)

    for one, other in zip(found, before, strict=True):
        assert one.known == ("age",)
        assert one.values["age"].value == 71.0
        assert one.values["sbp"] != other.values["sbp"]
        assert [one.values[name] for name in ("retinopathy", "camera")] == [
            other.values[name] for name in ("retinopathy", "camera")
        ]


@pytest.mark.parametrize(("name", "kind"), [("retinopathy", "ordinal"), ("camera", "categorical")])
def test_a_grade_or_class_cannot_be_given(scorer: Scorer, name: str, kind: str) -> None:
    with pytest.raises(ConfigError, match=rf"grades and classes cannot be given, was {name} \({kind}\)"):
        scorer.score_bytes(PHOTOGRAPHS, known=[{"age": 71.0, name: 1.0}] * 4)
