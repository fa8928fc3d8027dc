"""Schedulers by name, as `--scheduler` and `--grace-epochs` say."""

from typing import Literal, get_args

from sepl.errors import ConfigError
from sepl.tuning.search.schedulers.asha import ASHA
from sepl.tuning.search.schedulers.base import Scheduler
from sepl.tuning.search.schedulers.first_rung import ReliableFirstRung, first_epoch_after_warmup
from sepl.tuning.search.schedulers.pasha import PASHA
from sepl.tuning.search.schedulers.promotion import PromotionASHA
from sepl.tuning.search.schedulers.top_k import TopK

SchedulerName = Literal["asha", "promotion", "pasha", "top_k"]
GraceEpochs = int | Literal["auto"]

_TOP_SHARE = 10  # one trial in ten runs to the end after its first epoch


def make_scheduler(
    name: SchedulerName,
    *,
    num_epochs: int,
    num_trials: int,
    grace_epochs: GraceEpochs = 1,
    warmup_epochs: float = 0.0,
) -> Scheduler:
    """The scheduler of a study of `num_trials` trials of at most `num_epochs`.

    Its first rung is at `grace_epochs`, but never within the `warmup_epochs` of the learning rate. Raises ConfigError.
    """
    if name not in get_args(SchedulerName):
        raise ConfigError(f"--scheduler should be one of {', '.join(get_args(SchedulerName))}, was {name!r}")
    least = first_epoch_after_warmup(num_epochs, warmup_epochs)

    def make(first_rung: int) -> Scheduler:
        match name:
            case "asha":
                return ASHA(num_epochs=num_epochs, grace_epochs=first_rung)
            case "promotion":
                return PromotionASHA(num_epochs=num_epochs, grace_epochs=first_rung)
            case "pasha":
                return PASHA(num_epochs=num_epochs, grace_epochs=first_rung)
            case "top_k":
                num_kept = max(1, num_trials // _TOP_SHARE)
                return TopK(num_epochs=num_epochs, grace_epochs=first_rung, num_kept=num_kept)

    if grace_epochs == "auto":
        return ReliableFirstRung(make, num_epochs=num_epochs, least_epochs=least)
    return make(max(grace_epochs, least))


def pauses(name: SchedulerName) -> bool:
    """Whether its trials may be paused and go on later."""
    return name != "asha"
