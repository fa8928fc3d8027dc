"""From a cohort to a published prepared dataset: every photograph is decoded exactly once.

    plan (what is not known yet) → chunks (decoded) → verdicts, duplicates, cohort splits → shards → publication

All that is written is decided by the cohort and its order, so any number of workers, a cluster, or a run that was
killed and begun again gives the same bytes. In memory are a chunk a worker and a few hundred bytes a photograph.
"""

import hashlib
import json
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sepl.data.cohort.cohort import Cohort
from sepl.data.dataset.dataset import FORMAT
from sepl.data.dataset.shards import Pixels
from sepl.data.imaging.photograph import ImageSpec
from sepl.data.patients.pseudonyms import KEY_FILE, Pseudonyms
from sepl.data.patients.sealed import SEALED_FILE, SealedPatients
from sepl.data.preparation.chunk_plan import ChunkJob, cut_into_chunks, find_sources, pictures_of, slots_of
from sepl.data.preparation.chunks import decode_chunk, decoded_keys, read_chunk
from sepl.data.preparation.facts import Facts, join_facts
from sepl.data.preparation.known import Known, find_known, standing_pixels
from sepl.data.preparation.output import Output
from sepl.data.preparation.results import Plan, notes_of, publish_results
from sepl.data.preparation.run import Run
from sepl.data.preparation.summary import PrepareSummary, summarise
from sepl.execution.executor import Executor, LocalExecutor
from sepl.execution.progress import progress
from sepl.locking import hold
from sepl.storage import resolve


def prepare(
    cohort: Cohort,
    out: str | Path,
    image_size: int,
    *,
    seed: int = 0,
    num_workers: int | None = None,
    keep_patient_ids: bool = False,
    pseudonyms: Pseudonyms | None = None,
    executor: Executor | None = None,
) -> PrepareSummary:
    """Decodes, splits and publishes a cohort at `out`, a local path or a URI.

    Where a dataset of this cohort stands already, only what is new is decoded; with nothing new nothing is written. A
    run that was stopped goes on where it was.

    Args:
        cohort: As `read_cohort` gives it.
        out: A new or empty folder, or a dataset of the same name and image size.
        image_size: Side of the prepared square, in pixels.
        seed: Of the split of the patients who are not tested.
        num_workers: Processes of this machine; one for each core unless given. Not used with an `executor`.
        keep_patient_ids: Patients and images keep their ids and names, which otherwise are pseudonyms.
        pseudonyms: Made with the key beside the cohort file unless given.
        executor: What does the work instead of this machine's processes (`sepl.distributed.prepare`).

    Raises CohortError when nothing can be read or a task has no label in the train split, StorageError when something
    else is at `out` or another run is preparing it; nothing is published then.
    """
    start = time.monotonic()
    size = {"size": image_size, "field_of_view": cohort.field_of_view}
    spec = ImageSpec.parse({**size, "clahe": cohort.clahe, "mirror_left": cohort.mirror_left}, "image size")
    local = LocalExecutor(num_workers)
    pseudonyms = pseudonyms or Pseudonyms.load(cohort.source.with_name(KEY_FILE))
    if keep_patient_ids:
        pseudonyms = pseudonyms.keeping_ids()
    target = resolve(out)
    with hold(target) as held, nullcontext(executor) if executor is not None else local as working:
        output = Output.at(target, cohort.name, spec)
        sealed = SealedPatients.read(target / SEALED_FILE, pseudonyms)
        return _prepare(Run(cohort, spec, seed, pseudonyms, sealed, working, output, held), start)


def _prepare(run: Run, start: float) -> PrepareSummary:
    planned = run.split()
    run.fit_scaler(np.flatnonzero(planned == "train"))  # a task without labels is told before hours of decoding
    pictures = pictures_of(run.cohort)
    sources = find_sources(run.cohort, pictures, run.pseudonyms)
    plan = Plan(sources, _digest_of_inputs(run, sources), planned, slots_of(planned, run.spec.size))
    known = find_known(run.output, sources, run.cohort.quality)
    if known is not None and _is_published(run, known, plan):
        assert run.output.before is not None
        run.output.forget()  # of a run that was killed as it tidied up
        return summarise(run, run.output.before, known.of_indices(), 0, start, unchanged=True)
    run.output.begin()
    unknown = known.unknown if known is not None else np.arange(len(sources))
    chunks, members = cut_into_chunks(run.cohort, pictures, sources, unknown, plan.slot_N, run.spec, run.output.work)
    num_decoded = _decode(run, chunks)
    facts, whole = _gather(run, chunks, members, known)
    manifest = publish_results(run, facts, whole, plan)
    return summarise(run, manifest, facts, num_decoded, start, unchanged=False)


def _is_published(run: Run, known: Known, plan: Plan) -> bool:
    before = run.output.before
    return before is not None and not len(known.unknown) and known.notes == notes_of(before, plan.inputs)


def _decode(run: Run, chunks: list[ChunkJob]) -> int:
    """Does the chunks that are not done; the number of photographs in these."""
    done = decoded_keys(run.output.work)
    jobs = [job for job in chunks if job.key not in done]
    num_photographs = sum(len(job.pictures) for job in jobs)
    if jobs:
        with progress(num_photographs, "preparing photographs") as advance:
            for count in run.executor.map(decode_chunk, jobs):
                advance(count)
    return num_photographs


def _gather(
    run: Run, chunks: list[ChunkJob], members: list[NDArray[np.int64]], known: Known | None
) -> tuple[Facts, dict[str, Pixels]]:
    """Facts of all photographs (N), from the chunks and as known before, and the files of pixels by URI."""
    tables, order, whole = [], list(members), standing_pixels(run.output)
    for job in chunks:
        table, pixels = read_chunk(run.output.work, job.key)
        tables.append(table)
        if pixels is not None:
            whole[pixels.uri] = pixels
    if known is not None:
        tables.append(known.of_indices().table)
        order.append(known.indices)
    return join_facts(tables).take(np.argsort(np.concatenate(order), kind="stable")), whole


def _digest_of_inputs(run: Run, sources: Sequence[str]) -> str:
    """SHA-256 over everything that decides what is published."""
    cohort = run.cohort
    content = {
        "format": FORMAT,
        "name": cohort.name,
        "image": run.spec.model_dump(mode="json"),
        "tasks": cohort.tasks.model_dump(mode="json"),
        "reachable_skill": cohort.reachable_skill,
        "seed": run.seed,
        "split": cohort.split.model_dump(mode="json"),
        "quality": cohort.quality.model_dump(mode="json"),
        "key": run.pseudonyms.of("key", "patient"),
        "sources": sources,
        "rows": cohort.rows.tolist(),
        "texts": [cohort.patients, cohort.eyes, cohort.visits, cohort.sites, cohort.cameras],
        "findings": [[found.kind, found.table, found.row, found.column, found.detail] for found in cohort.findings],
    }
    digest = hashlib.sha256(np.ascontiguousarray(np.nan_to_num(cohort.labels_NT, nan=np.inf), "<f8").tobytes())
    for part in json.JSONEncoder(sort_keys=True).iterencode(content):
        digest.update(part.encode())
    return digest.hexdigest()
