"""From a cohort to a published prepared dataset: every photograph is decoded exactly once.

    plan (what is not known yet) → chunks (decoded) → verdicts, duplicates, cohort splits → shards → publication

All that is written is decided by the cohort and its order, so any number of workers, a cluster, or a run that was
killed and begun again gives the same bytes. In memory are a chunk a worker and a few hundred bytes a photograph.
"""

import hashlib
import json
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from sepl.data.assemble import assemble_shard, group_into_shards, plan_shard
from sepl.data.chunks import NOT_OPENED, ChunkJob, decode_chunk, decoded_keys, read_chunk
from sepl.data.cohort import Cohort, Finding
from sepl.data.duplicates import find_duplicates
from sepl.data.facts import Facts, Sources, join_facts, write_sources
from sepl.data.images import ImageSpec
from sepl.data.lock import Hold, hold
from sepl.data.parallel import Executor, LocalExecutor
from sepl.data.patients import index_patients, mean_per_patient
from sepl.data.plan import cut_into_chunks, find_sources, pictures_of, slots_of
from sepl.data.prepare_report import write_prepare_report
from sepl.data.prepared import FINDINGS_FILE, LABELS_FILE, REJECTED_FILE, Manifest
from sepl.data.privacy import KEY_FILE, Pseudonyms
from sepl.data.progress import progress
from sepl.data.publish import Output, sources_file
from sepl.data.quality import judge
from sepl.data.records import Kept, Rejected, fingerprint_of, write_findings, write_labels, write_rejected
from sepl.data.scaling import LabelScaler
from sepl.data.sealed import SEALED_FILE, SealedPatients
from sepl.data.shards import Pixels, Shard, read_pixels
from sepl.data.splits import COHORT_SPLITS, assign_cohort_splits
from sepl.data.thumbnails import encode_thumbnail, first_of_each
from sepl.errors import CohortError
from sepl.storage import resolve, sha256_of_file


@dataclass(frozen=True)
class PrepareSummary:
    """What preparing a cohort gave."""

    manifest: Manifest
    rejected: dict[str, int]
    """Photographs by reason, most frequent first."""
    findings: dict[str, int]
    """What else was noticed, by kind, most frequent first."""
    missing: dict[str, float]
    """Share of the kept photographs without a label, by task."""
    typical: dict[str, float]
    """Median of a regression task in its unit, share of ones of a binary task, over the kept photographs."""
    num_decoded: int
    """Photographs that this run decoded; the others were known from a run before."""
    unchanged: bool
    """The dataset stood there already, and nothing was written."""
    seconds: float
    photographs_per_second: float


@dataclass(frozen=True, eq=False)
class Plan:
    """What was laid down before anything was decoded, and the files of pixels that there are now."""

    sources: Sequence[str]
    inputs: str
    planned: NDArray[np.str_]
    """(N,) cohort splits as they are without copies between patients."""
    slot_N: NDArray[np.int64]
    whole: dict[str, Pixels]


@dataclass(frozen=True, eq=False)
class _Run:
    """What stays the same during one preparation."""

    cohort: Cohort
    spec: ImageSpec
    seed: int
    pseudonyms: Pseudonyms
    sealed: SealedPatients
    executor: Executor
    output: Output
    held: Hold


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
        run = _Run(cohort, spec, seed, pseudonyms, sealed, working, output, held)
        summary = _prepare(run)
    seconds = time.monotonic() - start
    return replace(summary, seconds=seconds, photographs_per_second=len(cohort.images) / seconds)


def _prepare(run: _Run) -> PrepareSummary:
    planned = _split(run, ())
    _fit_scaler(run.cohort, np.flatnonzero(planned == "train"))  # told before hours of decoding
    pictures = pictures_of(run.cohort)
    sources = find_sources(run.cohort, pictures, run.pseudonyms)
    remembered = run.output.sources()
    known_N = _known(run, sources, remembered)
    before, inputs = run.output.before, _digest_of_inputs(run, sources)
    if before is not None and remembered is not None and remembered.notes == _notes(before, inputs):
        return _summarise(run, before, _facts_before(run, remembered, known_N), 0, unchanged=True)
    run.output.begin()
    slot_N, unknown = slots_of(planned, run.spec.size), np.flatnonzero(known_N < 0)
    chunks, members = cut_into_chunks(run.cohort, pictures, sources, unknown, slot_N, run.spec, run.output.work)
    num_decoded = _decode(run, chunks)
    facts, whole = _gather(run, chunks, members, remembered, known_N)
    manifest = _publish(run, facts, Plan(sources, inputs, planned, slot_N, whole))
    return _summarise(run, manifest, facts, num_decoded, unchanged=False)


