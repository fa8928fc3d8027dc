"""How many trials run at once and what each of them gets, from what the cluster has."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from sepl.distributed.connect import Node
from sepl.errors import ConfigError

# Without GPUs: more trials at once would leave ASHA and TPE little to learn from before the next proposal.
_MOST_CPU_TRIALS = 8


@dataclass(frozen=True)
class Packing:
    """The same request for every trial of a study, which is what lets Tune hand an actor from one to the next."""

    cpus: int
    """Of each trial; also its torch threads."""
    gpus: float
    """Of each trial; below 1 several trials share a GPU, each with that share of its memory."""
    concurrency: int
    """Trials at once on the machines that there were; others may join (`concurrency_on`)."""


def pack(nodes: Iterable[Node], *, trials_per_gpu: int = 1, cpus_per_trial: int | None = None) -> Packing:
    """One GPU (or a share) a trial where there are GPUs, else up to eight trials over the CPUs.

    On 2 CPUs that is two trials of one thread: a tiny network's operations are too short to share over threads.
    Raises ConfigError when a trial fits no machine.
    """
    nodes = [node for node in nodes if node.cpus > 0]
    if not nodes:
        raise ConfigError("the Ray cluster should have a machine with CPUs, had none")
    if trials_per_gpu < 1:
        raise ConfigError(f"--trials-per-gpu should be at least 1, was {trials_per_gpu}")
    with_gpus = [node for node in nodes if node.gpus > 0]
    packing = _pack_gpus(with_gpus, trials_per_gpu, cpus_per_trial) if with_gpus else _pack_cpus(nodes, cpus_per_trial)
    if packing.concurrency < 1:
        most = max(node.cpus for node in with_gpus or nodes)
        raise ConfigError(
            f"--cpus-per-trial should be from 1 to {most}, what the largest machine has; was {packing.cpus}"
        )
    return packing


def concurrency_on(nodes: Iterable[Node], packing: Packing) -> int:
    """How many trials of a study that is packed so the machines have room for."""
    if not packing.gpus:
        return sum(_fitting(node, packing.cpus, _MOST_CPU_TRIALS) for node in nodes)
    return sum(_fitting(node, packing.cpus, round(node.gpus / packing.gpus)) for node in nodes)


def _pack_gpus(nodes: list[Node], trials_per_gpu: int, cpus_per_trial: int | None) -> Packing:
    fair = min(node.cpus // (node.gpus * trials_per_gpu) for node in nodes)
    cpus = cpus_per_trial if cpus_per_trial is not None else max(1, fair)
    return _packing(nodes, cpus, 1 / trials_per_gpu)


def _pack_cpus(nodes: list[Node], cpus_per_trial: int | None) -> Packing:
    fair = min(sum(node.cpus for node in nodes) // _MOST_CPU_TRIALS, max(node.cpus for node in nodes))
    cpus = cpus_per_trial if cpus_per_trial is not None else max(1, fair)
    return _packing(nodes, cpus, 0.0)


def _packing(nodes: list[Node], cpus: int, gpus: float) -> Packing:
    packing = Packing(cpus, gpus, concurrency=0)
    return replace(packing, concurrency=concurrency_on(nodes, packing))


def _fitting(node: Node, cpus: int, most: int) -> int:
    return min(node.cpus // cpus, most) if cpus >= 1 else 0
