"""How every command starts: options from an annotated function, and one clear line when something is wrong.

A command imports what loads torch, Ray or pandas within its function: a wrong option is told, and --help is there, in a
second instead of ten.
"""

import contextlib
import functools
import io
import os
import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import tyro

from sepl.errors import ConfigError, SeplError
from sepl.settings import Settings

_JOB_VARIABLE = "RAY_JOB_CONFIG_JSON_ENV_VAR"
"""Set by Ray for the command of `ray job submit`, and for nothing else."""
_WRITTEN = ("out", "storage", "registry", "checkpoints")
"""The options, of all commands, that name a place to write to."""
_SQLITE_FILE = re.compile(r"sqlite(?:\+\w+)?:///(?:file:)?(?P<file>[^?]+)")
_BOX = re.compile(r"[╭╮╰╯│─]+")


def run_command(main: Callable[..., Any]) -> None:
    """Runs `main` with options from the command line.

    Exit codes: 0 done · 2 a wrong option or input, told in one line · 130 stopped by Ctrl-C.
    """
    _show_what_can_be_shown()
    options = _parse(main)
    try:
        _check_places(options)
        main(**options)
    except SeplError as problem:
        sys.exit(_complain(problem, 2))
    except KeyboardInterrupt:
        sys.exit(_complain("stopped by Ctrl-C", 130))


def _check_places(options: Mapping[str, Any]) -> None:
    """In a Ray job a relative path lies in the folder that Ray unpacked for it, and goes with that."""
    if _JOB_VARIABLE not in os.environ:
        return
    for name, value in options.items():
        if isinstance(value, Settings):
            _check_places(dict(value))
        elif name == "optuna_url" and value is not None:
            _check_database(value)
        elif name in _WRITTEN and value is not None and not _is_absolute(str(value)):
            raise ConfigError(
                f"--{name.replace('_', '-')} should be an absolute path, s3://… or gs://… in a Ray job, whose own "
                f"folder is removed after it; was {str(value)!r}"
            )


def _check_database(url: str) -> None:
    """A file, as SQLite has it, is a place like the others; `~` means nothing in a URL."""
    file = _SQLITE_FILE.match(url)
    if file and not Path(file["file"]).is_absolute():
        raise ConfigError(
            f"--optuna-url should name a file by its absolute path (sqlite:////…) or a database server in a Ray job, "
            f"whose own folder is removed after it; was {url!r}"
        )


def _is_absolute(place: str) -> bool:
    return "://" in place or Path(place).expanduser().is_absolute()


def _show_what_can_be_shown() -> None:
    """Where a terminal or a log has no such character it gets a question mark, rather than the work an end."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _parse(main: Callable[..., Any]) -> dict[str, Any]:
    @functools.wraps(main)
    def collect(**options: Any) -> dict[str, Any]:
        return options

    told = io.StringIO()
    config = (tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff)
    try:
        with contextlib.redirect_stderr(told):
            return tyro.cli(collect, prog=_program(), config=config)
    except SystemExit as stop:
        if stop.code:
            _complain(_in_one_line(told.getvalue()), 2)
        raise


def _program() -> str:
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return f"python -m {spec.name}" if spec else sys.argv[0]


def _in_one_line(box: str) -> str:
    """What tyro draws as a box, as `title: text`; the hint at --help stays ours."""
    title, *lines = [_BOX.sub(" ", line).strip() for line in box.splitlines()]
    text = " ".join(line for line in lines if line)
    text = re.split(r"For full helptext|Argument helptext", text)[0].strip()
    opening = "" if text.startswith(title) else f"{title.lower()}: "
    return f"{opening}{text} (--help shows all options)"


def _complain(problem: object, code: int) -> int:
    print(f"error: {problem}", file=sys.stderr)
    return code