def _decode(run: _Run, chunks: list[ChunkJob]) -> int:
    """Does the chunks that are not done; the number of photographs in these."""
    done = decoded_keys(run.output.work)
    jobs = [job for job in chunks if job.key not in done]
    num_photographs = sum(len(job.pictures) for job in jobs)
    if jobs:
        with progress(num_photographs, "preparing photographs") as advance:
            for count in run.executor.map(decode_chunk, jobs):
                advance(count)
    return num_photographs


def _known(run: _Run, sources: Sequence[str], remembered: Sources | None) -> NDArray[np.int64]:
    """(N,) the row of what is remembered of each photograph; −1 where it has to be decoded.

    That is, where nothing is remembered, where a photograph refused before would now be kept or shown, and where a file
    could not be opened.
    """
    if remembered is None:
        return np.full(len(sources), -1, np.int64)
    known_N = remembered.find(sources)
    indices = np.flatnonzero(known_N >= 0)
    facts = remembered.facts.take(known_N[indices])
    reasons = _verdicts(run, facts)
    has_pixels, errors = facts.has_pixels, facts.errors
    has_thumbnail = facts.table["thumbnail"].is_valid().to_numpy()
    undecoded = [bool(error) for error in errors]
    shown = set(first_of_each((i for i, reason in enumerate(reasons) if reason and not undecoded[i]), reasons))
    again = [
        errors[i].startswith(NOT_OPENED)
        or (not reasons[i] and not has_pixels[i])
        or (i in shown and not has_thumbnail[i] and not has_pixels[i])
        for i in range(len(indices))
    ]
    known_N[indices[np.array(again, bool)]] = -1
    return known_N


def _facts_before(run: _Run, remembered: Sources, known_N: NDArray[np.int64]) -> Facts:
    """What is remembered, with the places of pixels as URIs."""
    facts = remembered.facts.take(known_N)
    files = facts.table["file"].to_pylist()
    uris = {file: (run.output.target / file).uri if file else "" for file in set(files)}
    position = facts.table.schema.get_field_index("file")
    return Facts(facts.table.set_column(position, "file", pa.array([uris[file] for file in files], pa.string())))


def _gather(
    run: _Run,
    chunks: list[ChunkJob],
    members: list[NDArray[np.int64]],
    remembered: Sources | None,
    known_N: NDArray[np.int64],
) -> tuple[Facts, dict[str, Pixels]]:
    """Facts of all photographs (N), from the chunks and as remembered, and the files of pixels by URI."""
    parts, whole = [], _standing(run)
    for job in chunks:
        table, pixels = read_chunk(run.output.work, job.key)
        parts.append(table)
        if pixels is not None:
            whole[pixels.uri] = pixels
    known = np.flatnonzero(known_N >= 0)
    if remembered is not None:
        parts.append(_facts_before(run, remembered, known_N[known]).table)
    return join_facts(parts).take(np.argsort(np.concatenate([*members, known]), kind="stable")), whole


def _standing(run: _Run) -> dict[str, Pixels]:
    """The shards of the dataset that stands there, by URI."""
    if run.output.before is None:
        return {}
    places = [(run.output.target / shard.file, shard) for shard in run.output.before.shards]
    return {
        place.uri: Pixels(place.uri, shard.num_photographs, shard.num_bytes, shard.sha256) for place, shard in places
    }


def _verdicts(run: _Run, facts: Facts) -> list[str]:
    """Why each photograph is not kept; "" where it is."""
    pairs = zip(facts.errors, facts.measures(), strict=True)
    return [error or judge(measures, run.cohort.quality) for error, measures in pairs]


def _publish(run: _Run, facts: Facts, plan: Plan) -> Manifest:
    cohort = run.cohort
    reasons = _verdicts(run, facts)
    chosen = np.array([index for index, reason in enumerate(reasons) if not reason], np.int64)
    if not len(chosen):
        run.output.forget()
        raise CohortError(
            f"{cohort.source}: no usable row, none of {len(reasons)} photographs could be used; "
            f"the first, of row {cohort.rows[0]}: {reasons[0]}"
        )
    links, findings = _same_pictures(cohort, facts, chosen)
    splits = _split(run, links)[chosen]
    kept, shards = _assemble(run, facts, plan, chosen, splits)
    thumbnails = _thumbnails(run, facts, reasons)
    rejected = [
        Rejected(index, reason, f"thumbnails/{_thumbnail_name(cohort, index)}" if index in thumbnails else "")
        for index, reason in enumerate(reasons)
        if reason
    ]
    with tempfile.TemporaryDirectory(prefix="sepl-tables-") as folder:
        tables = Path(folder)
        write_labels(tables / LABELS_FILE, cohort, kept, facts, run.pseudonyms)
        write_rejected(tables / REJECTED_FILE, cohort, rejected, run.pseudonyms)
        write_findings(tables / FINDINGS_FILE, [*cohort.findings, *findings])
        _seal(run, kept).write(resolve(tables / SEALED_FILE))
        (tables / "thumbnails").mkdir()
        for index, content in thumbnails.items():
            (tables / "thumbnails" / _thumbnail_name(cohort, index)).write_bytes(content)
        manifest = _manifest(run, tables, kept, shards, len(rejected))
        remembered = _to_remember(facts, kept, thumbnails)
        shown = run.output.shards
        write_prepare_report(tables, manifest=manifest, shards=shown, thresholds=cohort.quality)
        write_sources(tables / sources_file(manifest), plan.sources, remembered, _notes(manifest, plan.inputs))
        run.output.publish(tables, manifest, run.held)
    return manifest


