"""The fourth stage: the shards of the photographs that were kept, each in its place."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sepl.data.dataset.shards import Pixels, Shard
from sepl.data.preparation.judge import Verdicts
from sepl.data.preparation.output import Output
from sepl.data.preparation.plan import Plan
from sepl.data.preparation.shard_jobs import assemble_shard, group_into_shards, plan_shard
from sepl.data.preparation.tables import Placement
from sepl.execution.executor import Executor
from sepl.execution.progress import progress


@dataclass(frozen=True, eq=False)
class Assembly:
    """The photographs in the order of the dataset, and its shards."""

    placement: Placement
    shards: tuple[Shard, ...]


def assemble_photographs(
    plan: Plan, verdicts: Verdicts, files: Mapping[str, Pixels], output: Output, executor: Executor
) -> Assembly:
    """Puts the shards of the kept photographs in their place; `files` are those in which pixels stand, by URI."""
    facts = verdicts.facts
    chosen = facts.usable
    splits, table = verdicts.cohort_splits[chosen], facts.take(chosen).table
    uris, rows = table["file"].to_pylist(), table["row"].to_numpy()
    groups = group_into_shards(splits, plan.slot_N[chosen], plan.planned[chosen], plan.spec.size)
    out, work = output.shards, output.work
    jobs = [
        plan_shard(
            index, str(splits[group[0]]), [uris[i] for i in group], rows[group], plan.spec.size, out, work, files
        )
        for index, group in enumerate(groups)
    ]
    shards: dict[int, Shard] = {}
    with progress(len(jobs), "writing shards") as advance:
        for index, shard in executor.map(assemble_shard, jobs):
            shards[index] = shard
            advance(1)
    in_order = np.concatenate(groups)
    placement = Placement(
        indices=chosen[in_order],
        cohort_splits=splits[in_order],
        shards=[shards[job.index].file for job in jobs for _ in job.row_N],
        rows=np.concatenate([np.arange(len(job.row_N), dtype=np.int32) for job in jobs]),
    )
    return Assembly(placement, tuple(shards[job.index] for job in jobs))
