"""What not every machine of a cluster sees is found before the work."""

import sys
from functools import partial
from pathlib import Path

import pytest
import ray
from clusters import running_cluster
from ray import cloudpickle

from sepl.distributed.connect import Node, alive_nodes, connect
from sepl.distributed.sight import check_cohort, check_every_node
from sepl.errors import StorageError
from sepl.storage import resolve

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # Ray's processes cannot import a test module

pytestmark = pytest.mark.slow


def refuse_on(nodes: set[str]) -> None:
    if ray.get_runtime_context().get_node_id() in nodes:
        raise StorageError("no /data/manifest.json")


def break_down() -> None:
    raise ZeroDivisionError("division by zero")


def test_the_machines_that_see_nothing_are_named_and_a_head_without_cpus_is_not_asked(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")

    with running_cluster(0, 1, 1) as cluster, connect(cluster.address):
        head, *workers = sorted(alive_nodes(), key=lambda node: node.cpus)

        check_every_node(partial(refuse_on, {head.node_id}), "--data")
        with pytest.raises(StorageError, match=r"--data should be .*, 1 of 2 do not; .*: no /data/manifest\.json$"):
            check_every_node(partial(refuse_on, {workers[0].node_id}), "--data")
        with pytest.raises(StorageError, match=r"2 of 2 do not; .*ZeroDivisionError: division by zero$") as told:
            check_every_node(break_down, "--data")
        assert "\n" not in str(told.value)
        check_cohort(resolve(tmp_path), ["a.png", "absent.png"], str(tmp_path / "new" / "out"))
        with pytest.raises(StorageError, match=r"the cohort's photographs should be .* 1 of 1 do not"):
            check_every_node(partial(refuse_on, {workers[0].node_id}), "the cohort's photographs", nodes=[workers[0]])

    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert isinstance(head, Node)


def test_a_file_that_is_only_here_is_missed_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other machine's view is played by deleting the file between our look and its own."""
    (tmp_path / "a.png").write_bytes(b"")
    monkeypatch.setattr("sepl.distributed.sight._find", lose_and_find)

    with (
        running_cluster(1) as cluster,
        connect(cluster.address),
        pytest.raises(StorageError, match=r"photographs should be .*1 of 1 do not; .*: no .*a\.png"),
    ):
        check_cohort(resolve(tmp_path), ["a.png"], str(tmp_path / "out"))


def lose_and_find(paths: list[str]) -> None:
    for path in paths:
        Path(path).unlink()
        raise StorageError(f"no {path}")
