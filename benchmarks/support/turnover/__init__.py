"""What `benchmarks.trial_turnover` compares: one space, and ways to run its trials and to start."""

from typing import TYPE_CHECKING

from sepl.lazy import lazy_face

__all__ = ["Turnover", "seconds_to_first_result"]

if TYPE_CHECKING:
    from benchmarks.support.turnover.start import seconds_to_first_result
    from benchmarks.support.turnover.ways import Turnover
else:
    __getattr__, __dir__ = lazy_face(__name__, {"start": ["seconds_to_first_result"], "ways": ["Turnover"]})
