"""The base of all settings: frozen, checked when made, unknown keys refused, one clear line for what is wrong."""

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from sepl.errors import ConfigError, SeplError


class Settings(BaseModel):
    """Base of all that is written as JSON or comes from a stranger."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def parse(cls, values: object, where: str, error: type[SeplError] = ConfigError) -> Self:
        """Checked settings from what should be a mapping; `where` (a file, an option) opens `error`'s one line."""
        try:
            return cls.model_validate(dict(values) if isinstance(values, Mapping) else values)
        except ValidationError as problem:
            raise error(f"{where}: {describe(problem)}") from None

    @classmethod
    def parse_json(cls, text: str | bytes, where: str, error: type[SeplError] = ConfigError) -> Self:
        """As `parse`, from JSON."""
        try:
            return cls.model_validate_json(text)
        except ValidationError as problem:
            raise error(f"{where}: {describe(problem)}") from None


def describe(problem: ValidationError) -> str:
    """One line: every wrong field with what it should be and what it was."""
    return "; ".join(_describe_one(details) for details in problem.errors(include_url=False))


def _describe_one(details: Any) -> str:
    field = ".".join(str(part) for part in details["loc"]) or "value"
    if details["type"] == "extra_forbidden":
        return f"unknown key {field}"
    if details["type"] == "missing":
        return f"{field} is missing"
    message = details["msg"].removeprefix("Input ").removeprefix("Value error, ")
    return f"{field} {message}, was {_shorten(details['input'])}"


def _shorten(value: object, most: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= most else f"{text[: most - 1]}…"
