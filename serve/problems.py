"""Every error as JSON (RFC 9457), with the status that a client can act on."""

import logging
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from serve.schemas import Problem

logger = logging.getLogger("ray.serve")  # the one that Serve writes to its log files, with the request's id


def problem_response(status: int, detail: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    problem = Problem(title=HTTPStatus(status).phrase, status=status, detail=detail)
    return JSONResponse(
        problem.model_dump(), status, headers=dict(headers or {}), media_type="application/problem+json"
    )


def add_problem_handlers(api: FastAPI) -> None:
    api.add_exception_handler(HTTPException, _on_http_error)
    api.add_exception_handler(RequestValidationError, _on_invalid_request)
    api.add_exception_handler(Exception, _on_crash)


async def _on_http_error(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    status, detail = error.status_code, str(error.detail)
    if status == HTTPStatus.BAD_REQUEST:  # how Starlette answers a form that it cannot parse, or one of too many files
        status = 413 if detail.startswith("Too many") else 422
    return problem_response(status, detail, error.headers)


async def _on_invalid_request(_: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    # without the input: what was sent may be bytes, or of any length
    told = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
    return problem_response(422, told)


async def _on_crash(request: Request, error: Exception) -> JSONResponse:
    logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem_response(500, "an unexpected error; it is in the server's log")