def _same_pictures(
    cohort: Cohort, facts: Facts, chosen: NDArray[np.int64]
) -> tuple[list[tuple[int, int]], list[Finding]]:
    """Pairs of photographs (indices into the cohort) that show the same picture, and what is to be said of them."""
    table = facts.take(chosen).table
    patients = [cohort.patients[index] for index in chosen]
    signatures_NC = np.frombuffer(b"".join(table["signature"].to_pylist()), np.int8).reshape(len(chosen), -1)
    found = find_duplicates(table["sha256"].to_pylist(), table["perceptual"].to_numpy(), patients, signatures_NC)
    links, findings = [], []
    for first, second, kind in found.links:
        one, other = int(chosen[first]), int(chosen[second])
        links.append((one, other))
        whose = "another patient" if cohort.patients[one] != cohort.patients[other] else "the same patient"
        findings.append(
            Finding(f"{kind} of {whose}", int(cohort.rows[other]), "", f"the picture of row {cohort.rows[one]}")
        )
    return links, findings


def _split(run: _Run, links: Sequence[tuple[int, int]]) -> NDArray[np.str_]:
    """(N,) of all photographs, refused ones too: who is tested does not depend on what could be used."""
    cohort = run.cohort
    return assign_cohort_splits(
        cohort.patients,
        seed=run.seed,
        options=cohort.split,
        links=links,
        sites=cohort.sites,
        cameras=cohort.cameras,
        labels_NT=cohort.labels_NT,
        tasks=cohort.tasks,
        sealed=run.sealed.among(cohort.patients),
    )


def _assemble(
    run: _Run, facts: Facts, plan: Plan, chosen: NDArray[np.int64], splits: NDArray[np.str_]
) -> tuple[Kept, tuple[Shard, ...]]:
    """Puts the shards of the kept photographs in their place."""
    table = facts.take(chosen).table
    files, rows = table["file"].to_pylist(), table["row"].to_numpy()
    groups = group_into_shards(splits, plan.slot_N[chosen], plan.planned[chosen], run.spec.size)
    out, work, whole = run.output.shards, run.output.work, plan.whole
    jobs = [
        plan_shard(
            index, str(splits[group[0]]), [files[i] for i in group], rows[group], run.spec.size, out, work, whole
        )
        for index, group in enumerate(groups)
    ]
    shards: dict[int, Shard] = {}
    with progress(len(jobs), "writing shards") as advance:
        for index, shard in run.executor.map(assemble_shard, jobs):
            shards[index] = shard
            advance(1)
    in_order = np.concatenate(groups)
    kept = Kept(
        indices=chosen[in_order],
        cohort_splits=splits[in_order],
        shards=[shards[job.index].file for job in jobs for _ in job.row_N],
        rows=np.concatenate([np.arange(len(job.row_N), dtype=np.int32) for job in jobs]),
    )
    return kept, tuple(shards[job.index] for job in jobs)


def _seal(run: _Run, kept: Kept) -> SealedPatients:
    return run.sealed.with_patients(run.cohort.patients[i] for i in kept.indices[kept.cohort_splits == "test"])


def _thumbnails(run: _Run, facts: Facts, reasons: Sequence[str]) -> dict[int, bytes]:
    """JPEG of the first refused photographs of each reason, by index, as far as they could be decoded."""
    errors = facts.errors
    shown = first_of_each((i for i, reason in enumerate(reasons) if reason and not errors[i]), reasons)
    rows = facts.take(np.array(shown, np.int64)).table.select(["file", "row", "thumbnail"]).to_pylist()
    return {
        index: entry["thumbnail"] or encode_thumbnail(read_pixels(resolve(entry["file"]), run.spec.size)[entry["row"]])
        for index, entry in zip(shown, rows, strict=True)
    }


