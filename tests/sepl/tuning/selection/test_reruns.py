"""The best are trained again: each once, a killed driver's too, and one that diverges costs itself."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest

from sepl.bundle.registry import Registry
from sepl.config import TrialConfig
from sepl.errors import DivergedError
from sepl.tuning.record.record import StudyFolder
from sepl.tuning.results.finalists import FinalistRun, read_verdict
from sepl.tuning.selection import SelectionRules, rerun_finalists, reruns, select_winner
from sepl.tuning.selection.reruns import Job

ROOT = Path(__file__).parents[4]
RULES = SelectionRules(finalists=3, finalist_seeds=2)
BARELY_LEARNS = {"learning_rate": 1e-7}
Make = Callable[..., None]


@pytest.fixture
def study(make_study: Make, params: dict[str, object]) -> None:
    """The search's first learned nothing and was lucky; the third is like it but slower."""
    make_study(others=((0.9, BARELY_LEARNS), (0.2, {"num_experts": 1})))


def kept(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (folder / "done" / "finalists").glob("*-fold-*.json")}


@pytest.mark.usefixtures("study")
def test_the_lucky_first_does_not_win_and_the_report_of_it_is_kept(tmp_path: Path) -> None:
    told: list[str] = []

    winner = select_winner(str(tmp_path), "done", told.append, rules=RULES)

    verdict = read_verdict(StudyFolder.at(str(tmp_path), "done").location)
    assert verdict is not None
    assert [standing.label for standing in verdict.standings] == ["trial 1", "trial 0", "trial 2"]
    assert verdict.winner == f"trial {winner.row.number}" != "trial 1"
    assert verdict.is_changed
    assert sorted(kept(tmp_path)) == [f"trial-{n:05d}-fold-{fold}.json" for n in range(3) for fold in range(2)]
    assert Registry(tmp_path / "registry").show("done").manifest.provenance.trial == verdict.winner
    lines = [line for line in told if line.startswith("re-run")]
    assert len(lines) == 6
    assert lines[0].startswith("re-run 1 of 6: trial 1, fold 0, skill")
    assert lines[0].endswith("left")
    assert verdict.told() in told


@pytest.mark.usefixtures("study")
def test_runs_are_made_where_they_are_told_and_then_not_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Job] = []

    def elsewhere(jobs: Sequence[Job]) -> Iterable[FinalistRun]:
        made.extend(jobs)
        return (job(print) for job in reversed(jobs))

    rerun_finalists(str(tmp_path), "done", RULES, elsewhere, lambda _: None)
    before = kept(tmp_path)
    monkeypatch.setattr(reruns, "_train", _never)

    winner = select_winner(str(tmp_path), "done", lambda _: None, rules=RULES)

    assert len(made) == 6
    assert kept(tmp_path) == before
    made.clear()
    rerun_finalists(str(tmp_path), "done", RULES, elsewhere, lambda _: None)
    assert made == []
    assert select_winner(str(tmp_path), "done", rules=RULES) == winner


def _never(*_: object) -> None:
    raise AssertionError("nothing is left to train")


@pytest.mark.usefixtures("study")
def test_a_run_that_diverges_costs_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def train(question: reruns.Question, _: object) -> tuple[float, dict[str, float | None]]:
        if question.fold == 1 and question.config.model.num_experts == 1:
            raise DivergedError("loss of age is not finite")
        return 0.5 + question.config.training.learning_rate, {}

    monkeypatch.setattr(reruns, "_train", train)
    told: list[str] = []

    rerun_finalists(str(tmp_path), "done", RULES, reruns.one_after_the_other, told.append)

    verdict = read_verdict(StudyFolder.at(str(tmp_path), "done").location)
    assert verdict is not None
    assert verdict.standings[2].skills == (pytest.approx(0.503), None)
    assert verdict.winner == "trial 0"
    assert any("trial 2, fold 1, no skill: loss of age is not finite" in line for line in told)


def test_where_one_trial_ran_to_its_end_nothing_is_run_again(
    make_study: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_study()
    monkeypatch.setattr(reruns, "_train", _never)

    winner = select_winner(str(tmp_path), "done", lambda _: None, rules=RULES)

    assert winner.row.number == 0
    assert not (tmp_path / "done" / "finalists").exists()


def test_the_papers_setting_and_hard_sharing_run_on_the_winners_folds(
    make_study: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_study()
    asked: list[TrialConfig] = []

    def train(question: reruns.Question, _: object) -> tuple[float, dict[str, float | None]]:
        asked.append(question.config)
        return 0.1 * question.fold, {}

    monkeypatch.setattr(reruns, "_train", train)

    rerun_finalists(str(tmp_path), "done", SelectionRules(compare=True), reruns.one_after_the_other, lambda _: None)

    verdict = read_verdict(StudyFolder.at(str(tmp_path), "done").location)
    assert verdict is not None
    assert [standing.label for standing in verdict.comparisons] == ["the paper's setting", "hard sharing"]
    assert [standing.mean for standing in verdict.comparisons] == [pytest.approx(0.1)] * 2
    assert [config.training.seed for config in asked] == [1, 2, 3] * 3


KILLED = """
import sys
from sepl.tuning.selection import SelectionRules, select_winner
print("begins", flush=True)
select_winner(sys.argv[1], "done", lambda line: print(line, flush=True), 1, rules=SelectionRules(3, 2))
"""


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.usefixtures("study")
def test_a_process_killed_at_random_moments_leaves_whole_runs_and_does_none_twice(tmp_path: Path) -> None:
    rng, seen = random.Random(0), dict[str, bytes]()
    for num_lines in (1, 2, 3, 2):
        with subprocess.Popen(
            [sys.executable, "-c", KILLED, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            for _ in range(num_lines):  # that it begins, what is kept, runs that are over
                process.stdout.readline()
            time.sleep(rng.uniform(0, 1.5))
            os.kill(process.pid, signal.SIGKILL)
        now = kept(tmp_path)
        assert {name: now[name] for name in seen} == seen  # what was over is as it was, byte for byte
        assert all(json.loads(text)["skill"] is not None for text in now.values())
        seen = now
    told: list[str] = []

    select_winner(str(tmp_path), "done", told.append, 1, rules=SelectionRules(3, 2))

    assert len([line for line in told if line.startswith("re-run")]) == 6 - len(seen)
    assert {name: kept(tmp_path)[name] for name in seen} == seen
    assert len(kept(tmp_path)) == 6
    assert len(Registry(tmp_path / "registry").list()) == 1
