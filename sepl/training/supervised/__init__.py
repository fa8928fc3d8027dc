"""Learning tasks from their labels: the objective of every trial, on the engine that all training shares.

`sepl.training.supervised.run` has what others use: `TrainingRun` and `train`.
"""
