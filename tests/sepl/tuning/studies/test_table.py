"""The list of studies as a table."""

import io
from typing import Any

from rich.console import Console

from sepl.errors import StudyError
from sepl.tuning.studies.overview import show_study
from sepl.tuning.studies.table import studies_table


def test_each_study_is_a_row_and_a_broken_one_says_why(made: Any) -> None:
    console = Console(file=(file := io.StringIO()), width=200)

    console.print(studies_table([show_study(made.storage, "made"), ("broken", StudyError("no JSON"))]))

    text = file.getvalue()
    assert "0.300" in text
    assert "0.80 CPU-hours" in text
    assert "no JSON" in next(line for line in text.splitlines() if "broken" in line)
