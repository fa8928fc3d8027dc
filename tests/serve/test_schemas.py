"""Replies of a model with grades and classes beside the rest."""

from collections.abc import Iterator

import pytest
from bundles import bundle_content, draw_fundus, planted_conditioning
from fastapi.testclient import TestClient
from graded import CAMERA, GRADES, MIXED, graded_intervals
from scorings import Unbatched

from sepl.bundle.format import compose_bundle
from serve.api import build_api
from serve.schemas import ServeSettings

_FILE = "files", ("a.jpg", draw_fundus())


@pytest.fixture(scope="module")
def graded() -> Iterator[TestClient]:
    """A model with grades and classes beside the rest."""
    content = bundle_content(tasks=MIXED, intervals=graded_intervals(), conditioning=planted_conditioning(MIXED))
    bundle, _ = compose_bundle(**content)
    with TestClient(
        build_api(Unbatched(bundle), bundle, ServeSettings(bundle="not opened here"), token=None)
    ) as client:
        yield client


def test_a_graded_task_has_its_level_its_set_and_the_probability_of_each(graded: TestClient) -> None:
    values = graded.post("/v1/score", files=[_FILE]).json()["scores"][0]["values"]

    assert list(values) == list(MIXED.names)
    assert values["age"].keys() == {"value", "low", "high", "unit"}
    grade, camera = values["retinopathy"], values["camera"]
    assert grade.keys() == {"level", "level_set", "probabilities"}
    assert list(grade["probabilities"]) == list(GRADES.levels)
    assert sum(grade["probabilities"].values()) == pytest.approx(1)
    assert grade["level"] in grade["level_set"]
    assert camera["level_set"] is None


def test_a_model_with_grades_tells_their_levels_and_that_they_cannot_be_known(graded: TestClient) -> None:
    model = graded.get("/v1/model").json()

    assert [task["levels"] for task in model["tasks"]] == [[], list(GRADES.levels), [], list(CAMERA.levels), []]
    assert [known["name"] for known in model["known"]] == ["sex", "age", "sbp"]
    assert model["intervals"]["set_thresholds"] == {"retinopathy": 0.6, "camera": None}


def test_a_grade_that_is_given_is_422_and_the_reason_is_told(graded: TestClient) -> None:
    for told in ('{"retinopathy": 2}', '{"age": 61, "retinopathy": "mild"}'):
        reply = graded.post("/v1/score", files=[_FILE], data={"known": told})

        assert reply.status_code == 422
        assert "grades and classes cannot be given, was retinopathy (ordinal)" in reply.json()["detail"]
