"""From a cohort to a published prepared dataset: every photograph is decoded exactly once.

    plan → decode (what is not known yet) → judge (duplicates, cohort splits) → assemble (shards) → write → publish

All that is written is decided by the cohort and its order, so any number of workers, a cluster, or a run that was
killed and begun again gives the same bytes. In memory are a chunk a worker and a few hundred bytes a photograph.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory

from sepl.data.cohort.cohort import Cohort
from sepl.data.dataset.dataset import Manifest
from sepl.data.imaging.photograph import ImageSpec
from sepl.data.patients.pseudonyms import KEY_FILE, Pseudonyms
from sepl.data.patients.sealed import SEALED_FILE, SealedPatients
from sepl.data.preparation.assemble import assemble_photographs
from sepl.data.preparation.decode import Decoding, decode_photographs
from sepl.data.preparation.judge import judge_photographs
from sepl.data.preparation.memory import Memory, recall, remember_attempt
from sepl.data.preparation.output import Output
from sepl.data.preparation.plan import Plan, plan_preparation
from sepl.data.preparation.summary import PrepareSummary, summarise
from sepl.data.preparation.write import write_dataset
from sepl.errors import CohortError
from sepl.execution.executor import Executor, LocalExecutor
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
        plan = plan_preparation(cohort, spec, seed, pseudonyms, sealed)
        memory = recall(output, plan.sources, spec, cohort.quality)
        if memory is not None and output.before is not None and _is_published(output.before, memory, plan):
            output.forget()  # of a run that was killed as it tidied up
            facts = memory.of_indices()
            return summarise(cohort, target, output.before, facts, 0, start, unchanged=True)
        output.begin()
        decoding = decode_photographs(cohort, plan, memory, output, working)
        with _remembering(output, plan, decoding), TemporaryDirectory(prefix="sepl-tables-") as folder:
            verdicts = judge_photographs(cohort, decoding.facts, seed, sealed)
            assembly = assemble_photographs(plan, verdicts, decoding.files, output, working)
            tables = Path(folder)
            manifest = write_dataset(
                tables, output.shards, cohort, plan, verdicts, assembly, seed=seed, pseudonyms=pseudonyms, sealed=sealed
            )
            output.publish(tables, manifest, held)
        return summarise(cohort, target, manifest, verdicts.facts, decoding.num_decoded, start, unchanged=False)


def _is_published(before: Manifest, memory: Memory, plan: Plan) -> bool:
    return not len(memory.unknown) and memory.notes == plan.notes(before)


@contextmanager
def _remembering(output: Output, plan: Plan, decoding: Decoding) -> Iterator[None]:
    """Of a cohort that cannot become a dataset, what was decoded is kept for a run after it is mended."""
    try:
        yield
    except CohortError:
        if decoding.facts.has_pixels.any():
            remember_attempt(output, plan.sources, plan.spec, decoding.facts, decoding.files)
        else:
            output.forget()
        raise
