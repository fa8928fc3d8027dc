"""How a cluster is shared out among trials."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepl.distributed.connect import Node
from sepl.errors import ConfigError
from sepl.tuning.trials.packing import Packing, pack

NODES = st.lists(st.builds(Node, cpus=st.integers(1, 64), gpus=st.integers(0, 8)), min_size=1, max_size=5)


def test_two_cpus_run_two_trials_of_one_thread() -> None:
    assert pack([Node(2, 0)]) == Packing(cpus=1, gpus=0.0, concurrency=2)


def test_many_cpus_run_eight_trials() -> None:
    assert pack([Node(64, 0)]) == Packing(cpus=8, gpus=0.0, concurrency=8)


def test_a_gpu_runs_one_trial_with_its_share_of_the_cpus() -> None:
    assert pack([Node(16, 4)]) == Packing(cpus=4, gpus=1.0, concurrency=4)


def test_trials_share_a_gpu_when_asked() -> None:
    assert pack([Node(16, 1)], trials_per_gpu=4) == Packing(cpus=4, gpus=0.25, concurrency=4)


def test_where_there_are_gpus_machines_without_run_no_trial() -> None:
    assert pack([Node(8, 2), Node(32, 0)]) == Packing(cpus=4, gpus=1.0, concurrency=2)


def test_the_head_of_a_cluster_may_have_no_cpu() -> None:
    assert pack([Node(0, 0), Node(4, 0)]).concurrency == 4


@pytest.mark.parametrize(
    ("nodes", "options", "message"),
    [
        ([Node(0, 0)], {}, "none"),
        ([Node(4, 0)], {"cpus_per_trial": 8}, "--cpus-per-trial should be from 1 to 4"),
        ([Node(4, 1)], {"trials_per_gpu": 0}, "--trials-per-gpu"),
    ],
)
def test_what_cannot_run_is_refused(nodes: list[Node], options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        pack(nodes, **options)


@given(nodes=NODES, trials_per_gpu=st.integers(1, 4))
def test_trials_never_ask_for_more_than_there_is(nodes: list[Node], trials_per_gpu: int) -> None:
    packing = pack(nodes, trials_per_gpu=trials_per_gpu)

    assert packing.concurrency >= 1
    assert packing.concurrency * packing.cpus <= sum(node.cpus for node in nodes)
    assert packing.concurrency * packing.gpus <= sum(node.gpus for node in nodes)
    assert any(node.cpus >= packing.cpus and node.gpus >= packing.gpus for node in nodes)
