"""The limits of a study, kept by the driver: a worker that has torch measures what the driver has not read yet."""

from collections.abc import Callable
from functools import partial
from typing import Any

import ray
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from sepl.config import TrialConfig
from sepl.data.dataset.dataset import PreparedDataset
from sepl.distributed.connect import Node
from sepl.errors import SeplError
from sepl.execution.executor import WorkerError
from sepl.storage import resolve
from sepl.tuning.record.costs import Cost, CostBook, place_of
from sepl.tuning.search.limits import Gate, Limits
from sepl.tuning.trials.packing import Packing


def make_gate(limits: Limits, dataset: str, costs: str, packing: Packing, nodes: tuple[Node, ...]) -> Gate | None:
    """None where everything may pass. Costs are read from the study's folder `costs`, else measured in a Ray task.

    The task asks for no CPU, which the trials may all have, and runs on a machine with a GPU where trials have GPUs.
    """
    if not limits:
        return None
    image_size = PreparedDataset.open(dataset).image_spec.size
    book = CostBook(resolve(costs), image_size, place_of("cuda" if packing.gpus else "cpu", packing.cpus))
    node = next((node.node_id for node in nodes if node.gpus and node.node_id), None) if packing.gpus else None
    return Gate(limits, partial(_cost, book, partial(_measure, dataset, costs, packing.cpus, node)))


def _cost(book: CostBook, measure: Callable[[dict[str, Any]], Cost | None], params: dict[str, Any]) -> Cost | None:
    return book.find(TrialConfig.from_params(params).model) or measure(params)


def _measure(dataset: str, costs: str, num_threads: int, node: str | None, params: dict[str, Any]) -> Cost | None:
    strategy = "DEFAULT" if node is None else NodeAffinitySchedulingStrategy(node, soft=False)
    task = ray.remote(num_cpus=0, max_retries=1)(_measure_there).options(scheduling_strategy=strategy)
    try:
        answer: Any = ray.get(task.remote(params, dataset, costs, num_threads))
    except RayError as problem:
        last = next(iter(reversed(str(problem).strip().splitlines())), type(problem).__name__)
        raise WorkerError(f"the cost of a configuration could not be measured: {last}") from problem
    if isinstance(answer, SeplError):
        raise answer
    return answer


def _measure_there(params: dict[str, Any], dataset: str, costs: str, num_threads: int) -> Cost | SeplError | None:
    """None where the GPU, which a trial may have to itself, has no room for a second network."""
    from sepl.tuning.trials.cost import OutOfMemory, cost_of_params  # torch, which the driver does without

    try:
        return cost_of_params(params, dataset, costs, num_threads)
    except OutOfMemory:
        return None
    except SeplError as problem:
        return problem
