"""A study on a cluster that changes: busy machines are told, machines that join are used."""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import pytest
import ray
from builders import build_dataset
from clusters import running_cluster
from ray import cloudpickle
from ray.tune.search import ConcurrencyLimiter, Searcher

from sepl.distributed import connect as distributed
from sepl.distributed.connect import Node
from sepl.tuning.plan import plan_study
from sepl.tuning.settings import StudySettings
from sepl.tuning.study import run_study
from sepl.tuning.trials import waiting
from sepl.tuning.trials.cluster import connect
from sepl.tuning.trials.packing import Packing
from sepl.tuning.trials.waiting import ClusterWatch

cloudpickle.register_pickle_by_value(sys.modules[__name__])  # Ray's processes cannot import a test module

SPACE = """
NUM_EPOCHS = 150
FIRST_POINTS = []


def space(trial):
    trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True)
    return {"backbone": "test_resnet", "hidden_width": 16, "batch_size": 4, "task_split": "demographic"}
"""


@dataclass(frozen=True)
class Trial:
    trial_id: str


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "WAIT_SECONDS", 0.3)
    monkeypatch.setattr(waiting, "_LOOK_SECONDS", 0.05)


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> list[Node]:
    nodes = [Node(2, 0)]
    monkeypatch.setattr(waiting, "alive_nodes", lambda: tuple(nodes))
    monkeypatch.setattr(waiting, "describe_wait", lambda cpus, gpus: f"waiting for {cpus} CPUs")
    return nodes


def test_trials_that_cannot_start_are_told_again_and_again_and_running_ones_are_not(soon, nodes: list[Node]) -> None:
    lines: list[str] = []
    watch = ClusterWatch(ConcurrencyLimiter(Searcher(), 2), Packing(1, 0.0, 2), lines.append)

    with watch:
        time.sleep(1.0)
        watch.on_trial_start(0, [], Trial("a"))
        num_told = len(lines)
        time.sleep(1.0)

    assert num_told >= 2
    assert set(lines) == {"waiting for 1 CPUs"}
    assert len(lines) <= num_told + 1  # one may have been under way


def test_machines_that_join_or_leave_change_how_many_trials_run(soon, nodes: list[Node]) -> None:
    limiter, lines = ConcurrencyLimiter(Searcher(), 2), []

    with ClusterWatch(limiter, Packing(1, 0.0, 2), lines.append):
        nodes.append(Node(3, 0))
        time.sleep(0.25)
        grown = limiter.max_concurrent
        nodes.clear()
        time.sleep(0.25)

    assert grown == 5
    assert [line for line in lines if "grown" in line] == ["the cluster has grown: up to 5 trials at once, 2 before"]
    assert limiter.max_concurrent == 1  # Tune would wait for ever for the first suggestion after a pause


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_study_waits_for_cpus_tells_so_and_uses_the_machine_that_joins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A head without CPUs, a worker that is busy with something else, then a second one; trials of half a minute."""
    monkeypatch.setattr(waiting, "WAIT_SECONDS", 3.0)
    build_dataset(tmp_path / "data")
    (tmp_path / "space.py").write_text(SPACE)
    asked = {"data": f"{tmp_path}/data/dataset", "space": f"{tmp_path}/space.py", "storage": f"{tmp_path}/runs"}
    settings = StudySettings.parse({**asked, "study": "first", "num_trials": 3}, "test")

    # a node is added by the main thread alone
    with running_cluster(0, 1) as running, connect(running.address) as cluster, ThreadPoolExecutor(1) as thread:
        busy = occupy.remote(10.0)
        searching = thread.submit(run_study, plan_study(settings), cluster)
        ray.get(busy)
        running.add_node(num_cpus=1)
        result = searching.result(timeout=200)

    told = capsys.readouterr().err
    assert result.ended == "all trials are finished"
    assert sorted(node.cpus for node in cluster.nodes) == [0, 1]
    assert "waiting for a machine with 1 CPUs to be free; the cluster has 0 of 1 CPUs free" in told
    assert "up to 2 trials at once, 1 before" in told
    assert len(hosts_of(tmp_path)) == 2


def hosts_of(folder: Path) -> set[str]:
    """Processes that ran trials: with one CPU each, as many as nodes."""
    results = (folder / "runs/first/tune/run-000").glob("trial-*/result.json")
    return {json.loads(file.read_text().splitlines()[0])["pid"] for file in results}


@ray.remote(num_cpus=1)
def occupy(seconds: float) -> None:
    time.sleep(seconds)


@pytest.mark.slow
def test_a_head_without_cpus_waits_for_the_first_machine_that_has_some(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(waiting, "WAIT_SECONDS", 1.0)

    with running_cluster(0) as running, distributed.connect(running.address), ThreadPoolExecutor(1) as thread:
        waited = thread.submit(waiting.wait_for_cpus)
        time.sleep(4.0)
        running.add_node(num_cpus=1)
        nodes = waited.result(timeout=60)

    assert sorted(node.cpus for node in nodes) == [0, 1]
    assert "waiting for a machine with CPUs to join the Ray cluster" in capsys.readouterr().err
