"""The laws of bundles and registries hold in an object store as on a disk."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from bundles import bundle_content, draw_fundus
from s3 import new_place, serve_s3

from sepl.bundle.format import read_bundle, write_bundle
from sepl.bundle.manifest import CARD, MANIFEST, WEIGHTS
from sepl.bundle.registry import Registry, open_bundle
from sepl.errors import BundleError, StorageError
from sepl.scoring.rows import Score
from sepl.scoring.sources import find_photographs
from sepl.scoring.table import write_scores
from sepl.storage import resolve


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with serve_s3() as endpoint:
        yield endpoint


@pytest.fixture
def place(endpoint: str) -> str:
    return new_place(endpoint)


def test_what_is_read_is_what_was_written(place: str) -> None:
    written = write_bundle(place, **bundle_content())

    read = read_bundle(place)

    assert read.manifest == written.manifest
    assert all(torch.equal(read.state[name], tensor) for name, tensor in written.state.items())
    with pytest.raises(StorageError, match="already holds"):
        write_bundle(place, **bundle_content(seed=1))


@pytest.mark.parametrize("name", [WEIGHTS, CARD, MANIFEST])
def test_a_changed_file_is_refused_by_name(place: str, name: str) -> None:
    write_bundle(place, **bundle_content())
    location = resolve(place) / name
    location.write_bytes(location.read_bytes().replace(b"a", b"b", 1))

    with pytest.raises(BundleError, match=name):
        read_bundle(place)


def test_a_place_without_bundle_is_told_as_that(place: str) -> None:
    with pytest.raises(BundleError, match=r"bundle\.json.*a bundle should have this file"):
        read_bundle(place)


def test_aliases_are_promoted_and_rolled_back(place: str) -> None:
    registry = Registry(place)
    one, two = (registry.add(**bundle_content(seed)).bundle_id for seed in range(2))
    registry.promote(one, "production")
    registry.promote(two, "production")

    assert open_bundle(f"{place}#production").bundle_id == two
    assert registry.rollback("production") == one
    assert open_bundle(f"{place}#production").bundle_id == one
    assert {verdict.problem for verdict in registry.verify()} == {None}


def test_photographs_are_found_and_scores_are_written(place: str, tmp_path: Path) -> None:
    (resolve(place) / "eyes" / "a.jpg").write_bytes(draw_fundus())
    (resolve(place) / "table.csv").write_bytes(b"image\neyes/a.jpg\nabsent.jpg\n")
    manifest = write_bundle(tmp_path / "bundle", **bundle_content()).manifest
    target = (resolve(place) / "scores.parquet").uri

    (in_folder,) = find_photographs((resolve(place) / "eyes").uri)
    in_table, absent = find_photographs((resolve(place) / "table.csv").uri)
    write_scores([[Score("a.jpg", "failed", "as an example", manifest.bundle_id)]], manifest, target)

    assert (in_folder.name, in_folder.read()) == ("a.jpg", draw_fundus())
    assert (in_table.name, in_table.read()) == ("eyes/a.jpg", draw_fundus())
    with pytest.raises(FileNotFoundError):
        absent.read()
    location = resolve(target)
    table = pq.read_table(location.path, filesystem=location.filesystem)
    assert table["reason"].to_pylist() == ["as an example"]
