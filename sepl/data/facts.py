"""What is known of each photograph once it has been looked at, and the file that remembers it for the next run.

A fact is what decoding gave: the reason why it could not, or digests, quality measures and where the pixels stand. No
verdict is among them: gradeability is judged anew in each run, so that a threshold can change without decoding again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sepl.data.images import Photograph
from sepl.data.quality import NAMES, QualityMeasures
from sepl.errors import DatasetError
from sepl.storage import Location

FACTS_SCHEMA = pa.schema(
    [
        pa.field("error", pa.string()),  # "" when it was decoded
        pa.field("sha256", pa.string()),
        pa.field("perceptual", pa.uint64()),
        pa.field("signature", pa.binary()),
        *(pa.field(f"quality_{name}", pa.float64()) for name in NAMES),
        pa.field("file", pa.string()),  # where its pixels stand; "" when none are kept
        pa.field("row", pa.int32()),
        pa.field("thumbnail", pa.binary()),  # JPEG of some refused ones
    ]
)
_SOURCE = pa.field("source", pa.string())


def fact_of_error(error: str) -> dict[str, Any]:
    return {"error": error, "sha256": "", "perceptual": 0, "signature": b"", "file": "", "row": -1}


def fact_of_picture(photograph: Photograph, file: str, row: int, thumbnail: bytes | None = None) -> dict[str, Any]:
    """Of a photograph whose pixels stand in a row of a file; "" and −1 when they are not kept."""
    return {
        "error": "",
        "sha256": photograph.sha256,
        "perceptual": photograph.perceptual,
        "signature": photograph.signature,
        **{f"quality_{name}": value for name, value in photograph.quality.as_dict().items()},
        "file": file,
        "row": row,
        "thumbnail": thumbnail,
    }


def facts_table(rows: Iterable[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), FACTS_SCHEMA)


@dataclass(frozen=True, eq=False)
class Facts:
    """Facts of the photographs of a cohort, in its order (N)."""

    table: pa.Table

    @property
    def errors(self) -> list[str]:
        return self.table["error"].to_pylist()

    @property
    def has_pixels(self) -> NDArray[np.bool_]:
        return np.array(self.table["row"].to_numpy() >= 0)

    def measures(self) -> list[QualityMeasures]:
        """One a photograph; NaN where it was not decoded."""
        columns = [self.table[f"quality_{name}"].to_numpy().tolist() for name in NAMES]
        return [QualityMeasures(**dict(zip(NAMES, values, strict=True))) for values in zip(*columns, strict=True)]

    def take(self, indices: NDArray[np.integer]) -> "Facts":
        return Facts(self.table.take(pa.array(indices)))


def join_facts(parts: Sequence[pa.Table]) -> Facts:
    tables = [part.replace_schema_metadata(None) for part in parts]
    return Facts(pa.concat_tables([FACTS_SCHEMA.empty_table(), *tables]).combine_chunks())


def write_sources(sink: Any, sources: Sequence[str], facts: Facts, notes: dict[str, str]) -> None:
    """Parquet of the facts with what each is a fact about, and notes (of what run, of which dataset)."""
    table = facts.table.add_column(0, _SOURCE, pa.array(sources, pa.string())).replace_schema_metadata(notes)
    pq.write_table(table, sink)


@dataclass(frozen=True, eq=False)
class Sources:
    """What an earlier run remembers."""

    table: pa.Table
    notes: dict[str, str]

    @classmethod
    def read(cls, place: Location) -> "Sources | None":
        """None when there is none, or one of other measures than are taken now."""
        if not place.exists():
            return None
        try:
            table = pq.read_table(pa.BufferReader(place.read_bytes()))
        except (OSError, pa.ArrowException) as problem:
            raise DatasetError(f"{place.uri} should be a Parquet file: {problem}") from None
        notes = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
        if table.schema.remove_metadata() != pa.schema([_SOURCE, *FACTS_SCHEMA]):
            return None
        return cls(table, notes)

    @property
    def facts(self) -> Facts:
        return Facts(self.table.drop_columns("source"))

    def find(self, sources: Sequence[str]) -> NDArray[np.int64]:
        """(N,) the row of each source here, −1 where it is not."""
        row_of = {source: row for row, source in enumerate(self.table["source"].to_pylist())}
        return np.fromiter((row_of.get(source, -1) for source in sources), np.int64, len(sources))
