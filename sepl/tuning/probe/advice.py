"""What a search takes of its probe: where to begin, and a ranking of settings."""

from collections.abc import Iterator

from sepl.config import TrialConfig
from sepl.errors import ConfigError
from sepl.tuning.probe.record import ProbedBackbone, ProbedHead, ProbeRecord
from sepl.tuning.probe.sampling import SOURCE, STRUCTURE
from sepl.tuning.search.proposals.prior import PriorTrial
from sepl.tuning.space.space import Params, SearchSpace

NUM_POINTS = 3
_OF_HEAD = (*SOURCE, *STRUCTURE, "weighting", "task_weights")
"""What a head's rank says something of in fine-tuning; at which rate all of a network learns best, it does not."""


def first_points(record: ProbeRecord, space: SearchSpace) -> tuple[Params, ...]:
    """The heads that came first, as points of the space: the best of each backbone in turn, `NUM_POINTS` at most.

    How they are fine-tuned is taken from the space's own last first point that allows it, which its author thought
    good, else from the trial that the head came from.
    """
    ranked = [_distinct(backbone) for backbone in _heard(record)]
    turns = [head for place in range(NUM_POINTS) for heads in ranked for head in heads[place : place + 1]]
    points: list[Params] = []
    for head in turns:
        point = _point(head, space)
        if point is not None and point not in [*points, *space.first_points]:
            points.append(point)
    return tuple(points[:NUM_POINTS])


def prior_trials(record: ProbeRecord) -> tuple[PriorTrial, ...]:
    """Every head that was probed, ranked among those of its backbone: best 1, then evenly down towards 0.

    Heads that diverged come last. Backbones that fine-tuning was seen not to agree with are left out.
    """
    return tuple(trial for backbone in _heard(record) for trial in _ranked(backbone))


def _ranked(backbone: ProbedBackbone) -> Iterator[PriorTrial]:
    num_heads = len(backbone.heads)
    for place, head in enumerate(backbone.heads):
        yield PriorTrial(head.params, (num_heads - place) / num_heads)


def _heard(record: ProbeRecord) -> list[ProbedBackbone]:
    """Best first."""
    heard = [found for found in record.backbones if found.agreement is None or found.agreement.is_heard]
    return sorted(heard, key=_best_skill, reverse=True)


def _best_skill(backbone: ProbedBackbone) -> float:
    return max((head.skill for head in backbone.heads if head.skill is not None), default=float("-inf"))


def _distinct(backbone: ProbedBackbone) -> list[ProbedHead]:
    """The first head of each structure."""
    found: dict[str, ProbedHead] = {}
    for head in backbone.heads:
        if head.skill is not None:
            found.setdefault(str([head.config.get(name) for name in _OF_HEAD]), head)
    return list(found.values())


def _point(head: ProbedHead, space: SearchSpace) -> Params | None:
    own = {name: head.params[name] for name in _OF_HEAD if name in head.params}
    for base in (*reversed(space.first_points), head.params):
        merged = {**head.params, **base, **own}
        try:
            trial, constants = space.answer(merged, f"search space {space.name}")
            point = {name: merged[name] for name in trial.distributions}
            TrialConfig.from_params({**constants, **point})
        except ConfigError:
            continue
        return point
    return None
