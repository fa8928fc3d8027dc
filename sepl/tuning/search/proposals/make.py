"""A sampler by its name."""

from collections.abc import Callable, Sequence

import optuna
from optuna.samplers import BaseSampler

from sepl.errors import ConfigError
from sepl.tuning.search.proposals.cqr import QuantileSampler
from sepl.tuning.search.proposals.guided import PriorGuidedSampler
from sepl.tuning.search.proposals.prior import PriorTrial
from sepl.tuning.search.proposals.tpe_rank import RankTPESampler

_OPTUNAS: dict[str, Callable[[int], BaseSampler]] = {
    "tpe": lambda seed: optuna.samplers.TPESampler(seed=seed),
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
}
_OURS: dict[str, Callable[[int], BaseSampler]] = {"tpe_rank": RankTPESampler, "cqr": QuantileSampler}


def make_sampler(name: str, *, seed: int, prior: Sequence[PriorTrial] = (), num_earlier: int = 0) -> BaseSampler:
    """What proposes configurations of a study with one objective; without `prior` the sampler as it is.

    tpe       Optuna's tree-structured Parzen estimator: completed trials first, those stopped early only after them
    tpe_rank  the same on ranks within the last rung (`tpe_rank`)
    cqr       conformalised quantile regression on last values (`cqr`)
    random    independent draws

    `num_earlier` trials were begun before: the random state of Optuna's samplers is not stored, and seeded alike they
    would draw their first points again. Ours have random numbers of each trial's own, and go on as if never stopped.

    Raises ConfigError for another name.
    """
    if name in _OURS:
        sampler = _OURS[name](seed)
    elif name in _OPTUNAS:
        sampler = _OPTUNAS[name](seed + num_earlier)
    else:
        raise ConfigError(f"sampler should be one of {', '.join((*_OPTUNAS, *_OURS))}, was {name!r}")
    return PriorGuidedSampler(sampler, prior, seed=seed) if prior else sampler
