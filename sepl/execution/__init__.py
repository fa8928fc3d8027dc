"""How work is spread over the cores of one machine. Knows no Ray, and nothing of what the work is."""

from sepl.execution.cores import num_cores

__all__ = ["num_cores"]
