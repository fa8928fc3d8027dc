"""What an earlier run found in photographs that have not changed since, and what has to be decoded."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sepl.data.dataset.shards import Pixels
from sepl.data.imaging.quality import QualityThresholds
from sepl.data.imaging.reasons import NOT_OPENED
from sepl.data.preparation.facts import Facts, Sources
from sepl.data.preparation.output import Output
from sepl.data.preparation.thumbnails import first_of_each


@dataclass(frozen=True, eq=False)
class Known:
    """What is known of the photographs of a cohort (N) before anything is decoded."""

    row_N: NDArray[np.int64]
    """Row of `facts` for each photograph; −1 where it has to be decoded."""
    facts: Facts
    """With the places of pixels as URIs."""
    notes: dict[str, str]
    """What the earlier run noted of itself."""

    @property
    def indices(self) -> NDArray[np.int64]:
        return np.flatnonzero(self.row_N >= 0)

    @property
    def unknown(self) -> NDArray[np.int64]:
        return np.flatnonzero(self.row_N < 0)

    def of_indices(self) -> Facts:
        """Of the known photographs, in their order."""
        return self.facts.take(self.row_N[self.indices])


def find_known(output: Output, sources: Sequence[str], thresholds: QualityThresholds) -> Known | None:
    """What is remembered of these sources; None when nothing is.

    To be decoded all the same is what was refused and would now be kept or shown, and what could not be opened.
    """
    remembered = output.sources()
    if remembered is None:
        return None
    facts = _with_uris(output, remembered).judged_by(thresholds)
    row_N = remembered.find(sources)
    indices = np.flatnonzero(row_N >= 0)
    again = _to_decode_again(facts.take(row_N[indices]))
    row_N[indices[again]] = -1
    return Known(row_N, facts, remembered.notes)


def standing_pixels(output: Output) -> dict[str, Pixels]:
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


def _with_uris(output: Output, remembered: Sources) -> Facts:
    files = remembered.facts.table["file"].to_pylist()
    uris = {file: (output.target / file).uri if file else "" for file in set(files)}
    return remembered.facts.replacing("file", [uris[file] for file in files])
