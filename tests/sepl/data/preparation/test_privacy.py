"""Nothing that identifies a person gets into a prepared dataset, its work place, or what is said while it is made."""

import csv

import pyarrow.parquet as pq
import pytest
from builders import build_cohort

from sepl.data.cohort.cohort import read_cohort
from sepl.data.preparation.prepare import prepare
from sepl.errors import CohortError

SECRETS = ("Grace", "Hopper", "1906-12-09", "HOSP-77")


@pytest.fixture
def cohort_file(tmp_path):
    """Patients' ids and file names are names."""
    cohort_file = build_cohort(tmp_path / "cohort", num_patients=12)
    folder, table = cohort_file.parent, cohort_file.parent / "labels.csv"
    header, *rows = table.read_text().splitlines()
    named = []
    for number, row in enumerate(rows):
        image, patient, *rest = row.split(",")
        name = f"Hopper_Grace_1906-12-09_{number}.png"
        (folder / "images" / image).rename(folder / "images" / name)
        named.append(",".join([name, f"HOSP-77-{patient}", *rest]))
    table.write_text("\n".join([header, *named]))
    pictures = sorted((folder / "images").iterdir())
    pictures[2].write_bytes(b"Grace Hopper")
    pictures[5].unlink()
    pictures[9].write_bytes(pictures[10].read_bytes())
    return cohort_file


def everything_in(folder):
    """All bytes below a folder and all names, with the columns of its tables spelt out."""
    found = []
    for path in folder.rglob("*"):
        found.append(path.relative_to(folder).as_posix().encode())
        if path.is_file():
            found.append(path.read_bytes())
        if path.suffix == ".parquet":
            found.append(repr(pq.read_table(path).to_pydict()).encode())
    return b"\n".join(found)


def test_a_prepared_dataset_names_nobody(cohort_file, tmp_path, capfd):
    summary = prepare(read_cohort(cohort_file), tmp_path / "out", 32, num_workers=1)

    assert summary.rejected == {"not an image": 1, "file not found": 1}
    said = capfd.readouterr()
    content = everything_in(tmp_path / "out") + (said.out + said.err).encode() + repr(summary).encode()
    assert not [secret for secret in SECRETS if secret.encode() in content]


def test_what_a_stopped_run_leaves_behind_names_nobody(cohort_file, tmp_path, monkeypatch):
    def stop(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("sepl.data.preparation.prepare.judge_photographs", stop)
    with pytest.raises(KeyboardInterrupt):
        prepare(read_cohort(cohort_file), tmp_path / "out", 32, num_workers=1)

    left = everything_in(tmp_path / ".out-preparing")
    assert b"not an image" in left
    assert not [secret for secret in SECRETS if secret.encode() in left]


def test_an_error_names_nobody(cohort_file, tmp_path):
    for picture in (cohort_file.parent / "images").iterdir():
        picture.write_bytes(b"Grace Hopper")

    with pytest.raises(CohortError) as caught:
        prepare(read_cohort(cohort_file), tmp_path / "out", 32, num_workers=1)
    assert not [secret for secret in SECRETS if secret in str(caught.value)]


def test_a_rejected_photograph_is_found_by_its_row(cohort_file, tmp_path):
    prepare(read_cohort(cohort_file), tmp_path / "out", 32, num_workers=1)

    with (tmp_path / "out" / "rejected.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    table = (cohort_file.parent / "labels.csv").read_text().splitlines()
    names = [table[int(row["row"]) - 1].split(",")[0] for row in rows]
    pictures = cohort_file.parent / "images"
    assert {row["kind"] for row in rows} == {"not an image", "file not found"}
    for name, row in zip(names, rows, strict=True):
        assert (pictures / name).exists() == (row["reason"] != "file not found")


def test_the_same_key_gives_the_same_pseudonyms_and_another_key_others(cohort_file, tmp_path, monkeypatch):
    for name, key in (("a", "1" * 64), ("b", "1" * 64), ("c", "2" * 64)):
        monkeypatch.setenv("SEPL_PATIENT_KEY", key)
        prepare(read_cohort(cohort_file), tmp_path / name, 32, num_workers=1)

    a, b, c = (pq.read_table(tmp_path / name / "labels.parquet") for name in "abc")
    assert a == b
    assert not set(a["patient"].to_pylist()) & set(c["patient"].to_pylist())
    assert len(set(a["patient"].to_pylist())) == 12


def test_ids_are_kept_where_that_is_asked_for(cohort_file, tmp_path):
    plain = prepare(read_cohort(cohort_file), tmp_path / "plain", 32, num_workers=1, keep_patient_ids=True)
    hidden = prepare(read_cohort(cohort_file), tmp_path / "hidden", 32, num_workers=1)

    labels = pq.read_table(tmp_path / "plain" / "labels.parquet")
    assert all(patient.startswith("HOSP-77-P") for patient in labels["patient"].to_pylist())
    assert all(image.startswith("Hopper_Grace") for image in labels["image"].to_pylist())
    assert plain.manifest.fingerprint == hidden.manifest.fingerprint
