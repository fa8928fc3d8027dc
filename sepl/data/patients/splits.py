"""Which patients train, validate, calibrate and test.

Who is tested is decided by a fixed hash of the patient's id, whatever the seed, so that a patient once sealed stays
sealed; the seed deals the others out. Without options and links a patient's cohort split depends on the patient's id
(and, outside the test split, on the seed) alone: it stays when patients are added.

Patients who share a photograph are one group, and a group is never divided.
"""

import hashlib
from collections.abc import Collection, Iterator, Sequence
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BeforeValidator, field_validator
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from sepl.data.patients.index import labels_per_patient
from sepl.data.patients.strata import take_share
from sepl.errors import CohortError
from sepl.settings import Settings
from sepl.tasks import Task, TaskTable

COHORT_SPLITS = ("train", "validation", "calibration", "test")
COHORT_FRACTIONS = {"train": 0.65, "validation": 0.10, "calibration": 0.05, "test": 0.20}
"""Expected share of the patients in each; a small cohort departs from it by chance."""

_TEST_SALT = "sepl sealed test 270"
"""Never to be changed: it says who is tested, in every cohort and in every version. Of 300 salts tried, the one whose
share is nearest the promised one in small cohorts of patients numbered in the usual ways (1, 001, P0001 …)."""

_MOST_NAMED = 12
"""Choices that an error lists."""


