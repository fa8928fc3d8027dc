"""Studies as a table for the terminal."""

from collections.abc import Iterable

from rich.table import Table

from sepl.errors import SeplError
from sepl.reports.numbers import ABSENT, figure
from sepl.tuning.studies.overview import Overview, describe_cost, describe_counts


def studies_table(studies: Iterable[Overview | tuple[str, SeplError]]) -> Table:
    """A row a study; of one that cannot be read, why."""
    table = Table()
    for name in ("study", "state", "trials", "seconds", "cost", "best skill", "bundle", "held by"):
        table.add_column(name, overflow="fold", justify="right" if name in ("seconds", "best skill") else "left")
    for study in studies:
        if isinstance(study, Overview):
            table.add_row(*_cells(study))
        else:
            table.add_row(study[0], "unreadable", str(study[1]))
    return table


def _cells(study: Overview) -> tuple[str, ...]:
    return (
        study.name,
        study.state,
        describe_counts(study.board) + (f", {study.num_taken_over} taken over" if study.num_taken_over else ""),
        f"{study.cost.seconds:.0f}",
        describe_cost(study.cost) if study.cost.hours else ABSENT,
        figure(study.best_skill),
        study.bundle_id or ABSENT,
        study.holder or ABSENT,
    )
