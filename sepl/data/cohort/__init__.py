"""`cohort.toml` and its tables, headers and rules, to a checked Cohort."""

from typing import TYPE_CHECKING

from sepl.lazy import lazy_face

__all__ = ["Cohort", "Finding", "Listing", "read_cohort"]

if TYPE_CHECKING:
    from sepl.data.cohort.cohort import Cohort, read_cohort
    from sepl.data.cohort.findings import Finding
    from sepl.data.cohort.listing import Listing
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "cohort": ["Cohort", "read_cohort"],
            "findings": ["Finding"],
            "listing": ["Listing"],
        },
    )
