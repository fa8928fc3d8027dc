"""What families of networks are made of: their base class, heads, gates, fusion of photographs, task groups."""

from typing import TYPE_CHECKING

from sepl.lazy import lazy_face

__all__ = [
    "BatchedLinear",
    "Context",
    "Fusion",
    "GroupedHead",
    "LoadBalance",
    "MultiTaskNetwork",
    "PerOutput",
    "PhotographSets",
    "Priors",
    "Representation",
    "TaskHeads",
    "TrunkNetwork",
    "build_fusion",
    "open_gates",
]

if TYPE_CHECKING:
    from sepl.models.parts.fusion import Fusion, PhotographSets, build_fusion
    from sepl.models.parts.gates import LoadBalance, open_gates
    from sepl.models.parts.group_adapters import GroupedHead
    from sepl.models.parts.linear import BatchedLinear, TaskHeads
    from sepl.models.parts.network import Context, MultiTaskNetwork, Representation
    from sepl.models.parts.outputs import PerOutput
    from sepl.models.parts.priors import Priors
    from sepl.models.parts.trunk import TrunkNetwork
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "fusion": ["Fusion", "PhotographSets", "build_fusion"],
            "gates": ["LoadBalance", "open_gates"],
            "group_adapters": ["GroupedHead"],
            "linear": ["BatchedLinear", "TaskHeads"],
            "network": ["Context", "MultiTaskNetwork", "Representation"],
            "outputs": ["PerOutput"],
            "priors": ["Priors"],
            "trunk": ["TrunkNetwork"],
        },
    )
