"""What was seen of the sealed patients stays written down."""

from pathlib import Path

from bundles import bundle_content

from sepl.bundle.format import Provenance
from sepl.bundle.registry import Registry
from sepl.bundle.unsealing import UnsealingRecord
from sepl.storage import resolve


def record_in(folder: Path, study: str = "first", fingerprint: str = "a" * 64) -> UnsealingRecord:
    return UnsealingRecord(resolve(folder), study, fingerprint)


def test_a_reading_is_kept_for_its_study_and_dataset_alone(tmp_path: Path) -> None:
    record_in(tmp_path).note("trial 3")

    assert record_in(tmp_path).num_readings() == 1
    assert record_in(tmp_path, study="second").num_readings() == 0
    assert record_in(tmp_path, fingerprint="b" * 64).num_readings() == 0


def test_every_reading_counts(tmp_path: Path) -> None:
    for _ in range(3):
        record_in(tmp_path).note("trial 3")

    assert record_in(tmp_path).num_readings() == 3


def test_a_bundle_without_a_record_tells_of_a_reading(tmp_path: Path) -> None:
    provenance = Provenance(study="first", dataset_uri="drawn", fingerprint="a" * 64)
    bundle = Registry(tmp_path).add(**bundle_content(provenance=provenance))

    record = record_in(tmp_path)

    assert record.num_readings() == 1
    assert [manifest.bundle_id for manifest in record.bundles()] == [bundle.bundle_id]
    assert record_in(tmp_path, study="fir").num_readings() == 0


def test_the_record_is_no_bundle_whatever_its_study_is_called(tmp_path: Path) -> None:
    record_in(tmp_path, study="bundle").note("trial 3")

    assert Registry(tmp_path).list() == ()
    assert Registry(tmp_path).verify() == ()
