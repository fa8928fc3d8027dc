"""Studies of a storage beside each other: listed, shown, checked, exported, deleted. Starts no Ray, loads no torch."""

from typing import TYPE_CHECKING

from sepl.lazy import lazy_face

__all__ = ["Overview", "delete_study", "export_trials", "list_studies", "show_study", "verify_study"]

if TYPE_CHECKING:
    from sepl.tuning.studies.delete import delete_study
    from sepl.tuning.studies.export import export_trials
    from sepl.tuning.studies.overview import Overview, list_studies, show_study
    from sepl.tuning.studies.verify import verify_study
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "delete": ["delete_study"],
            "export": ["export_trials"],
            "overview": ["Overview", "list_studies", "show_study"],
            "verify": ["verify_study"],
        },
    )
