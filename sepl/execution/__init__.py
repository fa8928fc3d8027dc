"""How work is spread over the cores of one machine. Knows no Ray, and nothing of what the work is."""

from typing import TYPE_CHECKING

from sepl.lazy import lazy_face

__all__ = ["Executor", "LocalExecutor", "WorkerError", "num_cores", "track"]

if TYPE_CHECKING:
    from sepl.execution.cores import num_cores
    from sepl.execution.executor import Executor, LocalExecutor, WorkerError
    from sepl.execution.progress import track
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "cores": ["num_cores"],
            "executor": ["Executor", "LocalExecutor", "WorkerError"],
            "progress": ["track"],
        },
    )
