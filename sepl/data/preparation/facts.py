"""What is known of each photograph once it has been looked at, and the file that remembers it for the next run.

A fact is what decoding gave: the reason why it could not, or digests, quality measures, the verdict on these, and where
the pixels stand. With the measures at hand, another threshold is judged by without decoding again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from sepl.data.imaging.photograph import Photograph
from sepl.data.imaging.quality import NAMES, QualityMeasures, QualityThresholds, judge
from sepl.data.imaging.reasons import Refusal
from sepl.data.label_schema import QUALITY_PREFIX
from sepl.errors import DatasetError
from sepl.storage import Location

FACTS_SCHEMA = pa.schema(
    [
        pa.field("decoded", pa.bool_()),
        pa.field("kind", pa.string()),  # why it is not kept, the parts of a `Refusal`; "" when it is
        pa.field("topic", pa.string()),
        pa.field("detail", pa.string()),
        pa.field("sha256", pa.string()),
        pa.field("perceptual", pa.uint64()),
        pa.field("signature", pa.binary()),
        *(pa.field(f"{QUALITY_PREFIX}{name}", pa.float64()) for name in NAMES),
        pa.field("file", pa.string()),  # where its pixels stand; "" when none are kept
        pa.field("row", pa.int32()),
        pa.field("thumbnail", pa.binary()),  # JPEG of some refused ones
    ]
)
_SOURCE = pa.field("source", pa.string())
_KEPT = Refusal("")


def fact_of_error(refusal: Refusal) -> dict[str, Any]:
    """Of a photograph that could not be decoded."""
    return {
        "decoded": False,
        **asdict(refusal),
        "sha256": "",
        "perceptual": 0,
        "signature": b"",
        "file": "",
        "row": -1,
    }


def fact_of_refusal(photograph: Photograph, refusal: Refusal, thumbnail: bytes | None) -> dict[str, Any]:
    """Of a photograph that is not gradeable."""
    return _seen(photograph) | asdict(refusal) | {"file": "", "row": -1, "thumbnail": thumbnail}


def fact_of_picture(photograph: Photograph, file: str, row: int) -> dict[str, Any]:
    """Of a photograph whose pixels stand in a row of a file."""
    return _seen(photograph) | asdict(_KEPT) | {"file": file, "row": row}


def facts_table(rows: Iterable[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), FACTS_SCHEMA)


@dataclass(frozen=True, eq=False)
class Facts:
    """Facts of the photographs of a cohort, in its order (N)."""

    table: pa.Table

    @cached_property
    def refusals(self) -> list[Refusal | None]:
        """Why each is not kept; None where it is."""
        columns = (self.table[name].to_pylist() for name in ("kind", "detail", "topic"))
        return [Refusal(*parts) if parts[0] else None for parts in zip(*columns, strict=True)]

    @property
    def usable(self) -> NDArray[np.int64]:
        """Indices of those that are not refused."""
        return np.array([index for index, refusal in enumerate(self.refusals) if refusal is None], np.int64)

    @property
    def is_decoded(self) -> NDArray[np.bool_]:
        return self.table["decoded"].to_numpy()

    @property
    def has_pixels(self) -> NDArray[np.bool_]:
        return np.array(self.table["row"].to_numpy() >= 0)

    def judged_by(self, thresholds: QualityThresholds) -> "Facts":
        """The same with the refusals that these thresholds give."""
        columns = [self.table[f"{QUALITY_PREFIX}{name}"].to_numpy().tolist() for name in NAMES]
        rows = zip(self.is_decoded, self.refusals, *columns, strict=True)
        judged = [
            judge(QualityMeasures(*measures), thresholds) if is_decoded else refusal
            for is_decoded, refusal, *measures in rows
        ]
        parts = [refusal or _KEPT for refusal in judged]
        facts = self
        for name in ("kind", "topic", "detail"):
            facts = facts.replacing(name, [getattr(part, name) for part in parts])
        return facts

    def replacing(self, name: str, values: Any) -> "Facts":
        """The same with another column of this name."""
        position = self.table.schema.get_field_index(name)
        field = self.table.schema.field(position)
        return Facts(self.table.set_column(position, field, pa.array(values, field.type)))

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

    facts: Facts
    sources: Sequence[str]
    notes: dict[str, str]

    @classmethod
    def read(cls, place: Location) -> "Sources | None":
        """None when there is none, or one of other measures than are taken now."""
        if not place.exists():
            return None
        try:
            with pq.ParquetFile(pa.BufferReader(place.read_bytes())) as file:
                table = file.read()
        except (OSError, pa.ArrowException) as problem:
            raise DatasetError(f"{place.uri} should be a Parquet file: {problem}") from None
        notes = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
        if table.schema.remove_metadata() != pa.schema([_SOURCE, *FACTS_SCHEMA]):
            return None
        facts = Facts(table.drop_columns("source").replace_schema_metadata(None))
        return cls(facts, table["source"].to_pylist(), notes)

    def find(self, sources: Sequence[str]) -> NDArray[np.int64]:
        """(N,) the row of each source here, −1 where it is not."""
        row_of = {source: row for row, source in enumerate(self.sources)}
        return np.fromiter((row_of.get(source, -1) for source in sources), np.int64, len(sources))


def _seen(photograph: Photograph) -> dict[str, Any]:
    quality = {f"{QUALITY_PREFIX}{name}": value for name, value in photograph.quality.as_dict().items()}
    codes = {"perceptual": photograph.perceptual, "signature": photograph.signature}
    return {"decoded": True, "sha256": photograph.sha256, **codes, **quality}
