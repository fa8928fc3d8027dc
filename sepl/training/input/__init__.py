"""From a prepared dataset to augmented batches on the device; `batches.TrainingData` is what a run is made with."""

from typing import TYPE_CHECKING

from sepl.lazy import lazy_face

__all__ = ["Augmenter", "Batch", "PatientTrainSet", "TrainSet", "TrainingData", "ValidationSet"]

if TYPE_CHECKING:
    from sepl.training.input.augment import Augmenter
    from sepl.training.input.batches import Batch, TrainingData, TrainSet, ValidationSet
    from sepl.training.input.patient_sets import PatientTrainSet
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "augment": ["Augmenter"],
            "batches": ["Batch", "TrainSet", "TrainingData", "ValidationSet"],
            "patient_sets": ["PatientTrainSet"],
        },
    )
