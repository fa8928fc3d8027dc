"""A network's outputs for photographs: all stored ones at once, or each patient's in two steps.

    represent_pixels   pixels → what is kept of each photograph: its outputs; of a network that waits for patients, its
                       features
    join_patients      that → one row of outputs a patient: the network's, or their mean or worst

Both together are what `predict_outputs` and `patient_outputs` make of all photographs at once.

Axes: B, N photograph, P patient, T task, O output, F feature.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from sepl.data.patients.index import mean_per_patient
from sepl.levels import worst_outputs
from sepl.memory import free_memory
from sepl.models.parts.fusion import PhotographSets
from sepl.models.parts.network import NO_CONTEXT, Context, MultiTaskNetwork
from sepl.models.pixels import to_input
from sepl.tasks import TaskTable


def predict_outputs(
    network: nn.Module,
    shards: Sequence[NDArray[np.uint8]],
    *,
    device: torch.device,
    batch_size: int = 64,
    patients: NDArray[np.int64] | None = None,
    labels_NT: NDArray[np.floating] | None = None,
) -> NDArray[np.float32]:
    """Outputs (N, O) of all photographs in the order of the shards: scaled values, logits for tasks of other kinds.

    Shards are (n, H, W, 3) uint8, possibly memory-mapped: only a batch of them is in memory at a time. The network, one
    of `build_network` already on `device`, is used in evaluation mode, so that a photograph's outputs do not depend on
    the others of its batch, and is handed back in the mode it came in. Arithmetic is the network's; for mixed
    precision, call this inside `torch.autocast`.

    Args:
        patients: (N,) 0 … P−1, whose each photograph is. A network with fusion joins a patient's photographs and gives
            all of them the patient's outputs; without `patients` it judges each photograph by itself.
        labels_NT: scaled labels, NaN where absent, for a network that `needs_labels`; of a patient's with fusion, those
            of the first photograph are taken.
    """
    return predict_told(network, shards, [labels_NT], device=device, batch_size=batch_size, patients=patients)[0]


def predict_told(
    network: nn.Module,
    shards: Sequence[NDArray[np.uint8]],
    tables: Sequence[NDArray[np.floating] | None],
    *,
    device: torch.device,
    batch_size: int = 64,
    patients: NDArray[np.int64] | None = None,
) -> list[NDArray[np.float32]]:
    """As `predict_outputs`, once for each of `tables` of labels, with the photographs through the backbone once."""
    assert isinstance(network, MultiTaskNetwork), "a network made by build_network"
    was_training = network.training
    network.eval()
    try:
        with torch.inference_mode():
            inputs = (
                to_input(pixels_BHWC, *network.normalisation) for pixels_BHWC in _batches(shards, device, batch_size)
            )
            labels = [
                None if table_NT is None else torch.from_numpy(table_NT.astype(np.float32)).to(device)
                for table_NT in tables
            ]
            if network.joins_patients and patients is not None:
                return _predict_patients(network, inputs, torch.from_numpy(patients).to(device), labels)
            return _predict_photographs(network, inputs, labels)
    finally:
        network.train(was_training)


def photograph_features(network: MultiTaskNetwork, images_BCHW: Tensor) -> Tensor:
    """(B, F), or (B, T, F), of a network in evaluation mode; in halves, quarters, … when the device's memory runs out.

    Raises OutOfMemoryError when a single photograph is too much.
    """
    try:
        return network.features(network.represent(images_BCHW))
    except torch.OutOfMemoryError:
        if len(images_BCHW) == 1:
            raise
    free_memory()  # here no traceback holds the failed attempt's tensors
    half = len(images_BCHW) // 2
    parts = images_BCHW[:half], images_BCHW[half:]
    return torch.cat([photograph_features(network, part_BCHW) for part_BCHW in parts])


def represent_pixels(network: MultiTaskNetwork, pixels_NHWC: NDArray[np.uint8], device: torch.device) -> Tensor:
    """What is kept of each photograph: its outputs (N, O); of a network that waits for patients, its features, (N, F)
    or (N, T, F).

    The network is in evaluation mode on `device`.
    """
    images = to_input(torch.from_numpy(pixels_NHWC).to(device, non_blocking=True), *network.normalisation)
    features = photograph_features(network, images)
    return features if network.waits_for_patients else network.judge(features).float()


def join_patients(
    network: MultiTaskNetwork,
    kept_N: Tensor,
    patient_N: NDArray[np.int64],
    known_PT: NDArray[np.floating] | None = None,
) -> NDArray[np.float64]:
    """Outputs (P, O) from what was kept: scaled values, logits for tasks of other kinds. Patients are 0 … P−1.

    Each has a photograph. Without fusion they are those of `patient_outputs`; with it the network itself judges all of
    a patient's photographs together, also where a task would take the worst of them. `known_PT`, scaled and NaN where
    unknown, is what a network that takes known values is told.
    """
    if not network.waits_for_patients:
        return patient_outputs(kept_N.cpu().numpy(), patient_N, network.tasks)
    index_N = torch.from_numpy(patient_N).to(kept_N.device)
    told_PT = None if known_PT is None else torch.from_numpy(known_PT.astype(np.float32)).to(kept_N.device)
    if network.joins_patients:
        sets = PhotographSets(index_N, int(patient_N.max()) + 1)
        return network.judge(kept_N, Context(sets, told_PT)).double().cpu().numpy()
    context = NO_CONTEXT if told_PT is None else Context(labels_BT=told_PT.index_select(0, index_N))
    return patient_outputs(network.judge(kept_N, context).float().cpu().numpy(), patient_N, network.tasks)


def patient_outputs(
    outputs_NO: NDArray[np.floating], patient_N: NDArray[np.int64], tasks: TaskTable | None
) -> NDArray[np.float64]:
    """Outputs (P, O) of patients from those of their photographs: the mean, NaN left out.

    Of a task whose patients have their worst grade (`patient` is "worst"), all outputs are those of the photograph with
    the highest expected grade. Where a network with fusion has given a patient's photographs the patient's outputs, the
    mean and the worst are these.
    """
    means_PO = mean_per_patient(outputs_NO, patient_N)
    return means_PO if tasks is None else worst_outputs(means_PO, outputs_NO, patient_N, tasks)


def _predict_photographs(
    network: MultiTaskNetwork, inputs: Iterator[Tensor], tables: Sequence[Tensor | None]
) -> list[NDArray[np.float32]]:
    outputs: list[list[Tensor]] = [[] for _ in tables]
    start = 0
    for images_BCHW in inputs:
        rows = slice(start, start := start + len(images_BCHW))
        features = photograph_features(network, images_BCHW)
        for own, labels_NT in zip(outputs, tables, strict=True):
            context = NO_CONTEXT if labels_NT is None else Context(labels_BT=labels_NT[rows])
            own.append(network.judge(features, context).float())
    return [torch.cat(own).cpu().numpy() if own else _no_outputs(network) for own in outputs]


def _predict_patients(
    network: MultiTaskNetwork, inputs: Iterator[Tensor], patient_N: Tensor, tables: Sequence[Tensor | None]
) -> list[NDArray[np.float32]]:
    """Photographs a batch at a time, then what is left of them, their features, at once."""
    batches = [photograph_features(network, images_BCHW) for images_BCHW in inputs]
    if not batches:
        return [_no_outputs(network) for _ in tables]
    sets, features = PhotographSets(patient_N, int(patient_N.max()) + 1), torch.cat(batches)
    outputs = [
        network.judge(features, Context(sets, None if labels_NT is None else sets.first(labels_NT)))
        for labels_NT in tables
    ]
    return [outputs_PT.float().index_select(0, patient_N).cpu().numpy() for outputs_PT in outputs]


def _batches(shards: Sequence[NDArray[np.uint8]], device: torch.device, batch_size: int) -> Iterator[Tensor]:
    for shard in shards:
        for start in range(0, len(shard), batch_size):
            # A copy: torch cannot wrap read-only memory such as a map, and these bytes are a quarter of the floats.
            yield torch.from_numpy(np.array(shard[start : start + batch_size])).to(device, non_blocking=True)


def _no_outputs(network: MultiTaskNetwork) -> NDArray[np.float32]:
    return np.empty((0, network.num_outputs), dtype=np.float32)
