"""The report of a study that is being searched: written beside the trials, read again and again."""

import subprocess
import sys
from pathlib import Path

import optuna
from optuna.trial import TrialState, create_trial
from unsearched import study_record

from sepl.storage import resolve
from sepl.tuning.record.attributes import SECONDS, SHARE
from sepl.tuning.record.record import ENDED, PRICE, StudyFolder
from sepl.tuning.report.report import write_report


def make_study(storage: Path) -> optuna.Study:
    """With a trial that ran to its end and one that diverged."""
    folder = StudyFolder.at(str(storage), "made")
    study = optuna.create_study(study_name="made", storage=folder.open_optuna_storage(None), direction="maximize")
    folder.write(study_record())
    study.add_trial(create_trial(state=TrialState.COMPLETE, value=0.5, intermediate_values={1: 0.5}))
    study.add_trial(create_trial(state=TrialState.FAIL, user_attrs={"failure": "diverged"}))
    return study


def report_of(storage: Path) -> str:
    write_report(str(storage), "made", resolve(storage / "report.html"))
    return (storage / "report.html").read_text()


def test_what_the_search_has_cost_stands_at_the_top(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    kept = {SECONDS: 7200.0, SHARE: {"cpus": 2, "gpus": 0}}
    study.add_trial(create_trial(state=TrialState.FAIL, user_attrs=kept))
    unpriced = report_of(tmp_path)
    study.set_user_attr(PRICE, 0.5)

    assert "<h3>CPU-hours</h3><b>4.00</b><p>2.00 hours of trials</p>" in unpriced
    assert "<h3>CPU-hours</h3><b>4.00</b><p>cost 2.00</p>" in report_of(tmp_path)


def test_the_page_of_a_study_that_is_searched_reads_itself_anew(tmp_path: Path) -> None:
    study = make_study(tmp_path)
    with StudyFolder.at(str(tmp_path), "made").only_driver():
        running = report_of(tmp_path)
        study.set_user_attr(ENDED, "all trials are finished")
        ended = report_of(tmp_path)

    assert "http-equiv" in running
    assert "http-equiv" not in ended
    assert "http-equiv" not in report_of(tmp_path)


def test_the_report_of_a_study_without_a_bundle_loads_no_torch(tmp_path: Path) -> None:
    """As it is written again and again beside the trials."""
    make_study(tmp_path)
    program = f"""
import sys
from sepl.storage import resolve
from sepl.tuning.report.report import write_report
write_report({str(tmp_path)!r}, "made", resolve({str(tmp_path / "report.html")!r}))
assert not {{"torch", "ray"}} & set(sys.modules), {{"torch", "ray"}} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parents[4])

    assert "diverged" in (tmp_path / "report.html").read_text()
