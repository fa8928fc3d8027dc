"""Where trials run: under Ray Tune, in this process, or in simulated time over a table of curves."""

from typing import TYPE_CHECKING

from sepl.lazy import lazy_face

__all__ = ["Backend", "CurveTable", "SearchLoop", "SearchResult", "SimulatedBackend", "TableSpace"]

if TYPE_CHECKING:
    from sepl.tuning.search.backends.curve_table import CurveTable, TableSpace
    from sepl.tuning.search.backends.loop import Backend, SearchLoop
    from sepl.tuning.search.backends.notebook import SearchResult
    from sepl.tuning.search.backends.simulated import SimulatedBackend
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "curve_table": ["CurveTable", "TableSpace"],
            "loop": ["Backend", "SearchLoop"],
            "notebook": ["SearchResult"],
            "simulated": ["SimulatedBackend"],
        },
    )
