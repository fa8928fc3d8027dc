"""What a search space may ask of a trial: the part of Optuna's `Trial` that proposes values."""

from collections.abc import Sequence
from typing import Any, Protocol


class Trial(Protocol):
    """Stands for `optuna.Trial`, so that a search space loads without Optuna."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any: ...

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int: ...

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float: ...
