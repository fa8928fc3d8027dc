"""Schedulers by name."""

from typing import Any, get_args

import pytest

from sepl.errors import ConfigError
from sepl.tuning.search.schedulers.build import SchedulerName, make_scheduler, pauses


@pytest.mark.parametrize("name", get_args(SchedulerName))
@pytest.mark.parametrize("grace_epochs", [1, 2, "auto"])
def test_the_first_rung_of_every_scheduler_is_after_the_warm_up(name: SchedulerName, grace_epochs: Any) -> None:
    scheduler = make_scheduler(name, num_epochs=27, num_trials=9, grace_epochs=grace_epochs, warmup_epochs=2.5)

    assert scheduler.rungs()[0][0] == 3


def test_grace_beyond_the_warm_up_is_kept() -> None:
    scheduler = make_scheduler("asha", num_epochs=27, num_trials=9, grace_epochs=4, warmup_epochs=2.5)

    assert scheduler.rungs()[0][0] == 4


def test_an_unknown_scheduler_is_refused_by_name() -> None:
    name: Any = "hyperband"

    with pytest.raises(ConfigError, match=r"^--scheduler should be one of asha, .*, was 'hyperband'$"):
        make_scheduler(name, num_epochs=9, num_trials=9)


def test_only_plain_asha_pauses_nothing() -> None:
    assert [name for name in get_args(SchedulerName) if not pauses(name)] == ["asha"]
