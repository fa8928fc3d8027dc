"""A published model says whose sealed patients were read, how often and by whom."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sepl.bundle.ledger import FOLDER, Ledger, SealedReading, SealedSet
from sepl.bundle.manifest import CARD
from sepl.bundle.registry import Registry
from sepl.data.dataset.dataset import PreparedDataset
from sepl.storage import resolve
from sepl.tuning.selection import select_winner

Make = Callable[..., None]


def test_a_reading_is_noted_with_its_study_model_bundle_and_command(
    make_study: Make, tmp_path: Path, dataset: PreparedDataset
) -> None:
    make_study()

    winner = select_winner(str(tmp_path), "done", lambda _: None)

    (reading,) = Ledger(resolve(tmp_path / "registry")).readings()
    assert (reading.study, reading.bundle, reading.model) == ("done", winner.bundle_id, "trial 0")
    assert reading.command == "jobs.search"
    assert reading.sealed == SealedSet.of(dataset)
    assert "These sealed patients have been read once by 1 study." in card_of(tmp_path, winner.bundle_id)


def card_of(storage: Path, bundle_id: str) -> str:
    return (storage / "registry" / bundle_id / CARD).read_text()


def test_card_and_manifest_count_the_readings_of_other_studies(
    make_study: Make, tmp_path: Path, dataset: PreparedDataset
) -> None:
    make_study()
    other = SealedReading(sealed=SealedSet.of(dataset), study="other", command="jobs.evaluate")
    for _ in range(2):
        Ledger(resolve(tmp_path / "registry")).note(other)

    winner = select_winner(str(tmp_path), "done", lambda _: None)

    provenance = Registry(tmp_path / "registry").show(winner.bundle_id).manifest.provenance
    assert (provenance.sealed_readings, provenance.sealed_studies) == (3, 2)
    assert "These sealed patients have been read 3 times by 2 studies." in card_of(tmp_path, winner.bundle_id)


def test_a_reading_that_was_interrupted_stays_noted_without_a_bundle(make_study: Make, tmp_path: Path) -> None:
    make_study()

    def stop(line: str) -> None:
        if "testing" in line:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        select_winner(str(tmp_path), "done", stop)

    (file,) = (tmp_path / "registry" / FOLDER).iterdir()
    assert json.loads(file.read_bytes())["bundle"] is None
