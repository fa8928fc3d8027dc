"""Training of a trial: the engine, the supervised objective that it is given, and what these read and weigh.

`supervised.run.TrainingRun` of a `TrialConfig` and an `input.batches.TrainingData` is one run; `supervised.run.train`
yields an `EpochResult` an epoch.
"""

from typing import TYPE_CHECKING

from sepl.lazy import lazy_face

__all__ = ["Autosave", "EpochResult", "TrainingData", "TrainingRun", "train"]

if TYPE_CHECKING:
    from sepl.training.engine.autosave import Autosave
    from sepl.training.input.batches import TrainingData
    from sepl.training.supervised.run import EpochResult, TrainingRun, train
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "engine.autosave": ["Autosave"],
            "input.batches": ["TrainingData"],
            "supervised.run": ["EpochResult", "TrainingRun", "train"],
        },
    )
