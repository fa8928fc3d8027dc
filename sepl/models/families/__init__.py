"""One file a family of networks; `sepl.models.build` makes the one that is named."""

from typing import TYPE_CHECKING

from sepl.lazy import lazy_face

__all__ = [
    "CgcHead",
    "CrossStitchNetwork",
    "CtanHead",
    "MmoeHead",
    "MtanNetwork",
    "SeplHead",
    "SeplNetwork",
    "SingleTaskNetwork",
    "SoftSharingNetwork",
]

if TYPE_CHECKING:
    from sepl.models.families.cgc import CgcHead
    from sepl.models.families.cross_stitch import CrossStitchNetwork
    from sepl.models.families.ctan import CtanHead
    from sepl.models.families.mmoe import MmoeHead
    from sepl.models.families.mtan import MtanNetwork
    from sepl.models.families.sepl import SeplHead, SeplNetwork
    from sepl.models.families.single_task import SingleTaskNetwork
    from sepl.models.families.soft_sharing import SoftSharingNetwork
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "cgc": ["CgcHead"],
            "cross_stitch": ["CrossStitchNetwork"],
            "ctan": ["CtanHead"],
            "mmoe": ["MmoeHead"],
            "mtan": ["MtanNetwork"],
            "sepl": ["SeplHead", "SeplNetwork"],
            "single_task": ["SingleTaskNetwork"],
            "soft_sharing": ["SoftSharingNetwork"],
        },
    )
