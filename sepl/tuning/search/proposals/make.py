"""A sampler by its name."""

from collections.abc import Callable, Sequence

import optuna
from optuna.samplers import BaseSampler

from sepl.errors import ConfigError
from sepl.tuning.search.proposals.cqr import QuantileSampler
from sepl.tuning.search.proposals.guided import PriorGuidedSampler
from sepl.tuning.search.proposals.prior import PriorTrial
from sepl.tuning.search.proposals.tpe_rank import RankTPESampler

_SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {
    "tpe": lambda seed: optuna.samplers.TPESampler(seed=seed),
    "tpe_rank": RankTPESampler,
    "cqr": QuantileSampler,
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
}


def make_sampler(name: str, *, seed: int, prior: Sequence[PriorTrial] = ()) -> BaseSampler:
    """What proposes configurations of a study with one objective; without `prior` the sampler as it is.

    tpe       Optuna's tree-structured Parzen estimator: completed trials first, those stopped early only after them
    tpe_rank  the same on ranks within the last rung (`tpe_rank`)
    cqr       conformalised quantile regression on last values (`cqr`)
    random    independent draws

    Raises ConfigError for another name.
    """
    if name not in _SAMPLERS:
        raise ConfigError(f"sampler should be one of {', '.join(_SAMPLERS)}, was {name!r}")
    sampler = _SAMPLERS[name](seed)
    return PriorGuidedSampler(sampler, prior, seed=seed) if prior else sampler
