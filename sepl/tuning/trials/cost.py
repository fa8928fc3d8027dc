"""Measuring what a network costs in use: in a trial's process, or in a worker before there is a trial."""

import time
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from sepl.config import ModelConfig, TrialConfig
from sepl.data.dataset.dataset import PreparedDataset
from sepl.device import pick_device
from sepl.models.build import build_network
from sepl.models.parts.network import MultiTaskNetwork
from sepl.models.predict import predict_outputs
from sepl.storage import resolve
from sepl.tasks import TaskTable
from sepl.training.input.batches import TrainingData
from sepl.tuning.record.costs import Cost, CostBook, place_of

OutOfMemory = torch.OutOfMemoryError

_MOST_REPEATS = 10
_MOST_SECONDS = 0.5


def measure_cost(network: MultiTaskNetwork, image_size: int, device: torch.device) -> Cost:
    """Of a network on `device`, which is handed back as it came.

    The time is the shortest of some passes, after one to warm up: what the network needs, not what else ran meanwhile.
    """
    pixels = [np.zeros((1, image_size, image_size, 3), np.uint8)]
    labels_NT = None
    if network.needs_labels and network.tasks is not None:
        labels_NT = np.zeros((1, len(network.tasks)))
    seconds: list[float] = []
    begun = time.perf_counter()
    while len(seconds) < 2 or (len(seconds) <= _MOST_REPEATS and time.perf_counter() - begun < _MOST_SECONDS):
        start = time.perf_counter()
        predict_outputs(network, pixels, device=device, labels_NT=labels_NT)
        seconds.append(time.perf_counter() - start)
    num_parameters = sum(parameter.numel() for parameter in network.parameters())
    return Cost(num_parameters=num_parameters, ms_per_photograph=1000 * min(seconds[1:]))


def cost_of_trial(
    network: MultiTaskNetwork, config: TrialConfig, data: TrainingData, costs: str | None, num_threads: int
) -> dict[str, Any]:
    """What a trial's results say of its network, measured before its first epoch unless the folder `costs` knows.

    Nothing without that folder, or of a backbone that is to be compiled for training.
    """
    if costs is None or config.training.compile_backbone:
        return {}
    image_size = data.image_spec.size
    book = _book(costs, image_size, place_of(data.device.type, num_threads))
    cost = book.find(config.model)
    if cost is None:
        cost = measure_cost(network, image_size, data.device)
        book.keep(config.model, cost)
    return cost.model_dump()


def cost_of_params(params: dict[str, Any], dataset: str, costs: str, num_threads: int) -> Cost:
    """What a configuration would cost, where this process is. Raises ConfigError for one that cannot be built."""
    model = TrialConfig.from_params(params).model
    tasks, image_size = _tasks_and_size(dataset)
    device = pick_device("auto")
    book = _book(costs, image_size, place_of(device.type, num_threads))
    cost = book.find(model)
    if cost is None:
        torch.set_num_threads(num_threads)
        cost = measure_cost(_network(model, tasks, image_size).to(device), image_size, device)
        book.keep(model, cost)
    return cost


def _network(model: ModelConfig, tasks: TaskTable, image_size: int) -> MultiTaskNetwork:
    return build_network(model, tasks, image_size, initialise=False)


@lru_cache(maxsize=4)
def _tasks_and_size(dataset: str) -> tuple[TaskTable, int]:
    opened = PreparedDataset.open(dataset)
    return opened.tasks, opened.image_spec.size


@lru_cache(maxsize=4)
def _book(costs: str, image_size: int, place: str) -> CostBook:
    return CostBook(resolve(costs), image_size, place)
