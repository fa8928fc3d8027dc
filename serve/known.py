"""What a request says to be known of its patients: JSON in the form field `known`, checked before it is scored."""

import json
import math
from collections.abc import Mapping, Sequence

from starlette.exceptions import HTTPException

from sepl.bundle.format import BundleManifest
from sepl.errors import ConfigError
from sepl.scoring.known import check_known
from sepl.tasks import Task

MAX_CHARACTERS = 10_000
_SEXES = {"m": 1.0, "male": 1.0, "f": 0.0, "female": 0.0}


def parse_known(texts: Sequence[str], num_files: int, manifest: BundleManifest) -> list[Mapping[str, float]]:
    """Known values a file, by task in its unit; none at all: an empty list.

    `texts` are JSON objects, one a file or one for all. Raises HTTPException 422, whose detail names what is wrong.
    """
    if not texts:
        return []
    if len(texts) not in (1, num_files):
        raise _refuse(f"known should be one JSON object a file, {num_files}, or one for all; were {len(texts)}")
    rows = [_parse(text, manifest) for text in texts]
    try:
        check_known([name for row in rows for name in row], manifest)
    except ConfigError as problem:
        raise _refuse(str(problem)) from None
    return rows * num_files if len(rows) == 1 else rows


def _parse(text: str, manifest: BundleManifest) -> Mapping[str, float]:
    if len(text) > MAX_CHARACTERS:
        raise _refuse(f"known should have at most {MAX_CHARACTERS} characters, had {len(text)}")
    if not text.strip():
        return {}
    try:
        given = json.loads(text)
    except (ValueError, RecursionError):
        raise _refuse("known should be a JSON object, was no JSON") from None
    if not isinstance(given, dict):
        raise _refuse(f"known should be a JSON object, was {_shown(given)}")
    unknown = sorted(set(given) - set(manifest.tasks.names))
    if unknown:
        raise _refuse(f"known should be of {', '.join(manifest.tasks.names)}; was of {_shown(unknown[0])}")
    try:
        check_known([name for name in given if manifest.tasks[name].is_graded], manifest)
    except ConfigError as problem:
        raise _refuse(str(problem)) from None
    return {name: _number(manifest.tasks[name], value) for name, value in given.items() if value is not None}


def _number(task: Task, value: object) -> float:
    if task.name == "sex" and isinstance(value, str) and value.strip().lower() in _SEXES:
        return _SEXES[value.strip().lower()]
    number = _finite(value) if task.kind == "binary" or not isinstance(value, bool) else None
    if number is not None and (task.kind != "binary" or number in (0.0, 1.0)):
        return number
    should = "0 or 1" if task.kind == "binary" else f"a number in {task.unit}"
    raise _refuse(f"known {task.name} should be {should}, was {_shown(value)}")


def _finite(value: object) -> float | None:
    if not isinstance(value, int | float):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _shown(value: object) -> str:
    text = ascii(value) if not isinstance(value, int) or abs(value) < 10**18 else "a number too large"
    return text if len(text) <= 80 else f"{text[:77]}..."


def _refuse(detail: str) -> HTTPException:
    return HTTPException(422, detail)
