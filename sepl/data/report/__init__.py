"""The HTML page of a preparation."""

from typing import TYPE_CHECKING

from sepl.lazy import lazy_face

__all__ = ["write_prepare_report"]

if TYPE_CHECKING:
    from sepl.data.report.report import write_prepare_report
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "report": ["write_prepare_report"],
        },
    )
