"""The one connection to Ray, with one meaning of `--address`: left out it is this machine, else a cluster that runs."""

import logging
import os
import shutil
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray

from sepl.distributed.watchdog import while_node_lives
from sepl.errors import ConfigError, SeplError
from sepl.execution.cores import num_cores

_ANSWER_SECONDS = 10.0
"""For a machine to answer at all; Ray itself tries for minutes, with a line of its own every few seconds."""
_QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}


@dataclass(frozen=True)
class Node:
    """One machine of a cluster."""

    cpus: int
    gpus: int
    host: str = ""
    node_id: str = ""


def is_this_machine(address: str | None) -> bool:
    """Whether `--address` means this machine: it was left out, or says so."""
    return address in (None, "local")


@contextmanager
def connect(address: str | None, *, num_cpus: int | None = None, preload: Sequence[str] = ()) -> Iterator[None]:
    """A connection to Ray while the context lasts.

    A Ray that is started here ends with the context, and its session folder goes with it. A connection that exists
    already is used and left.

    Args:
        address: None for a Ray of this machine, 'auto' for the cluster that this machine is part of, or HOST:PORT.
        num_cpus: Of a Ray of this machine; one for each core unless given.
        preload: Modules that the workers of a Ray of this machine import ahead of need. A cluster that runs already
            takes them from `ray start --system-config`.

    Raises ConfigError when there is no cluster at that address, or none can be started here; WorkerError when the Ray
    node of this machine dies meanwhile.
    """
    if ray.is_initialized():
        yield
        return
    if is_this_machine(address):
        with _own_ray(num_cpus, preload):
            yield
        return
    assert address is not None
    try:
        _join(address)
        with while_node_lives():
            yield
    finally:
        ray.shutdown()


def alive_nodes() -> tuple[Node, ...]:
    """The machines of the cluster as they are now."""
    return tuple(
        Node(
            cpus=int(node["Resources"].get("CPU", 0)),
            gpus=int(node["Resources"].get("GPU", 0)),
            host=node["NodeManagerHostname"],
            node_id=node["NodeID"],
        )
        for node in ray.nodes()
        if node["Alive"]
    )


@contextmanager
def _own_ray(num_cpus: int | None, preload: Sequence[str]) -> Iterator[None]:
    if num_cpus is not None and num_cpus < 1:
        raise ConfigError(f"num_workers should be 1 or more, was {num_cpus}")
    cores = num_cpus or num_cores()
    try:
        if preload:
            from sepl.distributed.ray_patches import start_ray  # and Ray Tune, which a preparation does without

            start_ray(cores, preload, **_QUIET)
        else:
            ray.init(address="local", num_cpus=cores, include_dashboard=False, **_QUIET)
    except OSError as problem:
        ray.shutdown()
        raise ConfigError(_why_not_here(problem)) from problem
    running = ray.get_runtime_context()
    session = Path(running.get_temp_dir(), running.get_session_name())
    try:
        with while_node_lives():
            yield
    finally:
        ray.shutdown()
        if not _is_crash(sys.exception()):
            _remove_session(session)


def _is_crash(problem: BaseException | None) -> bool:
    """Whether something went wrong that nobody foresaw, whose cause Ray's logs may tell."""
    return isinstance(problem, Exception) and not isinstance(problem, SeplError)


def _remove_session(session: Path) -> None:
    shutil.rmtree(session, ignore_errors=True)
    latest = session.with_name("session_latest")
    if latest.is_symlink() and not latest.exists():
        latest.unlink(missing_ok=True)


def _why_not_here(problem: OSError) -> str:
    if "AF_UNIX" in str(problem):
        folder = next((os.environ[name] for name in ("RAY_TMPDIR", "TMPDIR") if name in os.environ), "/tmp")  # noqa: S108
        return (
            "TMPDIR (or RAY_TMPDIR, which Ray prefers) should be a short path, of 39 characters at most, for Ray's "
            f"sockets to fit below it; was {folder}"
        )
    return f"Ray does not start on this machine: {_first_line(problem)}"


def _join(address: str) -> None:
    if address != "auto":
        _check_that_it_answers(address)
    try:
        ray.init(address=address, **_QUIET)
    except (ConnectionError, RuntimeError, ValueError) as problem:
        raise ConfigError(f"{_expected(address)}: {_first_line(problem)}") from problem


def _check_that_it_answers(address: str) -> None:
    host, colon, port = address.rpartition(":")
    if not (host and colon and port.isdigit()) or "/" in host:  # such as ray://…, through which Tune gets no callbacks
        raise ConfigError(_expected(address))
    try:
        socket.create_connection((host, int(port)), timeout=_ANSWER_SECONDS).close()
    except (OSError, OverflowError) as problem:
        raise ConfigError(f"{_expected(address)}: {_first_line(problem)}") from problem


def _expected(address: str) -> str:
    return (
        "--address should be that of a running Ray cluster, auto or HOST:PORT, or be left out for this machine; "
        f"was {address!r}"
    )


def _first_line(problem: Exception) -> str:
    return str(problem).strip().partition("\n")[0] or type(problem).__name__