def _thumbnail_name(cohort: Cohort, index: int) -> str:
    frame = int(cohort.frames[index])
    return f"row-{cohort.rows[index]:06d}{f'-{frame}' if frame else ''}.jpg"


def _manifest(run: _Run, tables: Path, kept: Kept, shards: tuple[Shard, ...], num_rejected: int) -> Manifest:
    cohort = run.cohort
    patients = np.array(cohort.patients)[kept.indices]
    return Manifest(
        name=cohort.name,
        image=run.spec,
        tasks=cohort.tasks,
        scaler=_fit_scaler(cohort, kept.indices[kept.cohort_splits == "train"]),
        shards=shards,
        tables={name: sha256_of_file(tables / name) for name in (LABELS_FILE, REJECTED_FILE, FINDINGS_FILE)},
        num_patients={name: len(set(patients[kept.cohort_splits == name])) for name in COHORT_SPLITS},
        num_photographs={name: int((kept.cohort_splits == name).sum()) for name in COHORT_SPLITS},
        num_rejected=num_rejected,
        seed=run.seed,
        reachable_skill=cohort.reachable_skill,
        fingerprint=fingerprint_of(cohort, run.spec, kept, shards),
    )


def _to_remember(facts: Facts, kept: Kept, thumbnails: dict[int, bytes]) -> Facts:
    """The facts with the published places of the pixels, and the thumbnails of the refused."""
    num = facts.table.num_rows
    files, rows = np.full(num, "", object), np.full(num, -1, np.int32)
    files[kept.indices], rows[kept.indices] = kept.shards, kept.rows
    columns = {
        "file": pa.array(files, pa.string()),
        "row": pa.array(rows, pa.int32()),
        "thumbnail": pa.array([thumbnails.get(index) for index in range(num)], pa.binary()),
    }
    table = facts.table
    for name, values in columns.items():
        table = table.set_column(table.schema.get_field_index(name), table.schema.field(name), values)
    return Facts(table)


def _notes(manifest: Manifest, inputs: str) -> dict[str, str]:
    return {"inputs": inputs, "fingerprint": manifest.fingerprint}


def _digest_of_inputs(run: _Run, sources: Sequence[str]) -> str:
    """SHA-256 over everything that decides what is published."""
    cohort = run.cohort
    content = {
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
        "texts": [cohort.patients, cohort.eyes, cohort.sites, cohort.cameras],
        "findings": [[found.kind, found.table, found.row, found.column, found.detail] for found in cohort.findings],
    }
    digest = hashlib.sha256(np.ascontiguousarray(np.nan_to_num(cohort.labels_NT, nan=np.inf), "<f8").tobytes())
    for part in json.JSONEncoder(sort_keys=True).iterencode(content):
        digest.update(part.encode())
    return digest.hexdigest()


def _fit_scaler(cohort: Cohort, train_indices: NDArray[np.int64]) -> LabelScaler:
    """The scaler of the train patients. Raises CohortError when there are none, or none with a label for a task."""
    patients = [cohort.patients[index] for index in train_indices]
    labels_PT = mean_per_patient(cohort.labels_NT[train_indices], index_patients(patients))
    unlabelled = [task.name for index, task in enumerate(cohort.tasks) if not np.isfinite(labels_PT[:, index]).any()]
    if unlabelled:
        raise CohortError(f"{cohort.source}: no train patient has a label for {', '.join(unlabelled)}")
    return LabelScaler.fit(labels_PT, cohort.tasks)


def _summarise(run: _Run, manifest: Manifest, facts: Facts, num_decoded: int, *, unchanged: bool) -> PrepareSummary:
    tasks = run.cohort.tasks
    reasons = _verdicts(run, facts)
    counts = Counter(reason.partition(":")[0] for reason in reasons if reason)
    labels_KT = run.cohort.labels_NT[[index for index, reason in enumerate(reasons) if not reason]]
    typical_T = np.where(tasks.is_binary, np.nanmean(labels_KT, axis=0), np.nanmedian(labels_KT, axis=0))
    return PrepareSummary(
        manifest=manifest,
        rejected=dict(counts.most_common()),
        findings=dict(Counter(found.kind for found in run.cohort.findings).most_common()),
        missing=dict(zip(tasks.names, np.isnan(labels_KT).mean(axis=0).tolist(), strict=True)),
        typical=dict(zip(tasks.names, typical_T.tolist(), strict=True)),
        num_decoded=num_decoded,
        unchanged=unchanged,
        seconds=0.0,
        photographs_per_second=0.0,
    )
