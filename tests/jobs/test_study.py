"""The study command end to end, on studies made by hand."""

import subprocess
import sys
from pathlib import Path

import optuna
import pytest
from unsearched import study_record

from jobs._study import Delete, Export, List, Show, Verify
from sepl.tuning.record.ownership import claim
from sepl.tuning.record.record import StudyFolder

ROOT = Path(__file__).parents[2]


@pytest.fixture
def storage(tmp_path: Path) -> str:
    folder = StudyFolder.at(str(tmp_path), "made")
    record = study_record(study_id="id")
    folder.write(record)
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    claim(folder.open_optuna_storage(None), "made", "id", resumed=False)
    optuna.logging.set_verbosity(verbosity)
    return str(tmp_path)


def test_list_and_show_tell_the_study(storage: str, capsys: pytest.CaptureFixture[str]) -> None:
    List(storage=storage).run()
    Show(storage=storage, study="made").run()

    text = capsys.readouterr().out
    assert "made" in text
    assert "study made: empty" in text


def test_verify_says_that_a_study_is_whole_and_ends_with_1_when_not(
    storage: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Verify(storage=storage, study="made").run()
    whole = capsys.readouterr().out
    StudyFolder.at(storage, "made").load_study().ask()

    with pytest.raises(SystemExit) as stop:
        Verify(storage=storage, study="made").run()

    assert whole == "study made is whole\n"
    assert stop.value.code == 1
    assert "RUNNING while nobody holds" in capsys.readouterr().out


def test_export_writes_and_delete_deletes(storage: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Export(storage=storage, study="made", out=str(tmp_path / "trials.csv")).run()
    Delete(storage=storage, study="made", yes=True).run()

    assert (tmp_path / "trials-epochs.csv").exists()
    assert not (tmp_path / "made").exists()
    assert "deleted: study made" in capsys.readouterr().out


def test_no_subcommand_loads_torch_or_ray(storage: str, tmp_path: Path) -> None:
    program = f"""
import sys
from jobs._study import Delete, Export, List, Show, Verify
of = dict(storage={storage!r}, study="made")
List(storage={storage!r}).run(), Show(**of).run(), Verify(**of).run()
Export(**of, out={str(tmp_path / "out.parquet")!r}).run(), Delete(**of, yes=True).run()
assert not {{"torch", "ray"}} & set(sys.modules), {{"torch", "ray"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)
