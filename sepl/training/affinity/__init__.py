"""Which tasks help each other: measured during one training run, and the record that choices of priors rest on."""

from typing import TYPE_CHECKING

from sepl.lazy import lazy_face

__all__ = ["Affinity", "RankedSplit", "measure_affinity"]

if TYPE_CHECKING:
    from sepl.training.affinity.measure import measure_affinity
    from sepl.training.affinity.record import Affinity, RankedSplit
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "measure": ["measure_affinity"],
            "record": ["Affinity", "RankedSplit"],
        },
    )
