"""Models behind the HTTP interface, as its tests need them."""

from collections.abc import Mapping, Sequence

from sepl.bundle.format import ModelBundle
from sepl.scoring.rows import Score
from sepl.scoring.scorer import Scorer

Known = Mapping[str, float]


class Unbatched:
    """A scorer as the interface needs it, without Serve's batches."""

    def __init__(self, bundle: ModelBundle) -> None:
        self.scorer = Scorer(bundle, device="cpu")

    async def score(
        self, photographs: Sequence[tuple[str, bytes]], patients: Sequence[str], known: Sequence[Known] = ()
    ) -> list[Score]:
        return self.scorer.score_bytes(photographs, patients, known)


class Broken:
    async def score(
        self, photographs: Sequence[tuple[str, bytes]], patients: Sequence[str], known: Sequence[Known] = ()
    ) -> list[Score]:
        raise RuntimeError("secret detail of the model")
