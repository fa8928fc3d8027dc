"""A patient's photographs in two steps, so that pixels need not wait for each other.

    represent   pixels → what is kept of each photograph: its features with fusion, its outputs without
    join        that → one row of outputs a patient: the network's, or their mean

Both together are what `predict_outputs` and `mean_per_patient` make of all photographs at once.

Axes: N photograph, P patient, T task, F feature.
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sepl.data.images import ImageSpec
from sepl.data.patients import mean_per_patient
from sepl.models.parts.fusion import PhotographSets
from sepl.models.parts.network import Context, MultiTaskNetwork
from sepl.models.pixels import to_input
from sepl.models.predict import photograph_features


def represent(
    network: MultiTaskNetwork, pixels_NHWC: NDArray[np.uint8], image: ImageSpec, device: torch.device
) -> Tensor:
    """(N, F), or (N, T, F), with fusion; else (N, T). The network is in evaluation mode on `device`."""
    images = to_input(torch.from_numpy(pixels_NHWC).to(device, non_blocking=True), image.mean, image.std)
    features = photograph_features(network, images)
    return network.judge(features).float() if network.fusion is None else features


def join(network: MultiTaskNetwork, kept_N: Tensor, patient_N: NDArray[np.int64]) -> NDArray[np.float64]:
    """Outputs (P, T): scaled values, logits for binary tasks. Patients are 0 … P−1, each with a photograph."""
    if network.fusion is None:
        return mean_per_patient(kept_N.cpu().numpy(), patient_N)
    sets = PhotographSets(torch.from_numpy(patient_N).to(kept_N.device), int(patient_N.max()) + 1)
    return network.judge(kept_N, Context(sets)).double().cpu().numpy()
