"""sepl: search, prove and serve self-propagative multi-task models of fundus photographs.

In a notebook (docs/library.md): `open_dataset`, `search`, `train`, `open_bundle`; the rooms show what else there is.
"""

from typing import TYPE_CHECKING

from sepl.lazy import lazy_face

__all__ = ["Model", "TrialConfig", "open_bundle", "open_dataset", "search", "train"]

__version__ = "0.1.0"

if TYPE_CHECKING:
    from sepl.config import TrialConfig
    from sepl.library import Model, open_bundle, open_dataset, train
    from sepl.tuning.search.backends.notebook import search
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "config": ["TrialConfig"],
            "library": ["Model", "open_bundle", "open_dataset", "train"],
            "tuning.search.backends.notebook": ["search"],
        },
    )
