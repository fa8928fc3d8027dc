"""The options of a search as they are typed."""

from typing import Any, get_args

import pytest
import tyro

from sepl.errors import ConfigError
from sepl.tuning.search.schedulers.build import SchedulerName
from sepl.tuning.settings import StudySettings

NEEDED = ["--data", "d", "--space", "s", "--storage", "r", "--study", "n"]


def typed(*options: str) -> StudySettings:
    return tyro.cli(StudySettings, args=[*NEEDED, *options])


@pytest.mark.parametrize(("text", "grace_epochs"), [("3", 3), ("auto", "auto")])
def test_the_first_rung_is_a_number_or_auto(text: str, grace_epochs: Any) -> None:
    assert typed("--grace-epochs", text).grace_epochs == grace_epochs


def test_every_scheduler_that_there_is_can_be_asked_for() -> None:
    assert [typed("--scheduler", name).scheduler for name in get_args(SchedulerName)] == list(get_args(SchedulerName))


def test_an_unknown_scheduler_is_refused() -> None:
    with pytest.raises(ConfigError, match="scheduler"):
        StudySettings.parse(
            {"data": "d", "space": "s", "storage": "r", "study": "n", "scheduler": "hyperband"}, "options"
        )
