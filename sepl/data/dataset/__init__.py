"""What trials map: manifest, shards, scales, the machine's cache."""

from typing import TYPE_CHECKING

from sepl.lazy import lazy_face

__all__ = ["LabelScaler", "Manifest", "Photographs", "PreparedDataset", "Shard", "read_manifest"]

if TYPE_CHECKING:
    from sepl.data.dataset.dataset import Manifest, Photographs, PreparedDataset, read_manifest
    from sepl.data.dataset.scaling import LabelScaler
    from sepl.data.dataset.shards import Shard
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "dataset": ["Manifest", "Photographs", "PreparedDataset", "read_manifest"],
            "scaling": ["LabelScaler"],
            "shards": ["Shard"],
        },
    )
