"""From a Cohort to a published dataset, resumable: `preparation.prepare.prepare` does it, by stages."""

from typing import TYPE_CHECKING

from sepl.lazy import lazy_face

__all__ = ["describe_prepared"]

if TYPE_CHECKING:
    from sepl.data.preparation.summary import describe_prepared
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "summary": ["describe_prepared"],
        },
    )
