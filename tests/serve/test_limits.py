"""The limit on a body alone, before any application that stands behind it."""

import asyncio
from collections.abc import Iterable

import pytest
from starlette.exceptions import HTTPException
from starlette.types import Message, Receive, Scope, Send

from serve.limits import BodyLimit

MEGABYTE = 1_000_000


async def _reads_all(scope: Scope, receive: Receive, send: Send) -> None:
    num_bytes = 0
    while True:
        message = await receive()
        num_bytes += len(message.get("body", b""))
        if not message.get("more_body"):
            break
    await send({"type": "told", "num_bytes": num_bytes})


def ask(chunks: Iterable[bytes], *, announced: str | None = None, kind: str = "http") -> list[Message]:
    """What is sent back for a body in these chunks, at a limit of a megabyte."""
    parts, sent = list(chunks), list[Message]()
    headers = [] if announced is None else [(b"content-length", announced.encode())]

    async def receive() -> Message:
        body = parts.pop(0)
        return {"type": "http.request", "body": body, "more_body": bool(parts)}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(BodyLimit(_reads_all, MEGABYTE)({"type": kind, "headers": headers}, receive, send))
    return sent


@pytest.mark.parametrize("announced", [None, str(MEGABYTE), "many"])
def test_a_body_of_just_the_limit_passes(announced: str | None) -> None:
    assert ask([b"x" * 600_000, b"x" * 400_000], announced=announced) == [{"type": "told", "num_bytes": MEGABYTE}]


def test_a_body_that_announces_more_is_refused_before_it_is_read() -> None:
    start, body = ask([], announced=str(MEGABYTE + 100_000))

    assert start["status"] == 413
    assert b"at most 1 MB, has 1.1 MB" in body["body"]


@pytest.mark.parametrize("announced", [None, "10"])
def test_a_body_that_turns_out_longer_is_refused_while_it_comes(announced: str | None) -> None:
    with pytest.raises(HTTPException, match="at most 1 MB, has more") as refusal:
        ask([b"x" * MEGABYTE, b"x"], announced=announced)
    assert refusal.value.status_code == 413


def test_what_is_no_request_is_left_alone() -> None:
    assert ask([b"x" * 2 * MEGABYTE], kind="lifespan") == [{"type": "told", "num_bytes": 2 * MEGABYTE}]
