"""The HTML page of a study."""

from typing import TYPE_CHECKING

from sepl.lazy import lazy_face

__all__ = ["write_report"]

if TYPE_CHECKING:
    from sepl.tuning.report.report import write_report
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "report": ["write_report"],
        },
    )
