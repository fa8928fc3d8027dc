"""From a probe's best head to a network's weights: the backbone as it began, and the head."""

from collections.abc import Callable, Mapping

import safetensors.torch
from safetensors import SafetensorError
from torch import Tensor

from sepl.config import TrialConfig
from sepl.data.dataset.dataset import PreparedDataset
from sepl.errors import StudyError
from sepl.models.build import build_network
from sepl.models.parts.trunk import TrunkNetwork
from sepl.storage import Location
from sepl.training.probe.data import ProbeData, leading_directions
from sepl.training.probe.heads import train_heads
from sepl.training.probe.widen import widen
from sepl.tuning.probe.record import Candidate, read_probe
from sepl.tuning.probe.stage import frozen_backbone
from sepl.tuning.record.record import StudyFolder


def candidate_weights(
    folder: StudyFolder, candidate: Candidate, dataset: PreparedDataset, tell: Callable[[str], object] = print
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The network's weights with the head trained again on train and validation patients, and with the head as it was
    chosen, trained without the latter.

    Again means: the same schedule, up to the epoch that was the best. Raises StudyError without a probe or when the
    head's file was damaged, StorageError when it is gone.
    """
    record = read_probe(folder)
    if record is None:
        raise StudyError(f"study {folder.name} should have been probed, has no record of it")
    model = candidate.config.model
    source = model.backbone, model.weights, model.final_norm
    frozen = frozen_backbone(folder, dataset, source, record)
    chosen = _read_head(candidate.file)
    tell("refit: the probe's head on train and validation patients")
    again = _refit(candidate, frozen.data_without_choice(), dataset, record.seed)
    return network_weights(candidate.config, dataset, again), network_weights(candidate.config, dataset, chosen)


def _read_head(file: Location) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load(file.read_bytes())
    except SafetensorError as problem:
        raise StudyError(f"{file.uri}: should be the probe's head as safetensors, was not ({problem})") from None


def network_weights(config: TrialConfig, dataset: PreparedDataset, head: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Of the network that the config names, its backbone with the initial weights."""
    network = build_network(config.model, dataset.tasks, dataset.image_spec.size)
    assert isinstance(network, TrunkNetwork), "a probe tries heads on one trunk"
    network.head.load_state_dict(dict(head))
    return network.state_dict()


def _refit(candidate: Candidate, data: ProbeData, dataset: PreparedDataset, seed: int) -> dict[str, Tensor]:
    basis_FD = None if candidate.directions is None else leading_directions(data.views[0], candidate.directions)
    narrow = data if basis_FD is None else data.along(basis_FD)
    (result,) = train_heads([candidate.config], narrow, seed=seed, last_epoch=candidate.best_epoch)
    if basis_FD is None:
        return result.state
    return widen(result.state, basis_FD, candidate.config.model, dataset.tasks)
