"""The cores that this process may use."""

import os


def num_cores() -> int:
    """At least 1; where the system tells (Linux), those that it gives this process, as a batch job may be given few."""
    allowed = getattr(os, "sched_getaffinity", None)
    return len(allowed(0)) if allowed is not None else os.cpu_count() or 1
