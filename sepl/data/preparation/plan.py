"""The first stage: what a preparation is to give, laid down before anything is decoded."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sepl.data.cohort.cohort import Cohort
from sepl.data.dataset.dataset import FORMAT, Manifest
from sepl.data.imaging.photograph import ImageSpec
from sepl.data.patients.pseudonyms import Pseudonyms
from sepl.data.patients.sealed import SealedPatients
from sepl.data.preparation.chunk_plan import slots_of
from sepl.data.preparation.sources import Picture, find_sources, pictures_of
from sepl.data.preparation.splits import fit_scaler, split_photographs


@dataclass(frozen=True, eq=False)
class Plan:
    """What was laid down before anything was decoded."""

    spec: ImageSpec
    pictures: Sequence[Picture]
    sources: Sequence[str]
    inputs: str
    """Digest of all that decides what is published."""
    planned: NDArray[np.str_]
    """(N,) cohort splits as they are without copies between patients."""
    slot_N: NDArray[np.int64]
    """The shard that each photograph belongs in."""

    def notes(self, manifest: Manifest) -> dict[str, str]:
        """What a run notes of itself beside what it remembers."""
        return {"inputs": self.inputs, "fingerprint": manifest.fingerprint}


def plan_preparation(
    cohort: Cohort, spec: ImageSpec, seed: int, pseudonyms: Pseudonyms, sealed: SealedPatients
) -> Plan:
    """The plan of a cohort. Raises CohortError where a task has no label, before hours of decoding."""
    planned = split_photographs(cohort, seed, sealed)
    fit_scaler(cohort, np.flatnonzero(planned == "train"))
    pictures = pictures_of(cohort)
    sources = find_sources(cohort, pictures, pseudonyms)
    inputs = _digest_of_inputs(cohort, spec, seed, pseudonyms, sources)
    return Plan(spec, pictures, sources, inputs, planned, slots_of(planned, spec.size))


def _digest_of_inputs(
    cohort: Cohort, spec: ImageSpec, seed: int, pseudonyms: Pseudonyms, sources: Sequence[str]
) -> str:
    """SHA-256 over everything that decides what is published."""
    content = {
        "format": FORMAT,
        "name": cohort.name,
        "image": spec.model_dump(mode="json"),
        "tasks": cohort.tasks.model_dump(mode="json"),
        "reachable_skill": cohort.reachable_skill,
        "seed": seed,
        "split": cohort.split.model_dump(mode="json"),
        **({} if cohort.known_patterns is None else {"known_patterns": cohort.known_patterns}),
        **({"rules": dict(cohort.rules)} if cohort.rules else {}),
        "quality": cohort.quality.model_dump(mode="json"),
        "key": pseudonyms.of("key", "patient"),
        "sources": sources,
        "rows": cohort.rows.tolist(),
        "texts": [cohort.patients, cohort.eyes, cohort.visits, cohort.sites, cohort.cameras],
        "findings": [[each.kind, each.table, each.row, each.column, each.detail] for each in cohort.findings],
    }
    digest = hashlib.sha256(np.ascontiguousarray(np.nan_to_num(cohort.labels_NT, nan=np.inf), "<f8").tobytes())
    for part in json.JSONEncoder(sort_keys=True).iterencode(content):
        digest.update(part.encode())
    return digest.hexdigest()
