"""Whether every machine of a cluster sees what this one sees, before any work is handed out."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePath
from tempfile import NamedTemporaryFile

import ray
from ray.exceptions import NodeDiedError, RayError, TaskUnschedulableError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from sepl.distributed.connect import Node, alive_nodes
from sepl.errors import SeplError, StorageError
from sepl.storage import Location, resolve

_MOST_NAMED = 3


def check_every_node(look: Callable[[], object], what: str, nodes: Iterable[Node] | None = None) -> None:
    """Calls `look` on each machine with CPUs; raises StorageError, opened by `what`, with what it raised on some.

    `look` raises a SeplError where it does not find what it should.
    """
    looking = [node for node in (alive_nodes() if nodes is None else nodes) if node.cpus]
    task = ray.remote(num_cpus=0, max_retries=0)(_look)
    answers = [
        task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(node.node_id, soft=False)).remote(look)
        for node in looking
    ]
    problems = [
        f"{node.host}: {problem}"
        for node, answer in zip(looking, answers, strict=True)
        if (problem := _outcome(answer)) is not None
    ]
    if problems:
        more = f" (and {len(problems) - _MOST_NAMED} more)" if len(problems) > _MOST_NAMED else ""
        raise StorageError(
            f"{what} should be what every machine of the cluster sees, {len(problems)} of {len(looking)} do not; "
            f"{'; '.join(problems[:_MOST_NAMED])}{more}"
        )


def check_cohort(photographs: Location, names: Iterable[str], out: str) -> None:
    """Raises StorageError unless every machine has the photographs, and the folder that `out` is to be in.

    Of each folder of photographs the first is looked for. Of an object store nothing is asked.
    """
    if photographs.is_local:
        first = {PurePath(name).parent: name for name in reversed(list(names))}
        files = [path for name in first.values() if (path := photographs.local_path() / name).exists()]
        check_every_node(partial(_find, [str(file) for file in files]), "the cohort's photographs")
    place = resolve(out)
    if place.is_local:
        above = next(folder for folder in place.local_path().parents if folder.is_dir())
        with _marked(above) as mark:
            check_every_node(partial(_find, [mark]), "--out")


@contextmanager
def _marked(folder: Path) -> Iterator[str]:
    """A file in `folder` for a moment, by which another machine's folder of that name is told apart."""
    try:
        file = NamedTemporaryFile(prefix=".sepl-", dir=folder)  # noqa: SIM115  # only its making may fail so
    except OSError as problem:
        raise StorageError(
            f"--out should be where files can be written, {folder} is not: {problem.strerror}"
        ) from problem
    with file:
        yield file.name


def _look(look: Callable[[], object]) -> str | None:
    """An error of ours as text: Ray would wrap it in sixty lines."""
    try:
        look()
    except SeplError as problem:
        return str(problem)
    return None


def _outcome(answer: "ray.ObjectRef[str | None]") -> str | None:
    try:
        return ray.get(answer)
    except (NodeDiedError, TaskUnschedulableError):  # it has left the cluster meanwhile, and will do no work
        return None
    except RayError as problem:  # such as: this project is not installed there
        return str(problem).strip().splitlines()[-1]


def _find(paths: Sequence[str]) -> None:
    for path in paths:
        if not Path(path).exists():
            raise StorageError(f"no {path}")
