"""One bearer token for the whole API, from the environment; none means open.

Serve's HTTP port has no protection of its own, whatever RAY_AUTH_MODE says. The token is checked before anything of the
body is read; health and documentation stay open.
"""

import hmac
import os

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from sepl.errors import ConfigError
from serve.problems import problem_response

TOKEN_VARIABLE = "SEPL_SERVE_TOKEN"  # noqa: S105  the variable's name, not a token
OPEN_PATHS = ("/healthz", "/docs", "/openapi.json")


def token_from_environment() -> str | None:
    """The token that clients must send; ConfigError when the variable is set to nothing, as a lost secret would be."""
    token = os.environ.get(TOKEN_VARIABLE)
    if token is not None and not token.strip():
        raise ConfigError(f"{TOKEN_VARIABLE} should be a token or not be set, was empty")
    return token


class BearerAuth:
    """ASGI middleware: 401 unless the request carries `Authorization: Bearer TOKEN`."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        self._expected = f"Bearer {token}".encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._is_allowed(scope):
            refusal = problem_response(401, "a bearer token is needed", {"WWW-Authenticate": "Bearer"})
            return await refusal(scope, receive, send)
        return await self._app(scope, receive, send)

    def _is_allowed(self, scope: Scope) -> bool:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        given = Headers(scope=scope).get("authorization", "")
        return path in OPEN_PATHS or hmac.compare_digest(given.encode("latin-1"), self._expected)
