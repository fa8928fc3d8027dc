"""One long call on a machine of the cluster that has the room: its lines as they are said, its errors as they are."""

import threading
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Any, TypeVar

import ray
from ray.exceptions import RayError

from sepl.errors import SeplError
from sepl.execution.executor import WorkerError

Tell = Callable[[str], None]
T = TypeVar("T")


def run_remotely(
    function: Callable[[Tell], T],
    *,
    num_cpus: int,
    num_gpus: float,
    tell: Tell,
    what: str,
    waiting: Callable[[], None],
    wait_seconds: float,
) -> T:
    """`function(tell)` in a Ray task of these resources; `waiting` is called every so often until it begins.

    Raises the SeplError that `function` raises, and WorkerError with the last line of anything else that ends it;
    `what` names the work there.
    """
    task = ray.remote(num_cpus=num_cpus, num_gpus=num_gpus, max_retries=0, num_returns="streaming")(_call)
    answers: Any = task.remote(function)  # a generator of references, which Ray's types do not tell
    try:
        while not ray.wait([answers], timeout=wait_seconds)[0]:
            waiting()
        for answer in answers:
            kind, value = ray.get(answer)
            if kind == "result":
                return value
            if kind == "problem":
                raise value
            if kind == "line":
                tell(value)
    except RayError as problem:
        raise WorkerError(f"{what} broke off on the cluster: {_last_line(problem)}") from problem
    raise WorkerError(f"{what} broke off on the cluster without a result")


def _call(function: Callable[[Tell], Any]) -> Iterator[tuple[str, Any]]:
    """First that it begins, then ("line", …) as often as there is one, then ("result", …) or ("problem", …)."""
    said: SimpleQueue[tuple[str, Any]] = SimpleQueue()

    def work() -> None:
        try:
            said.put(("result", function(lambda line: said.put(("line", line)))))
        except SeplError as problem:
            said.put(("problem", problem))
        except BaseException as problem:
            said.put(("crash", problem))

    yield "begins", None
    threading.Thread(target=work, daemon=True).start()
    while True:
        kind, value = said.get()
        if kind == "crash":
            raise value
        yield kind, value
        if kind != "line":
            return


def _last_line(problem: Exception) -> str:
    return next(iter(reversed(str(problem).strip().splitlines())), type(problem).__name__)
