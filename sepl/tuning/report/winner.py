"""What a report says of how the winner was found, for whom it is good, and how often its patients were read."""

from markupsafe import Markup

from sepl.bundle.ledger import Ledger
from sepl.bundle.skills import SUBGROUP_HEADER, subgroup_rows
from sepl.metrics import Evaluation
from sepl.metrics.subgroups import LEAST
from sepl.reports import page as html
from sepl.reports.numbers import ABSENT, figure
from sepl.tuning.record.record import StudyFolder, StudyRecord
from sepl.tuning.results.finalists import Standing, read_verdict


def finalists_section(folder: StudyFolder) -> Markup:
    """The re-runs; nothing where none were made."""
    verdict = read_verdict(folder.location)
    if verdict is None:
        return Markup()
    heading = (
        *("configuration", "in the search", "mean", "standard error", "mean − error"),
        *(f"fold {fold}" for fold in range(verdict.num_folds)),
    )
    rows = [_cells(standing) for standing in (*verdict.standings, *verdict.comparisons)]
    note = (
        "The best of the search trained again, each time with another seed, and validated on folds of the train and "
        "validation patients that are the same for all: mean skill. The winner has the highest mean less its standard "
        "error; what it is compared with has its backbone and budget."
    )
    return html.section(
        "Who won, trained again", html.paragraph(f"{verdict.told()}."), html.table(heading, rows), note=note
    )


def _cells(standing: Standing) -> list[str]:
    score = None if standing.mean is None else standing.score
    return [
        standing.label,
        figure(standing.search_skill),
        figure(standing.mean),
        figure(standing.standard_error),
        figure(score),
        *(ABSENT if skill is None else figure(skill) for skill in standing.skills),
    ]


def subgroups_section(evaluation: Evaluation | None) -> Markup:
    """Mean skill by group; nothing where nothing tells patients apart."""
    if evaluation is None or not evaluation.subgroups:
        return Markup()
    note = (
        f"{evaluation.cohort_split} patients; 95 % patient-bootstrap intervals; against the same median predictor, so "
        f"that a group of whom it is easy to tell scores higher. Of fewer than {LEAST} patients nothing is said; skill "
        "of every task stands in evaluation.json."
    )
    table = html.table(SUBGROUP_HEADER, subgroup_rows(evaluation), num_text_columns=2)
    return html.section("For whom it is good", table, note=note)


def readings_told(folder: StudyFolder, record: StudyRecord) -> Markup:
    """How often the sealed patients were read until now, by all studies of the storage; nothing when nobody did."""
    told = Ledger(folder.registry).count(record.fingerprint).told()
    again = folder.unsealing(record.fingerprint).num_readings() > 1
    if again:
        told += " This study read them more than once: they are sealed no more, and its figures may flatter."
    return html.paragraph(told) if told else Markup()
