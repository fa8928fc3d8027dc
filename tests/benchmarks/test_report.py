"""What every benchmark shares: options, interleaved timing, the JSON it writes, and their list."""

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import list_benchmarks
from benchmarks.support.report import (
    benchmark_parser,
    interleaved_medians,
    interleaved_seconds,
    machine_facts,
    report,
    shown,
)


def write_report(path: Path, **changes: Any) -> dict[str, Any]:
    options = benchmark_parser("a benchmark").parse_args(["--json", str(path), "--quick"])
    settings = {
        "name": "speed",
        "ratio": 2.5,
        "against": "slow over fast",
        "n": 3,
        "measured": {"cpu": {"seconds": 1.5}},
    }
    return report(options, **{**settings, **changes})


def test_the_json_holds_what_was_promised_and_the_machine(tmp_path: Path) -> None:
    write_report(tmp_path / "new" / "out.json")

    result = json.loads((tmp_path / "new" / "out.json").read_text())
    assert {key: result[key] for key in ("name", "ratio", "against", "n", "quick")} == {
        "name": "speed",
        "ratio": 2.5,
        "against": "slow over fast",
        "n": 3,
        "quick": True,
    }
    assert result["measured"] == {"cpu": {"seconds": 1.5}}
    assert {"cpu", "cores", "python", "versions"} <= result["machine"].keys()


def test_the_table_shows_every_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_report(tmp_path / "out.json")

    printed = capsys.readouterr().out
    assert "cpu · seconds" in printed
    assert "1.5" in printed
    assert "ratio 2.5: slow over fast" in printed


def test_a_figure_that_is_not_a_number_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_report(tmp_path / "out.json", ratio=float("nan"))

    assert not (tmp_path / "out.json").exists()


def test_a_benchmark_without_options_writes_nothing_and_is_full() -> None:
    options = benchmark_parser("a benchmark").parse_args([])

    assert options.json is None
    assert options.quick is False


def test_contenders_take_turns_and_warm_up_uncounted() -> None:
    calls: list[str] = []
    contenders = {name: lambda name=name: calls.append(name) for name in "abc"}

    seconds = interleaved_seconds(contenders, rounds=3, warmup=1)

    rounds = [calls[i : i + 3] for i in range(0, len(calls), 3)]
    assert len(rounds) == 4
    assert all(sorted(order) == ["a", "b", "c"] for order in rounds)
    assert {order[0] for order in rounds} == {"a", "b", "c"}  # none is always first
    assert {name: len(values) for name, values in seconds.items()} == {"a": 3, "b": 3, "c": 3}


def test_medians_are_of_the_calls_of_each() -> None:
    medians = interleaved_medians({"nothing": lambda: None}, rounds=5)

    assert 0 <= medians["nothing"] < 0.1


def test_a_figure_is_shown_with_its_interval() -> None:
    estimate = {"value": 0.25, "low": -0.05, "high": 0.5}

    assert shown(estimate, "+.2f") == "+0.25 (-0.05 … +0.50)"


def test_the_facts_of_the_machine_are_real() -> None:
    facts = machine_facts()

    assert facts["cores"] >= 1
    assert facts["cpu"]
    assert facts["versions"]["torch"]


def test_every_benchmark_is_listed_with_what_it_says_about_itself() -> None:
    listed = list_benchmarks()

    assert listed["sepl_head"].startswith("SePL's head")
    assert all(summary for summary in listed.values())
    assert not any(name.startswith("_") for name in listed)
