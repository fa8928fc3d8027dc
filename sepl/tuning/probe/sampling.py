"""Heads to try, asked of the search space itself.

Heads of one shape are trained as one, so what decides a head's shape (the structure) is drawn `_RATES_EACH` times less
often than the rates that it is trained with.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sepl.config import TrialConfig
from sepl.errors import ConfigError, SeplError
from sepl.training.probe.eligible import check_head
from sepl.tuning.space.probe import random_trials
from sepl.tuning.space.space import Params, SearchSpace

NUM_EPOCHS = 12
"""Of a head at most; on real photographs the best epoch of 8 to 20 was among the first 12."""
_RATES_EACH = 8
_LEAST_STRUCTURES = 4
_MOST_ASKED = 4
"""Trials asked for each head that is wanted: some are of a kind that no probe can try."""
_RATES = ("learning_rate", "weight_decay", "weighting", "task_weights")
STRUCTURE = (
    "family",
    "task_split",
    "num_experts",
    "hidden_width",
    "propagation",
    "binary_prior",
    "gate_inputs",
    "prior_attention",
    "gate_top_k",
    "load_balance",
    "num_stages",
)
"""Of a head; heads of one structure are trained as one."""
_OF_STEPS = ("batch_size", "num_epochs", "warmup_epochs", "seed")
SOURCE = ("backbone", "weights", "final_norm")


@dataclass(frozen=True)
class SampledHead:
    """A head to try, on any of the backbones."""

    params: Params
    """What the space was asked for, backbone and all."""
    config: Params
    """All that the space says of that trial."""

    @property
    def source(self) -> tuple[str, str, bool]:
        """Backbone, weights, final norm."""
        model = TrialConfig.from_params(self.config).model
        return model.backbone, model.weights, model.final_norm

    def on(self, source: tuple[str, str, bool]) -> "SampledHead":
        """The same head on another backbone."""
        values = dict(zip(SOURCE, source, strict=True))
        asked = {name: value for name, value in values.items() if name in self.params}
        return SampledHead({**self.params, **asked}, {**self.config, **values})


def head_config(config: Mapping[str, Any], *, strength: float) -> TrialConfig:
    """The setting of a trial as its head is trained on frozen features: what concerns the backbone is left out.

    Raises ConfigError for a setting that no probe can try.
    """
    full = TrialConfig.from_params(config)
    kept = {name: config[name] for name in (*SOURCE, *STRUCTURE, *_RATES, *_OF_STEPS) if name in config}
    kept["num_epochs"] = min(full.training.num_epochs, NUM_EPOCHS)
    check_head(full)
    return TrialConfig.from_params({**kept, "augment_strength": strength})


def sample_heads(space: SearchSpace, num_heads: int) -> tuple[SampledHead, ...]:
    """As many different heads of the space as there are, `num_heads` at most; the same ones every time.

    None where no trial of the space begins with weights, or no head of it can be tried on features.
    """
    structures: list[SampledHead] = []
    heads: dict[str, SampledHead] = {}
    most = max(min(num_heads, _LEAST_STRUCTURES), num_heads // _RATES_EACH)
    for number, drawn in enumerate(_random_heads(space, _MOST_ASKED * num_heads)):
        head: SampledHead | None = drawn
        if _structure(drawn) not in [_structure(other) for other in structures]:
            if len(structures) < most:
                structures.append(drawn)
            else:
                head = _reshaped(space, drawn, structures[number % most])
        if head is not None:
            heads.setdefault(_key(head), head)
        if len(heads) == num_heads:
            break
    return tuple(heads.values())


def sources_of(space: SearchSpace) -> tuple[tuple[str, str, bool], ...]:
    """Backbones of the space with initial weights, each with these and its final norm, in order."""
    return tuple(sorted({head.source for head in _random_heads(space, 64)}))


def _random_heads(space: SearchSpace, num_trials: int) -> Iterator[SampledHead]:
    for trial in random_trials(num_trials):
        constants = space.propose(trial)
        head = SampledHead(dict(trial.params), {**constants, **trial.params})
        try:
            head_config(head.config, strength=0.0)
        except SeplError:
            continue
        if TrialConfig.from_params(head.config).model.weights != "none":
            yield head


def _reshaped(space: SearchSpace, rates: SampledHead, structure: SampledHead) -> SampledHead | None:
    """A head with the structure of one trial and the rates of another; None where the space allows no such trial."""
    point = {**rates.params, **{name: structure.params[name] for name in STRUCTURE if name in structure.params}}
    try:
        trial, constants = space.answer(point, f"search space {space.name}")
        head = SampledHead({name: point[name] for name in trial.distributions}, {})
        head = SampledHead(head.params, {**constants, **head.params})
        head_config(head.config, strength=0.0)
    except ConfigError:
        return None
    return head


def _structure(head: SampledHead) -> str:
    return _text({name: head.config[name] for name in (*STRUCTURE, "batch_size") if name in head.config})


def _key(head: SampledHead) -> str:
    return _text({name: head.config[name] for name in (*STRUCTURE, *_RATES, *_OF_STEPS) if name in head.config})


def _text(values: Params) -> str:
    return json.dumps(values, sort_keys=True, default=str)
