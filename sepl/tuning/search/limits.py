"""Limits on what a model may cost in use: a configuration that breaks one is refused before it costs an epoch.

A refused configuration is a trial that failed, with the reason, beside the number that was asked for; another one is
proposed in its place. After `MOST_IN_A_ROW` refusals without a configuration within the limits the search stops.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.trial import TrialState

from sepl.errors import ConfigError, StudyError
from sepl.tuning.record.attributes import CRASHED
from sepl.tuning.record.costs import Cost

REFUSED = "refused"
"""Attribute of a trial in Optuna: whether it broke a limit."""
COSTS = ("num_parameters", "ms_per_photograph")
"""Attributes of a trial in Optuna, and of the result of its first epoch."""
MOST_IN_A_ROW = 100
_REFUSAL = "refused: "

Proposal = tuple[optuna.Trial, dict[str, Any]]
"""A trial that is asked for, and all its hyperparameters."""


def is_refusal(failure: str | None) -> bool:
    """Whether a trial's failure says that it broke a limit."""
    return failure is not None and failure.startswith(_REFUSAL)


@dataclass(frozen=True)
class Limits:
    """None: any cost."""

    max_parameters: int | None = None
    max_ms_per_photograph: float | None = None

    def __bool__(self) -> bool:
        return self.max_parameters is not None or self.max_ms_per_photograph is not None

    def breach(self, cost: Cost) -> str | None:
        """Which limit that breaks, in words."""
        if self.max_parameters is not None and cost.num_parameters > self.max_parameters:
            return f"{cost.num_parameters:,} parameters are above --max-parameters {self.max_parameters:,}"
        if self.max_ms_per_photograph is not None and cost.ms_per_photograph > self.max_ms_per_photograph:
            return (
                f"{cost.ms_per_photograph:.3g} ms per photograph are above --max-ms-per-photograph "
                f"{self.max_ms_per_photograph:g}"
            )
        return None


class Gate:
    """Lets configurations within the limits pass.

    `measure` says what one costs, None where that cannot be told, and raises what a trial of it would; these pass.
    """

    def __init__(self, limits: Limits, measure: Callable[[dict[str, Any]], Cost | None]) -> None:
        self._limits, self._measure = limits, measure

    def first_within(self, study: optuna.Study, ask: Callable[[], Proposal]) -> Proposal:
        """The first proposal of `ask` that breaks no limit. Raises StudyError when too many in a row do."""
        reason = None
        for _ in range(MOST_IN_A_ROW):
            trial, params = ask()
            reason = self._refusal(trial, params)
            if reason is None:
                return trial, params
            trial.set_user_attr("failure", _REFUSAL + reason)
            trial.set_user_attr(REFUSED, True)
            trial.set_user_attr(CRASHED, False)
            study.tell(trial, state=TrialState.FAIL)
        raise StudyError(
            f"study {study.study_name}: {MOST_IN_A_ROW} configurations in a row were refused, the last because "
            f"{reason}; give a higher limit or a search space of smaller networks"
        )

    def _refusal(self, trial: optuna.Trial, params: dict[str, Any]) -> str | None:
        try:
            cost = self._measure(params)
        except ConfigError:  # fails as a trial, which says why
            cost = None
        if cost is None:
            return None
        for name in COSTS:
            trial.set_user_attr(name, getattr(cost, name))
        return self._limits.breach(cost)
