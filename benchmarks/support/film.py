"""Known values told to a network of any family by FiLM (Perez et al., AAAI 2018, arXiv 1709.07871): a rival alone.

    z' = z (1 + s) + b        [s; b] = W [v m; m],  W = 0 at first

v are the true priors in scaled units, m says which are known: in training each with probability ½, drawn for every
photograph and prior, where its label is there. With none known z stays as it is.

Axes: B photograph, F feature, P prior, T task.
"""

from collections.abc import Iterator, Sequence
from dataclasses import fields, replace

import torch
from torch import Tensor, nn

from sepl.config import TrialConfig
from sepl.models.build import build_network
from sepl.models.parts.network import NO_CONTEXT, Context, MultiTaskNetwork
from sepl.models.parts.trunk import TrunkNetwork
from sepl.training.engine.run import Engine
from sepl.training.engine.seeding import RandomStreams
from sepl.training.engine.settings import EngineSettings
from sepl.training.input.batches import Batch, TrainingData
from sepl.training.supervised.objective import EpochResult, Inputs, Supervised

SHARE = 0.5
"""Of the priors, how many are known in training."""


class Film(nn.Module):
    """Features (B, F) moved by known values of the tasks at `places`."""

    def __init__(self, num_features: int, places: Sequence[int]) -> None:
        super().__init__()
        self.linear = nn.Linear(2 * len(places), 2 * num_features, bias=False)
        nn.init.zeros_(self.linear.weight)
        self.register_buffer("places_P", torch.tensor(list(places)), persistent=False)

    def forward(self, features_BF: Tensor, labels_BT: Tensor) -> Tensor:
        values_BP = labels_BT.index_select(1, self.get_buffer("places_P")).to(features_BF.dtype)
        is_known_BP = values_BP.isfinite().to(features_BF.dtype)
        scale_BF, shift_BF = self.linear(torch.cat([values_BP.nan_to_num(0.0), is_known_BP], dim=1)).chunk(2, dim=1)
        return features_BF * (1 + scale_BF) + shift_BF


class FilmNetwork(TrunkNetwork):
    """A network with one trunk whose features are moved by what is known."""

    def __init__(self, network: TrunkNetwork, film: Film) -> None:
        super().__init__(network.backbone, network.head, network.num_tasks)
        self.film = film
        self.normalisation = network.normalisation

    def decide(self, features: Tensor, context: Context = NO_CONTEXT) -> Tensor:
        if context.labels_BT is not None:
            features = self.film(features, context.labels_BT)
        return super().decide(features)


def film_network(config: TrialConfig, data: TrainingData, priors: Sequence[str]) -> FilmNetwork:
    """Of the config's family, which has one trunk, with FiLM in front of its head."""
    network = build_network(config.model, data.tasks, data.image_spec.size)
    assert isinstance(network, TrunkNetwork), "a family of one trunk"
    num_pixels = data.image_spec.size
    with torch.inference_mode():
        features = network.eval().represent(torch.zeros(1, 3, num_pixels, num_pixels))
    return FilmNetwork(network.train(), Film(features.shape[1], [data.tasks.index(name) for name in priors]))


def train_film(config: TrialConfig, data: TrainingData, priors: Sequence[str]) -> MultiTaskNetwork:
    """The network of the best epoch, judged with nothing known."""
    run = _FilmRun(config, data, priors)
    while not run.finished:
        run.run_epoch()
    network = film_network(config, data, priors)
    network.load_state_dict(run.best_state())
    return network.to(data.device)


class _FilmRun(Engine[Batch, Inputs, EpochResult]):
    """As `TrainingRun`, of a network with FiLM."""

    def __init__(self, config: TrialConfig, data: TrainingData, priors: Sequence[str]) -> None:
        streams = RandomStreams(config.training.seed, data.device)
        with streams.active():
            network = film_network(config, data, priors).to(data.device)
        settings = EngineSettings(
            **{field.name: getattr(config.training, field.name) for field in fields(EngineSettings)}
        )
        super().__init__(network, _WithKnown(config, data, network, streams), settings, streams, {"film": True})


class _WithKnown(Supervised):
    """Batches with some labels known to the network, which reads those of the priors."""

    def batches(self, order: torch.Generator, num_skipped: int) -> Iterator[Batch]:
        draws = torch.Generator().manual_seed(order.initial_seed())
        for batch in super().batches(order, num_skipped):
            drawn_BT = (torch.rand(batch.targets_BT.shape, generator=draws) < SHARE).to(batch.targets_BT.device)
            is_known_BT = drawn_BT & (batch.present_BT > 0)
            yield replace(batch, labels_BT=torch.where(is_known_BT, batch.targets_BT, torch.nan))
