"""What a study is, and where its trials are remembered."""

from typing import TYPE_CHECKING

from sepl.lazy import lazy_face

__all__ = ["StudyFolder", "StudyRecord", "open_database"]

if TYPE_CHECKING:
    from sepl.tuning.record.database import open_database
    from sepl.tuning.record.record import StudyFolder, StudyRecord
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "database": ["open_database"],
            "record": ["StudyFolder", "StudyRecord"],
        },
    )
