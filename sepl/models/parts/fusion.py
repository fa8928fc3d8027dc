"""Several photographs of a patient (both eyes, visits) become one row of features.

    mean        z = 1/N · sum_n z_n
    attention   a_n = w · (tanh(V z_n) * sigmoid(U z_n)),   z = sum_n softmax(a)_n z_n

The attention is the gated one of Ilse, Tomczak, Welling: Attention-based Deep Multiple Instance Learning, ICML 2018,
arXiv 1802.04712. It starts as the mean (w = 0). Neither depends on the order or the number of photographs.

Axes: B photograph, P patient, F feature, A width of the attention; features may have a task axis between.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

ATTENTION_WIDTH = 128
"""As in the paper's histopathology experiments."""


@dataclass(frozen=True, eq=False)
class PhotographSets:
    """Which photographs of a batch are one patient's."""

    patient_B: Tensor
    """int64, 0 … P−1, on the device of the features; every patient has a photograph."""
    num_patients: int
    """P; kept beside, since asking the device for the largest number would wait for it."""

    @classmethod
    def alone(cls, features: Tensor) -> "PhotographSets":
        """Every photograph a patient."""
        return cls(torch.arange(len(features), device=features.device), len(features))

    @classmethod
    def of_equal_size(cls, num_patients: int, size: int, device: torch.device) -> "PhotographSets":
        """Patients one after the other, each with as many photographs."""
        return cls(torch.arange(num_patients, device=device).repeat_interleave(size), num_patients)

    def sum(self, rows: Tensor) -> Tensor:
        """(B, …) to (P, …)."""
        return rows.new_zeros(self.num_patients, *rows.shape[1:]).index_add_(0, self.patient_B, rows)

    def first(self, rows: Tensor) -> Tensor:
        """(B, …) to (P, …), each patient's first row."""
        places = torch.arange(len(rows), device=rows.device)
        none = places.new_full((self.num_patients,), len(rows))
        return rows.index_select(0, none.scatter_reduce(0, self.patient_B, places, "amin"))

    def softmax(self, scores: Tensor) -> Tensor:
        """(B, …) scores to weights that sum to 1 over each patient's photographs."""
        index = self.patient_B.view(-1, *[1] * (scores.ndim - 1)).expand_as(scores)
        floor = scores.new_full((self.num_patients, *scores.shape[1:]), -torch.inf)
        highest = floor.scatter_reduce(0, index, scores.detach(), "amax")  # so that no exponential overflows
        powers = (scores - highest.index_select(0, self.patient_B)).exp()
        return powers / self.sum(powers).index_select(0, self.patient_B)


class Fusion(nn.Module):
    """Features (B, F) or (B, T, F) of photographs to (P, F) or (P, T, F) of patients."""

    def forward(self, features: Tensor, sets: PhotographSets) -> Tensor:
        weights = self.weights(features.float(), sets)
        return sets.sum(weights * features.float()).to(features.dtype)

    def weights(self, features: Tensor, sets: PhotographSets) -> Tensor:
        """(B, 1) or (B, T, 1), summing to 1 over each patient's photographs."""
        raise NotImplementedError


class MeanFusion(Fusion):
    """All photographs of a patient count the same."""

    def weights(self, features: Tensor, sets: PhotographSets) -> Tensor:
        return sets.softmax(torch.zeros_like(features[..., :1]))


class AttentionFusion(Fusion):
    """A learned attention decides which photographs count; one for all tasks, on each task's features where apart."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.content = nn.Linear(num_features, ATTENTION_WIDTH)
        self.gate = nn.Linear(num_features, ATTENTION_WIDTH)
        self.score = nn.Linear(ATTENTION_WIDTH, 1, bias=False)
        nn.init.zeros_(self.score.weight)

    def weights(self, features: Tensor, sets: PhotographSets) -> Tensor:
        return sets.softmax(self.score(self.content(features).tanh() * self.gate(features).sigmoid()).float())


def build_fusion(fusion: str, num_features: int) -> Fusion | None:
    """None for 'none'."""
    if fusion == "none":
        return None
    return AttentionFusion(num_features) if fusion == "attention" else MeanFusion()
