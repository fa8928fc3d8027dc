"""What a search may use up beside its trials: hours of GPUs or CPUs, and money; what it has used, and will have used.

Where trials have GPUs the unit is a GPU, else a CPU core: `--gpu-hours` and `--cpu-hours` count hours of one unit, and
`--price-per-hour` is what one unit costs for an hour. Trials pay for the time of their epochs; a machine that stands
idle between them is paid for by its owner and not counted here.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sepl.errors import ConfigError
from sepl.tuning.record.attributes import FROM_STUDY, SECONDS, SHARE
from sepl.tuning.search.budget import Budget, Limit
from sepl.tuning.settings import StudySettings

_HOUR = 3600.0

GPU_SPENT = "the GPU budget is spent"
CPU_SPENT = "the CPU budget is spent"
MONEY_SPENT = "the money is spent"


@dataclass
class Meter:
    """What the trials of a study have used, those of earlier drivers among them."""

    unit: str
    """GPU or CPU."""
    per_trial: float
    """Units that a trial has to itself."""
    unit_seconds: float = 0.0
    price_per_hour: float | None = None
    """Of a unit."""

    def note(self, seconds: float) -> None:
        """A trial has run for so long."""
        self.unit_seconds += self.per_trial * seconds

    @property
    def hours(self) -> float:
        return self.unit_seconds / _HOUR

    def money(self, hours: float) -> float | None:
        """What so many hours of a unit cost; None without a price."""
        return None if self.price_per_hour is None else self.price_per_hour * hours


def make_meter(settings: StudySettings, trials: Iterable[Any], *, cpus: float, gpus: float) -> Meter:
    """Of Optuna's trials so far; one of a version that kept no share had what trials have now."""
    unit, name, per_trial = ("GPU", "gpus", gpus) if gpus else ("CPU", "cpus", cpus)
    own = [trial.user_attrs for trial in trials if FROM_STUDY not in trial.user_attrs]
    spent = sum(kept.get(SECONDS, 0.0) * kept.get(SHARE, {}).get(name, per_trial) for kept in own)
    return Meter(unit, per_trial, spent, settings.price_per_hour)


def limits_of(settings: StudySettings, meter: Meter) -> tuple[Limit, ...]:
    """What is left of each budget. Raises ConfigError for hours of what trials do not have."""
    for option, hours, unit in (("gpu", settings.gpu_hours, "GPU"), ("cpu", settings.cpu_hours, "CPU")):
        if hours is not None and unit != meter.unit:
            where = "there is no GPU" if unit == "GPU" else "trials have GPUs, of which --gpu-hours counts the hours"
            raise ConfigError(f"--{option}-hours should be left out where {where}, was {hours}")
    limits = []
    hours = settings.gpu_hours if meter.unit == "GPU" else settings.cpu_hours
    if hours is not None:
        reason = GPU_SPENT if meter.unit == "GPU" else CPU_SPENT
        limits.append(Limit((hours - meter.hours) * _HOUR, meter.per_trial, reason))
    if settings.max_cost is not None:
        price = settings.price_per_hour or 0.0  # `plan_study` wants one
        limits.append(Limit(settings.max_cost - price * meter.hours, price * meter.per_trial / _HOUR, MONEY_SPENT))
    return tuple(limits)


def make_budget(
    settings: StudySettings, seconds: float | None, trials: Iterable[Any], *, cpus: float, gpus: float
) -> Budget:
    """Of a driver that begins now; `trials` are Optuna's so far. Raises ConfigError as `limits_of`."""
    trials = list(trials)
    meter = make_meter(settings, trials, cpus=cpus, gpus=gpus)
    own = [trial for trial in trials if FROM_STUDY not in trial.user_attrs]
    return Budget(
        seconds=seconds,
        limits=limits_of(settings, meter),
        has_succeeded=any(trial.intermediate_values for trial in own),
        meter=meter,
    )
