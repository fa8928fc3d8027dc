"""How a winner is chosen is what the search was asked for."""

from sepl.tuning.selection.rules import SelectionRules
from sepl.tuning.settings import StudySettings


def test_rules_are_the_options_of_the_search() -> None:
    asked = {"data": "d", "space": "s", "storage": "r", "study": "n"}
    more = {"finalists": 4, "finalist_seeds": 2, "compare": True, "ensemble": 6}

    rules = SelectionRules.of(StudySettings.parse({**asked, **more}, "options"))

    assert rules == SelectionRules(finalists=4, finalist_seeds=2, compare=True, ensemble=6)


def test_without_any_the_first_of_the_search_wins() -> None:
    assert SelectionRules().finalists == 1
    assert SelectionRules().ensemble == 0
