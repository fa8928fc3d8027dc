"""Training of a trial: the engine, the supervised objective that it is given, and what these read and weigh.

`supervised.run.TrainingRun` of a `TrialConfig` and an `input.batches.TrainingData` is one run; `supervised.run.train`
yields an `EpochResult` an epoch.
"""
