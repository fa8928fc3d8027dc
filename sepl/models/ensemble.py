"""Several networks as one: their outputs averaged, scaled values as they are, grades and binary tasks as logits.

The mean of logits, not of probabilities: it is exchangeable with the mean over a patient's photographs, and what it
does to how sure an ensemble is, the calibration that follows mends with its one temperature a task.

Axes: B photograph, P patient, C channel, H height, W width, F feature, O output.
"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from sepl.data.imaging.photograph import Normalisation
from sepl.models.parts.network import NO_CONTEXT, Context, MultiTaskNetwork
from sepl.models.predict import patient_outputs

_AS_STORED = Normalisation((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


class EnsembleNetwork(MultiTaskNetwork):
    """Networks of the same tasks and image size, each weighted; only for prediction, in evaluation mode.

    Members may be of any family and backbone, with fusion or without, and normalise pixels each in its own way. Those
    that take known values are told them, the others are not. Without fusion in any member a patient's worst photograph
    is the ensemble's; beside members with fusion, which have no photographs of their own, it is each other member's.
    """

    def __init__(self, members: Sequence[MultiTaskNetwork], weights: Sequence[float]) -> None:
        """`weights` are positive; their sum does not matter."""
        assert len(members) == len(weights) > 0, "a weight a member"
        super().__init__(members[0].num_tasks)
        self.members = nn.ModuleList(members)
        self.weights = [weight / sum(weights) for weight in weights]
        self.tasks = members[0].tasks
        self.takes_known = any(member.takes_known for member in members)
        ways = {member.normalisation for member in members}
        self.normalisation = ways.pop() if len(ways) == 1 else _AS_STORED
        self._shapes: list[torch.Size] = []  # of a photograph's features, by member

    @property
    def joins_patients(self) -> bool:
        return any(member.joins_patients for member in self._networks())

    @property
    def waits_for_patients(self) -> bool:
        return any(member.waits_for_patients for member in self._networks())

    def represent(self, images_BCHW: Tensor) -> tuple[Tensor, ...]:
        """The features of every member."""
        return tuple(
            member.features(member.represent(self._normalised(images_BCHW, member))) for member in self._networks()
        )

    def features(self, representation: Tensor | tuple[Tensor, ...]) -> Tensor:
        """(B, F), members one after the other."""
        assert isinstance(representation, tuple), "what `represent` gave"
        self._shapes = [features.shape[1:] for features in representation]
        return torch.cat([features.flatten(1) for features in representation], dim=1)

    def judge(self, features: Tensor, context: Context = NO_CONTEXT) -> Tensor:
        assert self._shapes, "features that `features` gave"
        parts = features.split([shape.numel() for shape in self._shapes], dim=1)
        outputs = [
            self._judge(member, part_BF.unflatten(1, shape), context) * weight
            for member, part_BF, shape, weight in zip(self._networks(), parts, self._shapes, self.weights, strict=True)
        ]
        return torch.stack(outputs).sum(dim=0)

    def _judge(self, member: MultiTaskNetwork, features: Tensor, context: Context) -> Tensor:
        """Outputs (B, O), or (P, O) where the context tells patients and the ensemble joins them."""
        labels = context.labels_BT if member.takes_known else None
        if context.sets is None or member.joins_patients:
            return member.judge(features, Context(context.sets, labels)).float()
        patient_B = context.sets.patient_B
        told = None if labels is None else labels.index_select(0, patient_B)
        outputs_BO = member.judge(features, Context(labels_BT=told)).float()
        joined_PO = patient_outputs(outputs_BO.cpu().numpy(), patient_B.cpu().numpy(), self.tasks)
        return torch.from_numpy(joined_PO).to(outputs_BO)

    def _normalised(self, images_BCHW: Tensor, member: MultiTaskNetwork) -> Tensor:
        if member.normalisation == self.normalisation:
            return images_BCHW
        mean_C, std_C = (images_BCHW.new_tensor(row).view(-1, 1, 1) for row in member.normalisation)
        return (images_BCHW - mean_C) / std_C

    def _networks(self) -> Sequence[MultiTaskNetwork]:
        return cast("Sequence[MultiTaskNetwork]", self.members)
