"""What trials have cost: time, and what they had to themselves during it."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sepl.tuning.record.attributes import FROM_STUDY, SECONDS, SHARE

_HOUR = 3600.0


@dataclass(frozen=True)
class Cost:
    """Sums over trials; a resource's hour is one of it for an hour."""

    seconds: float = 0.0
    cpu_hours: float = 0.0
    gpu_hours: float = 0.0

    @property
    def unit(self) -> str:
        """What is paid for: GPU-hours where trials had GPUs, else CPU-hours."""
        return "GPU" if self.gpu_hours else "CPU"

    @property
    def hours(self) -> float:
        """Of that unit."""
        return self.gpu_hours or self.cpu_hours


def cost(trials: Iterable[Any]) -> Cost:
    """Of Optuna's trials that this study ran itself.

    A trial of a version that kept no share counts its seconds alone.
    """
    own = [trial.user_attrs for trial in trials if FROM_STUDY not in trial.user_attrs]
    shares = [(attributes.get(SECONDS, 0.0), attributes.get(SHARE, {})) for attributes in own]
    return Cost(
        seconds=sum(seconds for seconds, _ in shares),
        cpu_hours=sum(seconds * share.get("cpus", 0.0) for seconds, share in shares) / _HOUR,
        gpu_hours=sum(seconds * share.get("gpus", 0.0) for seconds, share in shares) / _HOUR,
    )
