"""A bundle's network: the one that its config names, or the average of several members.

A member's tensors stand in `weights.safetensors` under `members.0.`, `members.1.`, …, in the order of the manifest.
"""

from collections.abc import Mapping, Sequence

from torch import Tensor

from sepl.bundle.format import ModelBundle
from sepl.bundle.manifest import BundleManifest
from sepl.config import ModelConfig
from sepl.data.imaging.photograph import Normalisation
from sepl.errors import BundleError
from sepl.models.build import build_network
from sepl.models.ensemble import EnsembleNetwork
from sepl.models.parts.network import MultiTaskNetwork


def load_network(bundle: ModelBundle) -> MultiTaskNetwork:
    """On the CPU, in evaluation mode. Raises BundleError when the weights do not fit the bundle's own config."""
    network = _build(bundle.manifest)
    try:
        network.load_state_dict(bundle.state)
    except RuntimeError as problem:
        first_lines = " ".join(str(problem).split()[:40])
        raise BundleError(
            f"{bundle.bundle_id}: weights should fit the bundle's own config, do not: {first_lines}"
        ) from None
    return network.eval()


def joined_state(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The weights of members, as a bundle keeps them."""
    return {f"members.{number}.{name}": tensor for number, state in enumerate(states) for name, tensor in state.items()}


def _build(manifest: BundleManifest) -> MultiTaskNetwork:
    def build(config: ModelConfig, normalisation: Normalisation) -> MultiTaskNetwork:
        return build_network(config, manifest.tasks, manifest.image.size, initialise=False, normalisation=normalisation)

    if not manifest.members:
        return build(manifest.config.model, manifest.image.normalisation)
    members = [build(member.model, member.normalisation) for member in manifest.members]
    return EnsembleNetwork(members, [member.votes for member in manifest.members])
