"""The last stage: the files of the dataset beside its shards, in a folder of their own until they are published."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from sepl.data.cohort.cohort import Cohort
from sepl.data.dataset.dataset import FINDINGS_FILE, LABELS_FILE, REJECTED_FILE, Manifest
from sepl.data.dataset.shards import read_pixels
from sepl.data.imaging.photograph import ImageSpec
from sepl.data.patients.pseudonyms import Pseudonyms
from sepl.data.patients.sealed import SEALED_FILE, SealedPatients
from sepl.data.patients.splits import COHORT_SPLITS
from sepl.data.preparation.assemble import Assembled
from sepl.data.preparation.facts import Facts, write_sources
from sepl.data.preparation.judge import Judged
from sepl.data.preparation.output import sources_file
from sepl.data.preparation.plan import Plan
from sepl.data.preparation.splits import fit_scaler, unseen_levels
from sepl.data.preparation.tables import Kept, Rejected, fingerprint_of, write_findings, write_labels, write_rejected
from sepl.data.preparation.thumbnails import encode_thumbnail, first_of_each
from sepl.data.report.report import write_prepare_report
from sepl.storage import Location, resolve, sha256_of_file


def write_dataset(
    tables: Path,
    shards: Location,
    cohort: Cohort,
    plan: Plan,
    judged: Judged,
    assembled: Assembled,
    *,
    seed: int,
    pseudonyms: Pseudonyms,
    sealed: SealedPatients,
) -> Manifest:
    """Writes all but the manifest to an empty local folder; `shards` is where the shards are.

    Raises CohortError when no train patient has a label for a task.
    """
    facts, kept, thumbnails = judged.facts, assembled.kept, _thumbnails(judged.facts, plan.spec.size)
    _write_tables(cohort, facts, kept, tables, thumbnails, pseudonyms)
    _seal(cohort, sealed, kept).write(resolve(tables / SEALED_FILE))
    unseen = unseen_levels(cohort, kept.indices[kept.cohort_splits == "train"])
    write_findings(tables / FINDINGS_FILE, (*judged.findings, *unseen))
    manifest = _manifest(cohort, plan.spec, seed, facts, assembled, tables)
    write_prepare_report(tables, manifest=manifest, shards=shards, thresholds=cohort.quality)
    remembered = _to_remember(facts, kept, thumbnails)
    write_sources(tables / sources_file(manifest), plan.sources, remembered, plan.notes(manifest))
    return manifest


def _write_tables(
    cohort: Cohort, facts: Facts, kept: Kept, tables: Path, thumbnails: Mapping[int, bytes], pseudonyms: Pseudonyms
) -> None:
    """Everything but the findings, the manifest and the report."""
    write_labels(tables / LABELS_FILE, cohort, kept, facts, pseudonyms)
    rejected = [
        Rejected(index, refusal, f"thumbnails/{_thumbnail_name(cohort, index)}" if index in thumbnails else "")
        for index, refusal in enumerate(facts.refusals)
        if refusal
    ]
    write_rejected(tables / REJECTED_FILE, cohort, rejected, pseudonyms)
    (tables / "thumbnails").mkdir()
    for index, content in thumbnails.items():
        (tables / "thumbnails" / _thumbnail_name(cohort, index)).write_bytes(content)


def _seal(cohort: Cohort, sealed: SealedPatients, kept: Kept) -> SealedPatients:
    return sealed.with_patients(cohort.patients[i] for i in kept.indices[kept.cohort_splits == "test"])


def _thumbnails(facts: Facts, image_size: int) -> dict[int, bytes]:
    """JPEG of the first refused photographs of each group, by index, as far as they could be decoded."""
    shown = first_of_each(facts)
    rows = facts.take(np.array(shown, np.int64)).table.select(["file", "row", "thumbnail"]).to_pylist()
    return {
        index: entry["thumbnail"] or encode_thumbnail(read_pixels(resolve(entry["file"]), image_size)[entry["row"]])
        for index, entry in zip(shown, rows, strict=True)
    }


def _thumbnail_name(cohort: Cohort, index: int) -> str:
    frame = int(cohort.frames[index])
    part = f"cohort-{list(dict.fromkeys(cohort.parts)).index(cohort.parts[index]) + 1}-" if cohort.parts else ""
    return f"{part}row-{cohort.rows[index]:06d}{f'-{frame}' if frame else ''}.jpg"


def _manifest(cohort: Cohort, spec: ImageSpec, seed: int, facts: Facts, assembled: Assembled, tables: Path) -> Manifest:
    kept, shards = assembled.kept, assembled.shards
    patients = np.array(cohort.patients)[kept.indices]
    return Manifest(
        name=cohort.name,
        image=spec,
        tasks=cohort.tasks,
        scaler=fit_scaler(cohort, kept.indices[kept.cohort_splits == "train"]),
        shards=shards,
        tables={name: sha256_of_file(tables / name) for name in (LABELS_FILE, REJECTED_FILE, FINDINGS_FILE)},
        num_patients={name: len(set(patients[kept.cohort_splits == name])) for name in COHORT_SPLITS},
        num_photographs={name: int((kept.cohort_splits == name).sum()) for name in COHORT_SPLITS},
        num_rejected=len(facts.refusals) - len(kept.indices),
        seed=seed,
        reachable_skill=cohort.reachable_skill,
        quality=cohort.quality,
        known_patterns=cohort.known_patterns,
        fingerprint=fingerprint_of(cohort, spec, kept, shards),
    )


def _to_remember(facts: Facts, kept: Kept, thumbnails: Mapping[int, bytes]) -> Facts:
    """The facts with the published places of the pixels, and the thumbnails of the refused."""
    num = facts.table.num_rows
    files, rows = np.full(num, "", object), np.full(num, -1, np.int32)
    files[kept.indices], rows[kept.indices] = kept.shards, kept.rows
    shown = [thumbnails.get(index) for index in range(num)]
    return facts.replacing("file", files).replacing("row", rows).replacing("thumbnail", shown)
