"""Photographs and tables of a cohort, up to the dataset that trials map.

Layers: preparation → report → cohort | dataset → tables | imaging | patients.
"""

from typing import TYPE_CHECKING

from sepl.lazy import lazy_face

__all__ = ["Cohort", "ImageSpec", "PreparedDataset", "read_cohort"]

if TYPE_CHECKING:
    from sepl.data.cohort.cohort import Cohort, read_cohort
    from sepl.data.dataset.dataset import PreparedDataset
    from sepl.data.imaging.photograph import ImageSpec
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "cohort.cohort": ["Cohort", "read_cohort"],
            "dataset.dataset": ["PreparedDataset"],
            "imaging.photograph": ["ImageSpec"],
        },
    )
