"""From the facts of all photographs to the files of the dataset."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sepl.data.cohort.cohort import Finding
from sepl.data.dataset.dataset import FINDINGS_FILE, LABELS_FILE, REJECTED_FILE, Manifest
from sepl.data.dataset.shards import Pixels, Shard, read_pixels
from sepl.data.patients.sealed import SEALED_FILE, SealedPatients
from sepl.data.patients.splits import COHORT_SPLITS
from sepl.data.preparation.assemble import assemble_shard, group_into_shards, plan_shard
from sepl.data.preparation.duplicates import find_duplicates
from sepl.data.preparation.facts import Facts, write_sources
from sepl.data.preparation.output import sources_file
from sepl.data.preparation.run import Run
from sepl.data.preparation.tables import Kept, Rejected, fingerprint_of, write_findings, write_labels, write_rejected
from sepl.data.preparation.thumbnails import encode_thumbnail, first_of_each
from sepl.data.report.report import write_prepare_report
from sepl.errors import CohortError
from sepl.execution.progress import progress
from sepl.storage import resolve, sha256_of_file


@dataclass(frozen=True, eq=False)
class Plan:
    """What was laid down before anything was decoded."""

    sources: Sequence[str]
    inputs: str
    """Digest of all that decides what is published."""
    planned: NDArray[np.str_]
    """(N,) cohort splits as they are without copies between patients."""
    slot_N: NDArray[np.int64]
    """The shard that each photograph belongs in."""


def notes_of(manifest: Manifest, inputs: str) -> dict[str, str]:
    """What a run notes of itself beside what it remembers."""
    return {"inputs": inputs, "fingerprint": manifest.fingerprint}


def publish_results(run: Run, facts: Facts, whole: Mapping[str, Pixels], plan: Plan) -> Manifest:
    """Splits, assembles, writes and publishes; `whole` are the files in which pixels stand, by URI.

    Raises CohortError when no photograph is kept, of all or of a cohort split, or no train patient has a label for a
    task.
    """
    cohort = run.cohort
    if not len(facts.kept):
        run.output.forget()
        raise CohortError(
            f"{cohort.source}: no usable row, none of {len(facts.refusals)} photographs could be used; "
            f"the first, of row {cohort.rows[0]}: {facts.refusals[0]}"
        )
    links, findings = _same_pictures(run, facts)
    cohort_splits = run.split(links)
    _check_none_is_lost(run, facts, cohort_splits)
    kept, shards = _assemble(run, facts, whole, plan, cohort_splits)
    with tempfile.TemporaryDirectory(prefix="sepl-tables-") as folder:
        tables, thumbnails = Path(folder), _thumbnails(run, facts)
        _write_tables(run, facts, kept, tables, thumbnails)
        write_findings(tables / FINDINGS_FILE, [*cohort.findings, *findings])
        manifest = _manifest(run, facts, kept, shards, tables)
        write_prepare_report(tables, manifest=manifest, shards=run.output.shards, thresholds=cohort.quality)
        remembered = _to_remember(facts, kept, thumbnails)
        notes = notes_of(manifest, plan.inputs)
        write_sources(tables / sources_file(manifest), plan.sources, remembered, notes)
        run.output.publish(tables, manifest, run.held)
    return manifest


def _check_none_is_lost(run: Run, facts: Facts, cohort_splits: NDArray[np.str_]) -> None:
    """A cohort split that was dealt photographs keeps some: without it nothing can be calibrated, say, or tested."""
    for name in COHORT_SPLITS:
        dealt = np.flatnonzero(cohort_splits == name)
        if len(dealt) and not np.isin(dealt, facts.kept).any():
            run.output.forget()
            raise CohortError(
                f"{run.cohort.source}: none of the {len(dealt)} photographs of the {name} patients could be used; "
                f"the first, of row {run.cohort.rows[dealt[0]]}: {facts.refusals[dealt[0]]}"
            )


def _same_pictures(run: Run, facts: Facts) -> tuple[list[tuple[int, int]], list[Finding]]:
    """Pairs of photographs (indices into the cohort) that show the same picture, and what is to be said of them."""
    cohort, chosen = run.cohort, facts.kept
    table = facts.take(chosen).table
    signatures_NC = np.frombuffer(b"".join(table["signature"].to_pylist()), np.int8).reshape(len(chosen), -1)
    links, findings = [], []
    same = find_duplicates(table["sha256"].to_pylist(), table["perceptual"].to_numpy(), signatures_NC)
    for first, second, kind in same:
        one, other = int(chosen[first]), int(chosen[second])
        links.append((one, other))
        whose = "another patient" if cohort.patients[one] != cohort.patients[other] else "the same patient"
        findings.append(
            Finding(f"{kind} of {whose}", int(cohort.rows[other]), "", f"the picture of row {cohort.rows[one]}")
        )
    return links, findings


def _assemble(
    run: Run, facts: Facts, whole: Mapping[str, Pixels], plan: Plan, cohort_splits: NDArray[np.str_]
) -> tuple[Kept, tuple[Shard, ...]]:
    """Puts the shards of the kept photographs in their place."""
    chosen = facts.kept
    splits, table = cohort_splits[chosen], facts.take(chosen).table
    files, rows = table["file"].to_pylist(), table["row"].to_numpy()
    groups = group_into_shards(splits, plan.slot_N[chosen], plan.planned[chosen], run.spec.size)
    out, work = run.output.shards, run.output.work
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


def _write_tables(run: Run, facts: Facts, kept: Kept, tables: Path, thumbnails: Mapping[int, bytes]) -> None:
    """Everything but the findings, the manifest and the report."""
    write_labels(tables / LABELS_FILE, run.cohort, kept, facts, run.pseudonyms)
    rejected = [
        Rejected(index, refusal, f"thumbnails/{_thumbnail_name(run, index)}" if index in thumbnails else "")
        for index, refusal in enumerate(facts.refusals)
        if refusal
    ]
    write_rejected(tables / REJECTED_FILE, run.cohort, rejected, run.pseudonyms)
    (tables / "thumbnails").mkdir()
    for index, content in thumbnails.items():
        (tables / "thumbnails" / _thumbnail_name(run, index)).write_bytes(content)
    _seal(run, kept).write(resolve(tables / SEALED_FILE))


def _seal(run: Run, kept: Kept) -> SealedPatients:
    return run.sealed.with_patients(run.cohort.patients[i] for i in kept.indices[kept.cohort_splits == "test"])


def _thumbnails(run: Run, facts: Facts) -> dict[int, bytes]:
    """JPEG of the first refused photographs of each group, by index, as far as they could be decoded."""
    shown = first_of_each(facts)
    rows = facts.take(np.array(shown, np.int64)).table.select(["file", "row", "thumbnail"]).to_pylist()
    return {
        index: entry["thumbnail"] or encode_thumbnail(read_pixels(resolve(entry["file"]), run.spec.size)[entry["row"]])
        for index, entry in zip(shown, rows, strict=True)
    }


def _thumbnail_name(run: Run, index: int) -> str:
    frame = int(run.cohort.frames[index])
    return f"row-{run.cohort.rows[index]:06d}{f'-{frame}' if frame else ''}.jpg"


def _manifest(run: Run, facts: Facts, kept: Kept, shards: tuple[Shard, ...], tables: Path) -> Manifest:
    cohort = run.cohort
    patients = np.array(cohort.patients)[kept.indices]
    return Manifest(
        name=cohort.name,
        image=run.spec,
        tasks=cohort.tasks,
        scaler=run.fit_scaler(kept.indices[kept.cohort_splits == "train"]),
        shards=shards,
        tables={name: sha256_of_file(tables / name) for name in (LABELS_FILE, REJECTED_FILE, FINDINGS_FILE)},
        num_patients={name: len(set(patients[kept.cohort_splits == name])) for name in COHORT_SPLITS},
        num_photographs={name: int((kept.cohort_splits == name).sum()) for name in COHORT_SPLITS},
        num_rejected=len(facts.refusals) - len(kept.indices),
        seed=run.seed,
        reachable_skill=cohort.reachable_skill,
        quality=cohort.quality,
        fingerprint=fingerprint_of(cohort, run.spec, kept, shards),
    )


def _to_remember(facts: Facts, kept: Kept, thumbnails: Mapping[int, bytes]) -> Facts:
    """The facts with the published places of the pixels, and the thumbnails of the refused."""
    num = facts.table.num_rows
    files, rows = np.full(num, "", object), np.full(num, -1, np.int32)
    files[kept.indices], rows[kept.indices] = kept.shards, kept.rows
    shown = [thumbnails.get(index) for index in range(num)]
    return facts.replacing("file", files).replacing("row", rows).replacing("thumbnail", shown)
