import csv
import hashlib
from pathlib import Path

import pytest

from sepl.data.cohort.cohort import read_cohort
from sepl.data.dataset.dataset import PreparedDataset
from sepl.data.preparation.prepare import prepare
from sepl.errors import ConfigError
from sepl.simulation.cohort import simulate_cohort, simulate_patient
from sepl.simulation.reachable import reachable_skill
from sepl.tasks import BUILT_IN_TASKS


def _simulate(
    out: Path, num_patients: int, *, num_processes: int | None = None, image_size: int = 48
) -> dict[str, str]:
    """SHA-256 of every file written, by its path below `out`."""
    drawn = simulate_cohort(out, num_patients=num_patients, image_size=image_size, seed=7, num_processes=num_processes)
    assert len(list(drawn)) == num_patients
    files = sorted(path for path in out.rglob("*") if path.is_file())
    return {path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_the_same_seed_writes_the_same_bytes_on_any_number_of_processes(tmp_path: Path) -> None:
    alone = _simulate(tmp_path / "alone", 20, num_processes=1)
    together = _simulate(tmp_path / "together", 20, num_processes=3)

    assert alone == together
    assert len(alone) == 20 * 2 + 3


def test_a_larger_cohort_begins_with_the_smaller_one(tmp_path: Path) -> None:
    smaller, larger = _simulate(tmp_path / "smaller", 3, num_processes=1), _simulate(tmp_path / "larger", 9)

    images = [name for name in smaller if name.startswith("images/")]
    assert [smaller[name] for name in images] == [larger[name] for name in images]
    begins = (tmp_path / "smaller/labels.csv").read_text("utf-8")
    assert (tmp_path / "larger/labels.csv").read_text("utf-8").startswith(begins)


def test_a_patient_is_another_one_under_another_seed() -> None:
    assert simulate_patient(0, 48, seed=1).rows != simulate_patient(0, 48, seed=2).rows


def test_both_eyes_carry_the_same_factors_and_look_different() -> None:
    right, left = simulate_patient(5, 64, seed=0).rows

    assert {**right, "image": "", "eye": ""} == {**left, "image": "", "eye": ""}
    assert len(set(simulate_patient(5, 64, seed=0).files)) == 2


def test_preparation_reads_it_with_all_tasks_and_their_reachable_skill(tmp_path: Path) -> None:
    _simulate(tmp_path / "cohort", 40)
    prepare(read_cohort(tmp_path / "cohort" / "cohort.toml"), str(tmp_path / "prepared"), 32)

    manifest = PreparedDataset.open(str(tmp_path / "prepared")).manifest
    assert set(manifest.tasks.names) == set(BUILT_IN_TASKS)
    assert manifest.num_rejected == 0
    assert sum(manifest.num_photographs.values()) == 80
    assert manifest.reachable_skill == {name: figures.reachable for name, figures in reachable_skill().skills.items()}


def test_an_absent_value_is_an_empty_cell(tmp_path: Path) -> None:
    _simulate(tmp_path / "cohort", 40)
    with (tmp_path / "cohort/labels.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))

    assert any(row["triglycerides"] == "" for row in rows)
    assert all(row["age"] and row["sex"] in "FM" for row in rows)


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")

    with pytest.raises(ConfigError, match=r"out should be a new or empty folder"):
        _simulate(tmp_path, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize(("num_patients", "image_size", "says"), [(0, 64, "num_patients"), (2, 8, "image_size")])
def test_a_number_out_of_range_is_named(tmp_path: Path, num_patients: int, image_size: int, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        _simulate(tmp_path / "out", num_patients, image_size=image_size)
    assert not (tmp_path / "out").exists()
