"""What every benchmark shares: options, interleaved timing, one table, one JSON file with the facts of the machine."""

import argparse
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from sepl.execution.cores import num_cores

_VERSIONED = ("torch", "timm", "ray", "optuna", "numpy", "pyarrow")


def benchmark_parser(description: str | None) -> argparse.ArgumentParser:
    """The options that every benchmark has; a benchmark may add its own.

    `--json PATH` (a file to write, or None) and `--quick` (the same comparison on less work, ≤ 3 minutes on 2 cores).
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, metavar="PATH", help="write the result to this file")
    parser.add_argument("--quick", action="store_true", help="the same comparison on less work")
    return parser


def interleaved_seconds(
    contenders: Mapping[str, Callable[[], object]], rounds: int, *, warmup: int = 2
) -> dict[str, list[float]]:
    """Seconds of every call: each round times each contender once, so that a machine's drift meets all of them alike.

    The order turns by one every round, so that none always runs in the wake of the same other. `warmup` rounds are
    run before and not counted. A contender that starts work on a GPU should wait for it before it returns.
    """
    names = list(contenders)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for turn in range(-warmup, rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            start = time.perf_counter()
            contenders[name]()
            if turn >= 0:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def interleaved_medians(
    contenders: Mapping[str, Callable[[], object]], rounds: int, *, warmup: int = 2
) -> dict[str, float]:
    """Median seconds a call of every contender, timed as `interleaved_seconds` does."""
    return {
        name: statistics.median(seconds)
        for name, seconds in interleaved_seconds(contenders, rounds, warmup=warmup).items()
    }


def report(
    options: argparse.Namespace, *, name: str, ratio: float | None, against: str, n: int, measured: Mapping[str, Any]
) -> dict[str, Any]:
    """Prints the table of a finished benchmark, writes `options.json` when given, and returns what was written.

    `ratio` is the figure promised, `against` says in words what is compared with what, `n` counts the repetitions
    behind it, `measured` holds every number that was taken, with its unit in its name; a mapping in it is a row more
    for each of its entries.
    """
    result = {
        "name": name,
        "ratio": ratio,
        "against": against,
        "n": n,
        "quick": options.quick,
        "measured": dict(measured),
        "machine": machine_facts(),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    _print_table(result)
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(result, indent=2, allow_nan=False) + "\n")
        print(f"written: {options.json}")
    return result


def shown(estimate: Mapping[str, float], form: str, between: str = " ") -> str:
    """A figure and its interval in one cell: `value (low … high)`, each in the format `form`."""
    return f"{estimate['value']:{form}}{between}({estimate['low']:{form}} … {estimate['high']:{form}})"


def machine_facts() -> dict[str, Any]:
    """CPU, cores this process may use, Python and library versions; GPU and threads where torch is loaded."""
    facts: dict[str, Any] = {
        "cpu": _cpu_model(),
        "cores": num_cores(),
        "python": platform.python_version(),
        "versions": {package: _version(package) for package in _VERSIONED},
    }
    if "torch" in sys.modules:  # the library's versions need no import; these facts do
        torch = sys.modules["torch"]
        facts["torch_threads"] = torch.get_num_threads()
        facts["gpu"] = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return facts


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _print_table(result: Mapping[str, Any]) -> None:
    table = Table("measured", "value", title=f"{result['name']} (n = {result['n']})")
    for label, value in _rows(result["measured"]):
        table.add_row(label, value)
    Console().print(table)
    ratio = "–" if result["ratio"] is None else f"{result['ratio']:.3g}"
    print(f"ratio {ratio}: {result['against']}")


def _rows(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            rows += _rows(value, f"{prefix}{key} · ")
        else:
            rows.append((f"{prefix}{key}", f"{value:.4g}" if isinstance(value, float) else str(value)))
    return rows
