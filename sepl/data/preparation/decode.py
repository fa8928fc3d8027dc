"""The second stage: the pixels and facts of all photographs, from chunks decoded now and from what was known before."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sepl.data.cohort.cohort import Cohort
from sepl.data.dataset.shards import Pixels
from sepl.data.preparation.chunk_plan import ChunkJob, cut_into_chunks
from sepl.data.preparation.chunks import decode_chunk, decoded_keys, read_chunk
from sepl.data.preparation.facts import Facts, join_facts
from sepl.data.preparation.memory import Memory
from sepl.data.preparation.output import Output
from sepl.data.preparation.plan import Plan
from sepl.execution.executor import Executor
from sepl.execution.progress import progress


@dataclass(frozen=True, eq=False)
class Decoding:
    """All photographs (N) once each has been looked at."""

    facts: Facts
    files: Mapping[str, Pixels]
    """The files in which pixels stand, by URI."""
    num_decoded: int
    """Photographs that this run decoded."""


def decode_photographs(
    cohort: Cohort, plan: Plan, memory: Memory | None, output: Output, executor: Executor
) -> Decoding:
    """Decodes what is not known yet."""
    unknown = memory.unknown if memory is not None else np.arange(len(plan.sources))
    chunks, members = cut_into_chunks(cohort, plan.pictures, plan.sources, unknown, plan.slot_N, plan.spec, output.work)
    num_decoded = _decode(chunks, output, executor)
    facts, files = _gather(output, chunks, members, memory)
    return Decoding(facts, files, num_decoded)


def _decode(chunks: list[ChunkJob], output: Output, executor: Executor) -> int:
    """Does the chunks that are not done; the number of photographs in these."""
    done = decoded_keys(output.work)
    jobs = [job for job in chunks if job.key not in done]
    num_photographs = sum(len(job.pictures) for job in jobs)
    if jobs:
        with progress(num_photographs, "preparing photographs") as advance:
            for count in executor.map(decode_chunk, jobs):
                advance(count)
    return num_photographs


def _gather(
    output: Output, chunks: list[ChunkJob], members: list[NDArray[np.int64]], memory: Memory | None
) -> tuple[Facts, dict[str, Pixels]]:
    """Facts of all photographs (N), from the chunks and from memory, and the files of pixels by URI."""
    tables, order, files = [], list(members), dict(memory.files) if memory is not None else {}
    for job in chunks:
        table, pixels = read_chunk(output.work, job.key)
        tables.append(table)
        if pixels is not None:
            files[pixels.uri] = pixels
    if memory is not None:
        tables.append(memory.of_indices().table)
        order.append(memory.indices)
    return join_facts(tables).take(np.argsort(np.concatenate(order), kind="stable")), files
