"""What benchmarks share."""

from typing import TYPE_CHECKING

from sepl.lazy import lazy_face

__all__ = [
    "benchmark_parser",
    "files_of",
    "interleaved_medians",
    "interleaved_seconds",
    "make_cohort",
    "peak_bytes",
    "simulated_dataset",
]

if TYPE_CHECKING:
    from benchmarks.support.cohorts import simulated_dataset
    from benchmarks.support.memory import peak_bytes
    from benchmarks.support.photographs import files_of, make_cohort
    from benchmarks.support.report import benchmark_parser, interleaved_medians, interleaved_seconds
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "cohorts": ["simulated_dataset"],
            "memory": ["peak_bytes"],
            "photographs": ["files_of", "make_cohort"],
            "report": ["benchmark_parser", "interleaved_medians", "interleaved_seconds"],
        },
    )
