"""What a run has to decode, cut into chunks: the parts that are done whole or not at all, here or on a cluster.

A chunk is a shard to be: photographs of one cohort split in the order of the table, so that its pixels are written once
and, as a rule, become a shard by taking its name. What is refused leaves the shard smaller.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sepl.data.cohort.cohort import Cohort
from sepl.data.dataset.shards import photographs_per_shard
from sepl.data.imaging.photograph import ImageSpec
from sepl.data.imaging.quality import QualityThresholds
from sepl.data.patients.splits import COHORT_SPLITS
from sepl.data.preparation.sources import Picture, digest_of
from sepl.storage import Location


@dataclass(frozen=True)
class ChunkJob:
    """Photographs to decode together."""

    key: str
    """Digest of all that decides the result."""
    images_uri: str
    work_uri: str
    spec: ImageSpec
    quality: QualityThresholds
    pictures: tuple[Picture, ...]


def slots_of(cohort_splits: NDArray[np.str_], image_size: int) -> NDArray[np.int64]:
    """(N,) the shard that each photograph belongs in: a number that is lower for the earlier of `COHORT_SPLITS`, and
    within for the earlier rows.
    """
    slot_N = np.empty(len(cohort_splits), np.int64)
    most, first = photographs_per_shard(image_size), 0
    for name in COHORT_SPLITS:
        of_split = np.flatnonzero(cohort_splits == name)
        slot_N[of_split] = first + np.arange(len(of_split)) // most
        first += -(-len(of_split) // most)
    return slot_N


def cut_into_chunks(
    cohort: Cohort,
    pictures: Sequence[Picture],
    sources: Sequence[str],
    wanted: NDArray[np.int64],
    slot_N: NDArray[np.int64],
    spec: ImageSpec,
    work: Location,
) -> tuple[list[ChunkJob], list[NDArray[np.int64]]]:
    """The wanted photographs (indices, ascending), a chunk for those of each shard; and which are in which."""
    stated = [spec.model_dump(mode="json"), cohort.quality.model_dump(mode="json")]
    wanted = wanted[np.argsort(slot_N[wanted], kind="stable")]
    members = np.split(wanted, np.flatnonzero(np.diff(slot_N[wanted])) + 1) if len(wanted) else []
    jobs = [
        ChunkJob(
            key=digest_of([stated, [sources[index] for index in part.tolist()]]),
            images_uri=cohort.images_folder.uri,
            work_uri=work.uri,
            spec=spec,
            quality=cohort.quality,
            pictures=tuple(pictures[index] for index in part.tolist()),
        )
        for part in members
    ]
    return jobs, members
