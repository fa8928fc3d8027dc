"""What earlier runs saw in photographs that have not changed since, and what has to be decoded.

The dataset that stands there is remembered, and a run that decoded and then met a cohort that cannot become a dataset:
once the table is mended, nothing of that is decoded again, whichever patients are tested then.
"""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sepl.data.dataset.shards import Pixels
from sepl.data.imaging.photograph import ImageSpec
from sepl.data.imaging.quality import QualityThresholds
from sepl.data.imaging.reasons import NOT_OPENED
from sepl.data.preparation.facts import Facts, Sources, join_facts, write_sources
from sepl.data.preparation.output import Output
from sepl.data.preparation.thumbnails import first_of_each


@dataclass(frozen=True, eq=False)
class Memory:
    """What is known of the photographs of a cohort (N) before anything is decoded."""

    row_N: NDArray[np.int64]
    """Row of `facts` for each photograph; −1 where it has to be decoded."""
    facts: Facts
    """With the places of pixels as URIs."""
    notes: dict[str, str]
    """What the run noted of itself that published the dataset; nothing where none stands."""
    files: Mapping[str, Pixels]
    """The files in which pixels stand, by URI."""

    @property
    def indices(self) -> NDArray[np.int64]:
        return np.flatnonzero(self.row_N >= 0)

    @property
    def unknown(self) -> NDArray[np.int64]:
        return np.flatnonzero(self.row_N < 0)

    def of_indices(self) -> Facts:
        """Of the photographs that need no decoding, in their order."""
        return self.facts.take(self.row_N[self.indices])


def recall(output: Output, sources: Sequence[str], spec: ImageSpec, thresholds: QualityThresholds) -> Memory | None:
    """What is remembered of these sources; None when nothing is.

    To be decoded all the same is what was refused and would now be kept or shown, and what could not be opened.
    """
    dataset, attempt = output.sources(), _attempt(output, spec)
    memories = [_with_uris(output, dataset)] if dataset is not None else []
    memories += [attempt] if attempt is not None else []  # later, and so stands over the dataset
    if not memories:
        return None
    facts = join_facts([each.facts.table for each in memories]).judged_by(thresholds)
    row_N = Sources(facts, [source for each in memories for source in each.sources], {}).find(sources)
    indices = np.flatnonzero(row_N >= 0)
    again = _to_decode_again(facts.take(row_N[indices]))
    row_N[indices[again]] = -1
    files = _standing_pixels(output) | (_pixels_of(attempt) if attempt is not None else {})
    return Memory(row_N, facts, dataset.notes if dataset is not None else {}, files)


def remember_attempt(
    output: Output, sources: Sequence[str], spec: ImageSpec, facts: Facts, files: Mapping[str, Pixels]
) -> None:
    """Keeps what a run decoded that cannot publish: facts of all photographs (N), and the files of their pixels."""
    standing = _standing_pixels(output)
    own = [asdict(pixels) for uri, pixels in files.items() if uri not in standing]
    sink = io.BytesIO()
    write_sources(sink, sources, facts, {"image": spec.model_dump_json(), "files": json.dumps(own)})
    output.attempt.write_bytes(sink.getvalue())
    output.forget_chunks()  # their facts are in it, and what could not be opened is tried again


def _attempt(output: Output, spec: ImageSpec) -> Sources | None:
    """None when there is none, or its pixels are others than are wanted now."""
    attempt = Sources.read(output.attempt)
    return attempt if attempt is not None and attempt.notes["image"] == spec.model_dump_json() else None


def _pixels_of(attempt: Sources) -> dict[str, Pixels]:
    return {entry["uri"]: Pixels(**entry) for entry in json.loads(attempt.notes["files"])}


def _standing_pixels(output: Output) -> dict[str, Pixels]:
    """The shards of the dataset that stands there, by URI."""
    if output.before is None:
        return {}
    places = [(output.target / shard.file, shard) for shard in output.before.shards]
    return {
        place.uri: Pixels(place.uri, shard.num_photographs, shard.num_bytes, shard.sha256) for place, shard in places
    }


def _to_decode_again(facts: Facts) -> NDArray[np.bool_]:
    has_pixels = facts.has_pixels
    can_be_shown = facts.table["thumbnail"].is_valid().to_numpy() | has_pixels
    shown = set(first_of_each(facts))
    again = [
        (refusal.kind == NOT_OPENED or (i in shown and not can_be_shown[i])) if refusal else not has_pixels[i]
        for i, refusal in enumerate(facts.refusals)
    ]
    return np.array(again, bool)


def _with_uris(output: Output, dataset: Sources) -> Sources:
    files = dataset.facts.table["file"].to_pylist()
    uris = {file: (output.target / file).uri if file else "" for file in set(files)}
    return replace(dataset, facts=dataset.facts.replacing("file", [uris[file] for file in files]))
