"""One trial in a warm process, and how many fit the cluster."""

from typing import TYPE_CHECKING

from sepl.lazy import lazy_face

__all__ = ["CheckpointJournal", "Cluster", "Packing", "SeplTrainable", "pack", "run_trials"]

if TYPE_CHECKING:
    from sepl.tuning.trials.checkpoints import CheckpointJournal
    from sepl.tuning.trials.cluster import Cluster
    from sepl.tuning.trials.packing import Packing, pack
    from sepl.tuning.trials.run import run_trials
    from sepl.tuning.trials.trainable import SeplTrainable
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "checkpoints": ["CheckpointJournal"],
            "cluster": ["Cluster"],
            "packing": ["Packing", "pack"],
            "run": ["run_trials"],
            "trainable": ["SeplTrainable"],
        },
    )
