"""Every reading of sealed patients is counted, whoever reads at the same moment."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from builders import build_dataset

from sepl.bundle.ledger import FOLDER, Ledger, ReadingCount, SealedReading, SealedSet
from sepl.bundle.registry import Registry
from sepl.bundle.unsealing import UnsealingRecord
from sepl.errors import BundleError
from sepl.storage import resolve

FINGERPRINT, PATIENTS = "f" * 64, "p" * 64


def ledger_in(folder: Path) -> Ledger:
    return Ledger(resolve(folder))


def reading(study: str = "first", fingerprint: str = FINGERPRINT, patients: str = PATIENTS) -> SealedReading:
    sealed = SealedSet(fingerprint=fingerprint, patients=patients, num_patients=3)
    return SealedReading(sealed=sealed, study=study, command="jobs.search", model="trial 1")


def test_readings_count_over_all_studies_by_who_the_patients_are(tmp_path: Path) -> None:
    ledger = ledger_in(tmp_path)
    for study in ("first", "first", "second"):
        ledger.note(reading(study))
    ledger.note(reading("third", fingerprint="g" * 64))  # the same patients at another size
    ledger.note(reading("fourth", patients="q" * 64, fingerprint="h" * 64))

    assert ledger.count(FINGERPRINT, PATIENTS) == ReadingCount(4, 3)
    assert ledger.count(FINGERPRINT) == ReadingCount(4, 3)
    assert ledger.count("h" * 64) == ReadingCount(1, 1)
    assert ledger.count("i" * 64) == ReadingCount(0, 0)
    assert ledger.count(FINGERPRINT).told() == "These sealed patients have been read 4 times by 3 studies."
    assert ledger.count("h" * 64).told() == "These sealed patients have been read once by 1 study."
    assert ledger.count("i" * 64).told() == ""


def test_readings_at_the_same_moment_all_count(tmp_path: Path) -> None:
    now = datetime.now(UTC)

    def note(number: int) -> None:
        ledger_in(tmp_path).note(reading(f"study{number % 4}").model_copy(update={"begun": now}))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(note, range(40)))

    assert ledger_in(tmp_path).count(FINGERPRINT) == ReadingCount(40, 4)


def test_a_reading_is_kept_whole_and_gets_its_bundle_later(tmp_path: Path) -> None:
    ledger, noted = ledger_in(tmp_path), reading()
    place = ledger.note(noted)
    assert ledger.readings() == (noted,)

    ledger.name_bundle(place, noted, "first-0123456789ab")

    assert [row.bundle for row in ledger.readings()] == ["first-0123456789ab"]
    (tmp_path / FOLDER / ".half-written.json").write_text("{")
    assert len(ledger.readings()) == 1


def test_readings_of_versions_without_a_ledger_count_once(tmp_path: Path) -> None:
    ledger = ledger_in(tmp_path)
    for _ in range(2):
        UnsealingRecord(resolve(tmp_path), "first", FINGERPRINT).note("trial 3")
    UnsealingRecord(resolve(tmp_path), "other", "g" * 64).note("trial 3")
    ledger.note(reading())  # the second of them, which both tell

    assert ledger.count(FINGERPRINT) == ReadingCount(2, 1)


def test_a_damaged_reading_is_named(tmp_path: Path) -> None:
    place = ledger_in(tmp_path).note(reading())
    place.write_bytes(b"{}")

    with pytest.raises(BundleError, match=place.name):
        ledger_in(tmp_path).readings()


def test_the_ledger_is_no_bundle_of_the_registry(tmp_path: Path) -> None:
    ledger_in(tmp_path).note(reading())

    assert Registry(tmp_path).list() == ()


@pytest.mark.parametrize(
    ("bundle", "where"),
    [("/r/registry/study-0123", "/r/registry"), ("/r/my-bundle", "/tmp/out"), ("/study-0123", "/")],
)
def test_it_lies_in_the_bundles_registry_or_else_beside_the_output(bundle: str, where: str) -> None:
    assert Ledger.beside(bundle, "study-0123", resolve("/tmp/out/evaluation.json")).place.path == where


def test_a_set_is_its_patients_whatever_the_size_of_their_photographs(tmp_path: Path) -> None:
    small, large = (build_dataset(tmp_path / str(size), num_patients=6, image_size=size) for size in (16, 32))

    one, other = SealedSet.of(small), SealedSet.of(large)

    assert one.patients == other.patients
    assert one.fingerprint != other.fingerprint
    assert one.num_patients == small.manifest.num_patients["test"]
