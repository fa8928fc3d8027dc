"""The dataset of a study, which must not change under it."""

from sepl.data.dataset.dataset import PreparedDataset
from sepl.errors import DatasetError


def open_unchanged(dataset: str, fingerprint: str) -> PreparedDataset:
    """The dataset at a URI; raises DatasetError unless its fingerprint is that with which the study began."""
    prepared = PreparedDataset.open(dataset)
    if prepared.fingerprint != fingerprint:
        found = prepared.fingerprint
        raise DatasetError(f"dataset {dataset} changed since the study began: was {fingerprint}, is {found}")
    return prepared
