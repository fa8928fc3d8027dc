"""Ray clusters of several nodes on this machine, each with raylet and workers of its own."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray.cluster_utils import Cluster


@contextmanager
def running_cluster(*cpus: int) -> Iterator[Cluster]:
    """A node for each number of CPUs, the head first; more can be added."""
    with tempfile.TemporaryDirectory(prefix="r", ignore_cleanup_errors=True) as folder:  # sockets need a short path
        head = {"num_cpus": cpus[0], "include_dashboard": False, "temp_dir": folder}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        try:
            for count in cpus[1:]:
                cluster.add_node(num_cpus=count)
            cluster.wait_for_nodes()
            yield cluster
        finally:
            ray.shutdown()
            cluster.shutdown()
