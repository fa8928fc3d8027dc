"""From a prepared dataset to augmented batches on the device; `batches.TrainingData` is what a run is made with."""
