"""Networks trained, and their skills on the sealed test patients with the resamples behind every interval.

Axes: P patient, S seed, B the sample itself, then its resamples, T task.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sepl.config import TrialConfig
from sepl.data.dataset.dataset import PreparedDataset
from sepl.metrics.bootstrap import estimate, resample_patients
from sepl.metrics.measures import skill
from sepl.models.build import build_network
from sepl.models.parts.network import MultiTaskNetwork
from sepl.models.predict import predict_outputs
from sepl.tasks import TaskTable
from sepl.training.input.batches import TrainingData, ValidationSet
from sepl.training.supervised.run import TrainingRun, train
from sepl.training.supervised.validation import labels_at_hand, values_per_patient

Floats = NDArray[np.float64]

NUM_BOOTSTRAP = 2000


def skills_of(config: TrialConfig, data: TrainingData, dataset: PreparedDataset) -> Floats:
    """Skill of every task (B, T) on the sealed test patients, of the best epoch's network that this setting trains.

    The same resamples of patients whatever the setting, so that differences pair. A network that is told true priors
    in training is told those of the test patients too.
    """
    return skills_of_network(trained_network(config, data), config, dataset)


def skills_of_network(network: MultiTaskNetwork, config: TrialConfig, dataset: PreparedDataset) -> Floats:
    """As `skills_of`, of a network that was trained before."""
    test = dataset.photographs("test")
    outputs_NO = predict_outputs(
        network,
        test.shards,
        device=next(network.parameters()).device,
        patients=test.patient_index,
        labels_NT=labels_at_hand(config.model.propagation, test, dataset.scaler, dataset.tasks),
    )
    return skills_of_values(values_per_patient(outputs_NO, test, dataset.scaler, dataset.tasks), dataset)


def trained_network(config: TrialConfig, data: TrainingData) -> MultiTaskNetwork:
    """The network of the best epoch."""
    run = TrainingRun(config, data)
    for _ in train(run):
        pass
    return best_network(run, config, data)


def best_network(run: TrainingRun, config: TrialConfig, data: TrainingData) -> MultiTaskNetwork:
    """Of the run's best epoch so far."""
    network = build_network(
        config.model, data.tasks, data.image_spec.size, initialise=False, normalisation=run.network.normalisation
    )
    network.load_state_dict(run.best_state())
    return network.to(data.device)


def skills_of_values(values_PT: Floats, dataset: PreparedDataset) -> Floats:
    """Skill of every task (B, T) of what anybody predicts for the sealed test patients.

    In units; of a binary task only the order counts. The resamples of patients are those of `skills_of`.
    """
    test = dataset.photographs("test")
    labels_PT = test.labels_per_patient(dataset.tasks)
    weights_BP = resample_patients(len(labels_PT), NUM_BOOTSTRAP, seed=0)
    return np.column_stack(
        [_task_skills(dataset, index, values_PT, labels_PT, weights_BP) for index in range(len(dataset.tasks))]
    )


def judged_on(dataset: PreparedDataset) -> dict[str, Any]:
    """Whose figures these are, for a report."""
    train = dataset.photographs("train")
    return {
        "cohort split": "test",
        "test patients": dataset.photographs("test").num_patients,
        "training patients": train.num_patients,
        "training photographs": train.num_photographs,
    }


def judged_by(data: TrainingData, targets: Sequence[str]) -> TrainingData:
    """Data whose best epoch is that of the targets: validation labels of all other tasks are withheld."""
    assert data.validation is not None
    labels_PT = np.where(is_among(targets, data.tasks), data.validation.labels_PT, np.nan)
    return replace(data, validation=ValidationSet(data.validation.photographs, labels_PT))


def is_among(names: Sequence[str], tasks: TaskTable) -> NDArray[np.bool_]:
    """(T,) of every task, whether it is named."""
    return np.array([name in names for name in tasks.names])


def num_parameters(config: TrialConfig, dataset: PreparedDataset) -> int:
    """Of the whole network."""
    network = build_network(config.model, dataset.tasks, dataset.image_spec.size, initialise=False)
    return sum(parameter.numel() for parameter in network.parameters())


def over_seeds(values_SB: Floats) -> Floats:
    """Mean over the seeds, (B,); in resamples of patients, over a resample of seeds too."""
    rng = np.random.default_rng(1)
    num_seeds, num_rows = values_SB.shape
    drawn_SB = rng.integers(0, num_seeds, (num_seeds, num_rows))
    drawn_SB[:, 0] = np.arange(num_seeds)
    return np.take_along_axis(values_SB, drawn_SB, axis=0).mean(axis=0)


def interval(figures_B: Floats) -> dict[str, float]:
    """The sample's own figure and the 95 % percentile interval of its resamples."""
    return estimate(figures_B).model_dump()


def _task_skills(
    dataset: PreparedDataset, index: int, values_PT: Floats, labels_PT: Floats, weights_BP: Floats
) -> Floats:
    present_P = np.isfinite(labels_PT[:, index])
    task, median = dataset.tasks.root[index], dataset.scaler.medians[index]
    return skill(task, values_PT[present_P, index], labels_PT[present_P, index], weights_BP[:, present_P], median)
