"""The third stage: which photographs show the same picture, and the cohort split of each once that is known."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sepl.data.cohort.cohort import Cohort, Finding
from sepl.data.cohort.findings import Findings
from sepl.data.patients.sealed import SealedPatients
from sepl.data.patients.splits import COHORT_SPLITS
from sepl.data.preparation.duplicates import find_duplicates
from sepl.data.preparation.facts import Facts
from sepl.data.preparation.splits import split_photographs
from sepl.errors import CohortError


@dataclass(frozen=True, eq=False)
class Verdicts:
    """All photographs (N) with their verdicts."""

    facts: Facts
    cohort_splits: NDArray[np.str_]
    findings: Sequence[Finding]
    """The cohort's, then those of the pictures."""


def judge_photographs(cohort: Cohort, facts: Facts, seed: int, sealed: SealedPatients) -> Verdicts:
    """Raises CohortError when no photograph is kept, of all or of a cohort split."""
    if not len(facts.usable):
        raise CohortError(
            f"{cohort.source}: no usable row, none of {len(facts.refusals)} photographs could be used; "
            f"the first, of {cohort.row_name(0)}: {facts.refusals[0]}"
        )
    findings = Findings()
    findings.add(*cohort.findings)
    links = _same_pictures(cohort, facts, findings)
    cohort_splits = split_photographs(cohort, seed, sealed, links)
    _check_none_is_lost(cohort, facts, cohort_splits)
    return Verdicts(facts, cohort_splits, findings.all())


def _check_none_is_lost(cohort: Cohort, facts: Facts, cohort_splits: NDArray[np.str_]) -> None:
    """A cohort split that was dealt photographs keeps some: without it nothing can be calibrated, say, or tested."""
    for name in COHORT_SPLITS:
        dealt = np.flatnonzero(cohort_splits == name)
        if len(dealt) and not np.isin(dealt, facts.usable).any():
            raise CohortError(
                f"{cohort.source}: none of the {len(dealt)} photographs of the {name} patients could be used; "
                f"the first, of {cohort.row_name(dealt[0])}: {facts.refusals[dealt[0]]}"
            )


def _same_pictures(cohort: Cohort, facts: Facts, findings: Findings) -> list[tuple[int, int]]:
    """Pairs of photographs (indices into the cohort) that show the same picture; each is noted."""
    chosen = facts.usable
    table = facts.take(chosen).table
    signatures_NC = np.frombuffer(b"".join(table["signature"].to_pylist()), np.int8).reshape(len(chosen), -1)
    links: list[tuple[int, int]] = []
    same = find_duplicates(table["sha256"].to_pylist(), table["perceptual"].to_numpy(), signatures_NC)
    for first, second, kind in same:
        one, other = int(chosen[first]), int(chosen[second])
        links.append((one, other))
        whose = "another patient" if cohort.patients[one] != cohort.patients[other] else "the same patient"
        where = cohort.parts[other] if cohort.parts else ""
        findings.note(
            f"{kind} of {whose}", int(cohort.rows[other]), "", f"the picture of {cohort.row_name(one)}", where
        )
    return links
