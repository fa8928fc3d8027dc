"""Errors of an application of any kind, as a client sees them."""

import logging

import pytest
from fastapi import FastAPI, HTTPException
from fastapi.testclient import TestClient

from serve.problems import add_problem_handlers, problem_response


@pytest.fixture(scope="module")
def client() -> TestClient:
    api = FastAPI()
    add_problem_handlers(api)

    @api.get("/refused/{status}")
    def refuse(status: int, detail: str = "no") -> None:
        raise HTTPException(status, detail, headers={"retry-after": "3"})

    @api.get("/crash")
    def crash() -> None:
        raise ValueError("secret")

    return TestClient(api, raise_server_exceptions=False)


def test_a_problem_has_the_phrase_of_its_status_and_its_own_media_type() -> None:
    response = problem_response(404, "no such model", {"x": "y"})

    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["x"] == "y"
    assert b'"title":"Not Found"' in bytes(response.body)


@pytest.mark.parametrize(
    ("status", "detail", "expected"),
    [(404, "no", 404), (503, "busy", 503), (400, "Too many files.", 413), (400, "no form", 422)],
)
def test_a_refusal_keeps_its_detail_and_its_headers(
    client: TestClient, status: int, detail: str, expected: int
) -> None:
    response = client.get(f"/refused/{status}", params={"detail": detail})

    assert response.status_code == response.json()["status"] == expected
    assert response.json()["detail"] == detail
    assert response.headers["retry-after"] == "3"


def test_an_invalid_request_is_told_where_without_what_was_sent(client: TestClient) -> None:
    response = client.get("/refused/seventeen")

    assert response.status_code == 422
    assert "path.status" in response.json()["detail"]
    assert "seventeen" not in response.text


def test_a_crash_tells_the_log_and_not_the_client(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(logging.getLogger("ray.serve"), "propagate", True)

    response = client.get("/crash")

    assert response.status_code == 500
    assert "secret" not in response.text
    assert "secret" in caplog.text
