"""The training of one trial: the paper's losses on a prepared dataset, as its settings say."""

from collections.abc import Callable, Iterator
from dataclasses import fields

from sepl.config import TrainingConfig, TrialConfig
from sepl.device import warn_of_emulation
from sepl.memory import keep_freed_memory
from sepl.models.build import build_network
from sepl.models.parts.network import MultiTaskNetwork
from sepl.training.engine.run import Engine
from sepl.training.engine.seeding import RandomStreams
from sepl.training.engine.settings import EngineSettings
from sepl.training.input.batches import Batch, TrainingData
from sepl.training.supervised.objective import EpochResult, Inputs, Supervised


class TrainingRun(Engine[Batch, Inputs, EpochResult]):
    """An engine with the network and the objective of a trial.

    The same config and data give the same weights, on a CPU bit for bit (with the same number of threads).
    """

    def __init__(self, config: TrialConfig, data: TrainingData) -> None:
        """Builds the network where the data lie; nothing is trained yet.

        Raises ConfigError for a config that cannot be built.
        """
        if data.device.type == "cpu":
            keep_freed_memory()
        warn_of_emulation(config.training.precision, data.device)
        streams = RandomStreams(config.training.seed, data.device)
        with streams.active():
            self.network: MultiTaskNetwork = build_network(config.model, data.tasks, data.image_spec.size)
        self.network.to(data.device)
        self.supervised = Supervised(config, data, self.network, streams)
        identity = {"dataset": data.fingerprint, **config.to_params()}
        super().__init__(self.network, self.supervised, _engine_settings(config.training), streams, identity)


def train(run: TrainingRun, after_step: Callable[[], object] | None = None) -> Iterator[EpochResult]:
    """Runs the epochs that are left, one result each; stop taking them to stop the training."""
    while not run.finished:
        yield run.run_epoch(after_step)


def _engine_settings(training: TrainingConfig) -> EngineSettings:
    return EngineSettings(**{field.name: getattr(training, field.name) for field in fields(EngineSettings)})