def _listed_alone(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Names = Annotated[tuple[str, ...], BeforeValidator(_listed_alone)]
"""One name may stand alone."""


class SplitOptions(Settings):
    """The `[split]` section of a cohort file."""

    stratify_by: Names = ()
    """'site', 'camera' or names of binary or graded tasks: every cohort split then has its share of each of their
    values. A patient new to such a cohort may move others between the splits, but nobody out of the test split."""
    external_test_sites: Names = ()
    """Sites whose patients are all tested, beside the usual share of every other site."""

    @field_validator("stratify_by", "external_test_sites")
    @classmethod
    def _names_differ(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"should name each once, had {', '.join(twice)} twice")
        return names


def assign_cohort_splits(
    patients: Sequence[str],
    *,
    seed: int,
    options: SplitOptions | None = None,
    links: Sequence[tuple[int, int]] = (),
    sites: Sequence[str] | None = None,
    cameras: Sequence[str] | None = None,
    labels_NT: NDArray[np.float64] | None = None,
    tasks: TaskTable | None = None,
    sealed: Collection[str] = (),
    keys: Sequence[str] = (),
) -> NDArray[np.str_]:
    """The cohort split of each photograph (N,).

    Args:
        patients: Patient of each photograph (N,). Give the ids as the cohort has them: pseudonyms change with the key.
        seed: Deals out those who are not tested.
        options: Stratification and external test sites, none unless given.
        links: Pairs of photographs that show the same picture; their patients, and those linked to these, stay
            together. With a tested or sealed patient among them all are tested.
        sites: Of each photograph (N,), "" where unknown; for `options`, as are the next three.
        cameras: Of each photograph (N,).
        labels_NT: Labels in the order of `tasks`, NaN where absent. A patient is 1 in a binary task when any of the
            photographs is, and has the worst grade of an ordinal one.
        tasks: The cohort's.
        sealed: Patients who were tested before; they are tested again, whatever the options.
        keys: Of each photograph (N,) what decides by chance in place of its patient's id, the same for all of a
            patient's; empty: the id. Patients of several cohorts keep the splits that they have in their own.

    Raises CohortError when the options name something that the cohort does not have.
    """
    options = options or SplitOptions()
    ids, patient_N = _number(patients)
    group_P = _groups(patient_N, links, len(ids))
    sealed = frozenset(sealed)
    held_G = _any_in(group_P, np.array([patient in sealed for patient in ids], bool))
    if options.external_test_sites:
        held_G |= _any_in(group_P[patient_N], _is_external(options.external_test_sites, sites, len(patients)))
    chance_G, dealt_G = _positions(_keys(ids, patient_N, keys), group_P, seed)
    if options.stratify_by:
        strata_G = _strata(options.stratify_by, group_P[patient_N], sites, cameras, labels_NT, tasks)
        split_G = _deal_in_strata(strata_G, np.bincount(group_P), chance_G, dealt_G, held_G)
    else:
        split_G = _deal(chance_G, dealt_G, held_G)
    return np.array(COHORT_SPLITS)[split_G[group_P[patient_N]]]


def _deal(chance_G: NDArray[np.float64], dealt_G: NDArray[np.float64], held_G: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Index into COHORT_SPLITS of each group by its own two positions: independent of every other group."""
    shares = [COHORT_FRACTIONS[name] / (1 - COHORT_FRACTIONS["test"]) for name in COHORT_SPLITS[:-1]]
    edges = np.cumsum(shares)[:-1]
    tested_G = held_G | (chance_G < COHORT_FRACTIONS["test"])
    return np.where(tested_G, COHORT_SPLITS.index("test"), np.searchsorted(edges, dealt_G, side="right"))


def _deal_in_strata(
    strata_G: NDArray[np.int64],
    sizes_G: NDArray[np.int64],
    chance_G: NDArray[np.float64],
    dealt_G: NDArray[np.float64],
    held_G: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """As `_deal`, but each stratum gives its share: to the test split, then of the rest to the others."""
    split_G = np.full(len(strata_G), COHORT_SPLITS.index("train"))
    tested_G = take_share(COHORT_FRACTIONS["test"], strata_G, sizes_G, chance_G, held_G)
    split_G[tested_G] = COHORT_SPLITS.index("test")
    rest, left = np.flatnonzero(~tested_G), 1 - COHORT_FRACTIONS["test"]
    for name in ("calibration", "validation"):
        nobody = np.zeros(len(rest), bool)
        taken = take_share(COHORT_FRACTIONS[name] / left, strata_G[rest], sizes_G[rest], dealt_G[rest], nobody)
        split_G[rest[taken]] = COHORT_SPLITS.index(name)
        rest, left = rest[~taken], left - COHORT_FRACTIONS[name]
    return split_G


def _number(texts: Sequence[str]) -> tuple[list[str], NDArray[np.int64]]:
    """The different texts by first appearance, and the number of each entry's. (NumPy's strings lose a final NUL.)"""
    numbers: dict[str, int] = {}
    number_N = np.fromiter((numbers.setdefault(text, len(numbers)) for text in texts), np.int64, len(texts))
    return list(numbers), number_N


def _keys(ids: list[str], patient_N: NDArray[np.int64], keys: Sequence[str]) -> list[str]:
    """(P,) by each patient's first photograph."""
    if not len(keys):
        return ids
    first_P = np.unique(patient_N, return_index=True)[1]
    return [str(keys[index]) for index in first_P.tolist()]


def _groups(patient_N: NDArray[np.int64], links: Sequence[tuple[int, int]], num_patients: int) -> NDArray[np.int64]:
    """(P,) the group of each patient: patients joined by links, directly or through others."""
    if not len(links):
        return np.arange(num_patients)
    ends_L2 = patient_N[np.asarray(links, np.int64).reshape(-1, 2)]
    joined = coo_array((np.ones(len(ends_L2), np.int8), (ends_L2[:, 0], ends_L2[:, 1])), (num_patients, num_patients))
    return connected_components(joined, directed=False)[1].astype(np.int64)


def _positions(keys: list[str], group_P: NDArray[np.int64], seed: int) -> tuple[NDArray, NDArray]:
    """(G,) twice: the fixed position that decides on testing, and the seeded one that deals out the others.

    A group has the lowest fixed position of its patients, so that one who is tested alone is tested in any group; its
    seeded position is that of the same patient.
    """
    fixed_P = np.array([_position(f"{_TEST_SALT}:{patient}") for patient in keys], np.float64)
    order_P = np.lexsort((fixed_P, group_P))
    first_G = order_P[np.searchsorted(group_P[order_P], np.arange(group_P.max(initial=-1) + 1))]
    seeded_G = np.array([_position(f"{seed}:{keys[patient]}") for patient in first_G], np.float64)
    return fixed_P[first_G], seeded_G


def _position(text: str) -> float:
    """A number in [0, 1), uniform over texts."""
    digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53  # 53 bits: what a float keeps, so that 1 is not reached


def _any_in(group_N: NDArray[np.int64], holds_N: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(G,) whether it holds for any entry of the group."""
    return np.bincount(group_N, weights=holds_N) > 0


def _is_external(wanted: tuple[str, ...], sites: Sequence[str] | None, num_photographs: int) -> NDArray[np.bool_]:
    known = {site for site in sites or () if site}
    unknown = [site for site in wanted if site not in known]
    if unknown:
        found = _listed(sorted(known)) if known else "the cohort names no site"
        raise CohortError(f"split.external_test_sites: no photograph is from {', '.join(unknown)} ({found})")
    return np.fromiter((site in wanted for site in sites or ()), bool, num_photographs)


def _strata(
    names: tuple[str, ...],
    group_N: NDArray[np.int64],
    sites: Sequence[str] | None,
    cameras: Sequence[str] | None,
    labels_NT: NDArray[np.float64] | None,
    tasks: TaskTable | None,
) -> NDArray[np.int64]:
    """(G,) a number for each combination of values of the named attributes."""
    strata = [task.name for task in tasks or () if task.kind != "regression"]
    keys: list[Iterator[str]] = []
    for name in names:
        values = {"site": sites, "camera": cameras}.get(name)
        if values is not None and any(values):
            keys.append(_usual_text(group_N, values))
        elif name in strata and tasks is not None and labels_NT is not None:
            keys.append(_outcome(group_N, labels_NT[:, tasks.index(name)], tasks[name]))
        else:
            has = [kind for kind, texts in (("site", sites), ("camera", cameras)) if texts is not None and any(texts)]
            raise CohortError(
                f"split.stratify_by should name what the cohort has of site, camera and binary or graded tasks "
                f"({_listed([*has, *strata])}), was {name!r}"
            )
    return _number(["\x1f".join(values) for values in zip(*keys, strict=True)])[1]


def _usual_text(group_N: NDArray[np.int64], texts: Sequence[str]) -> Iterator[str]:
    """Of each group the most frequent text, the first by name among equals."""
    names = sorted(set(texts))
    rank_of = {name: rank for rank, name in enumerate(names)}
    ranks_N = np.fromiter((rank_of[text] for text in texts), np.int64, len(texts))
    pairs, counts = np.unique(group_N * len(names) + ranks_N, return_counts=True)
    groups, ranks = np.divmod(pairs, len(names))
    order = np.lexsort((ranks, -counts, groups))
    first_G = order[np.searchsorted(groups, np.arange(group_N.max(initial=-1) + 1))]
    return (names[rank] for rank in ranks[first_G])


def _outcome(group_N: NDArray[np.int64], labels_N: NDArray[np.float64], task: Task) -> Iterator[str]:
    """Of each group "1" when any photograph is, else "0" when any is, else ""; of a graded task its level's place."""
    if task.is_graded:
        worst = task if task.kind == "categorical" else task.model_copy(update={"patient": "worst"})
        levels_G = labels_per_patient(labels_N[:, None], group_N, [worst])[:, 0]
        return (f"{level:g}" if np.isfinite(level) else "" for level in levels_G)
    ones_G, zeros_G = _any_in(group_N, labels_N >= 0.5), _any_in(group_N, labels_N < 0.5)
    return ("1" if one else "0" if zero else "" for one, zero in zip(ones_G, zeros_G, strict=True))


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:_MOST_NAMED]) or "none"
    return shown + (f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else "")
