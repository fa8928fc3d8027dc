"""A cohort that cannot become a dataset: what was decoded of it serves the run after its table is mended."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from builders import build_cohort

from sepl.data.cohort.cohort import Cohort, read_cohort
from sepl.data.dataset import shards
from sepl.data.dataset.dataset import PreparedDataset
from sepl.data.patients.pseudonyms import Pseudonyms
from sepl.data.patients.sealed import SealedPatients
from sepl.data.preparation import chunks
from sepl.data.preparation.prepare import prepare
from sepl.data.preparation.splits import split_photographs
from sepl.data.preparation.summary import PrepareSummary
from sepl.errors import CohortError
from sepl.storage import Location, resolve

SEED = 3


@pytest.fixture(autouse=True)
def _small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "SHARD_BYTES", 6 * 32 * 32 * 3)


@pytest.fixture
def cohort_file(tmp_path: Path) -> Path:
    return build_cohort(tmp_path / "cohort", num_patients=20)


def run(cohort_file: Path, out: Path, size: int = 32) -> PrepareSummary:
    return prepare(read_cohort(cohort_file), out, size, num_workers=1, seed=SEED)


def images_of_tested(cohort_file: Path, tmp_path: Path) -> list[str]:
    """The files of the patients who are tested."""
    cohort = read_cohort(cohort_file)
    sealed = SealedPatients.read(resolve(tmp_path / "none"), Pseudonyms(bytes(32)))
    tested = np.flatnonzero(split_photographs(cohort, SEED, sealed) == "test")
    return sorted({cohort.images[index] for index in tested})


def spoil(cohort: Cohort, images: list[str]) -> None:
    for image in images:
        (cohort.images_folder.local_path() / image).write_bytes(b"")


def leave_out(cohort_file: Path, images: list[str]) -> None:
    """Takes the rows of these files out of the table."""
    table = cohort_file.parent / "labels.csv"
    lines = table.read_text().splitlines()
    table.write_text("\n".join(line for line in lines if not any(image in line for image in images)) + "\n")


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def stopped(cohort_file: Path, out: Path) -> None:
    with pytest.raises(CohortError, match="photographs of the test patients could be used"):
        run(cohort_file, out)


def test_once_the_table_is_mended_nothing_is_decoded_again(cohort_file: Path, tmp_path: Path) -> None:
    images = images_of_tested(cohort_file, tmp_path)
    spoil(read_cohort(cohort_file), images)
    stopped(cohort_file, tmp_path / "out")
    leave_out(cohort_file, images)

    summary = run(cohort_file, tmp_path / "out")

    assert summary.num_decoded == 0
    assert not (tmp_path / ".out-preparing").exists()
    run(cohort_file, tmp_path / "afresh")
    assert files_of(tmp_path / "out") == files_of(tmp_path / "afresh")
    PreparedDataset.open(tmp_path / "out").verify()


def test_a_dataset_that_grows_remembers_what_was_decoded_in_vain(cohort_file: Path, tmp_path: Path) -> None:
    table = cohort_file.parent / "labels.csv"
    header, *rows = table.read_text().splitlines()
    table.write_text("\n".join([header, *rows[:-8]]) + "\n")
    run(cohort_file, tmp_path / "out")
    table.write_text("\n".join([header, *rows]) + "\n")
    images = images_of_tested(cohort_file, tmp_path)
    spoil(read_cohort(cohort_file), images)
    stopped(cohort_file, tmp_path / "out")
    leave_out(cohort_file, images)

    assert run(cohort_file, tmp_path / "out").num_decoded == 0
    PreparedDataset.open(tmp_path / "out").verify()


def test_pixels_of_another_size_are_not_taken_for_these(cohort_file: Path, tmp_path: Path) -> None:
    images = images_of_tested(cohort_file, tmp_path)
    spoil(read_cohort(cohort_file), images)
    stopped(cohort_file, tmp_path / "out")
    leave_out(cohort_file, images)

    run(cohort_file, tmp_path / "out", 48)

    run(cohort_file, tmp_path / "afresh", 48)
    assert files_of(tmp_path / "out") == files_of(tmp_path / "afresh")


def test_what_could_not_be_opened_is_tried_again(
    cohort_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = images_of_tested(cohort_file, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(chunks, "_read_local", _refusing(images, chunks._read_local))
        stopped(cohort_file, tmp_path / "out")

    summary = run(cohort_file, tmp_path / "out")

    assert summary.num_decoded == len(images)
    run(cohort_file, tmp_path / "afresh")
    assert files_of(tmp_path / "out") == files_of(tmp_path / "afresh")


def _refusing(images: list[str], read: Callable[[Location], bytes]) -> Callable[[Location], bytes]:
    def refuse(place: Location) -> bytes:
        if place.name in images:
            raise PermissionError
        return read(place)

    return refuse


def test_nothing_stays_where_nothing_could_be_used(cohort_file: Path, tmp_path: Path) -> None:
    cohort = read_cohort(cohort_file)
    spoil(cohort, list(cohort.images))

    with pytest.raises(CohortError, match="no usable row"):
        run(cohort_file, tmp_path / "out")

    assert [path.name for path in tmp_path.iterdir()] == ["cohort"]
