"""Ends a driver whose Ray has died under it: Ray's own calls would wait for ever for what cannot come."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray.exceptions import LocalRayletDiedError

from sepl.execution.executor import WorkerError

_LOOK_SECONDS = 2.0
_AGAIN_SECONDS = 20.0
"""Ray Tune takes the first interrupt as a wish to stop; the next one ends whatever that waits for."""


@contextmanager
def while_node_lives() -> Iterator[None]:
    """Watches the Ray node that this process is connected to; raises WorkerError in place of what its death causes.

    Interrupts the main thread as Ctrl-C does; elsewhere than there, it only says so at the end.
    """
    watchdog = _Watchdog()
    watchdog.start()
    try:
        yield
    except LocalRayletDiedError as problem:  # Ray noticed it first
        raise _death() from problem
    except BaseException:
        watchdog.check()
        raise
    finally:
        watchdog.stop()
    watchdog.check()


class _Watchdog:
    def __init__(self) -> None:
        self._node = ray.get_runtime_context().get_node_id()
        self._is_main = threading.current_thread() is threading.main_thread()
        self._done = threading.Event()
        self._is_lost = False
        self._thread = threading.Thread(target=self._watch, name="ray-watchdog", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._done.set()

    def check(self) -> None:
        if self._is_lost:
            raise _death()

    def _watch(self) -> None:
        while not self._done.wait(_LOOK_SECONDS):
            if not self._is_alive():
                self._is_lost = True
                self._interrupt()
                return

    def _is_alive(self) -> bool:
        if not ray.is_initialized():
            return True
        return any(node["Alive"] for node in ray.nodes() if node["NodeID"] == self._node)

    def _interrupt(self) -> None:
        while self._is_main and not self._done.is_set():
            os.kill(os.getpid(), signal.SIGINT)
            self._done.wait(_AGAIN_SECONDS)


def _death() -> WorkerError:
    return WorkerError(
        "the Ray node of this machine died (its raylet was killed, most often because memory ran out); what is "
        "finished is kept: go on with the same command, a search with --resume"
    )
