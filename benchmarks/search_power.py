"""How many epochs until a search has a setting as good as the best, ours against its rivals, in simulated time.

    python -m benchmarks.search_power [--table FILE] [--json out.json] [--quick]
    python -m benchmarks.search_power --table FILE --all      # every scheduler with every sampler

A table holds settings that were trained once, epoch by epoch (sepl/tuning/search/backends/curve_table.py has its
form; benchmarks/search_table.py wrote ours). Each way searches it with each seed until a trial has come within 1 % of
the best skill that any setting of the table ends with. What counts is the epochs trained until then, and the simulated
seconds of so many workers.

- random + ASHA              Optuna's RandomSampler, Ray's ASHA with its defaults (grace period 1, reduction factor 4)
- stock OptunaSearch + ASHA  Optuna's TPESampler, told that every trial is complete with its last value, wherever it
                             was stopped, as Ray's OptunaSearch tells it; the same ASHA
- 1 epoch, then top k        every setting of the table one epoch, then the best tenth to the end (Egele et al. 2023)
- ours                       `--scheduler`, `--sampler` and `--grace-epochs`; Optuna is told the truth

All share the workers, the seeds, the best skill so far as the metric, and how a proposal becomes a setting: the nearest
that was not tried, by the sum over hyperparameters of 1 where a choice differs and of a number's difference over its
range (of logarithms where it is searched so). The sampler is told the hyperparameters of that setting. A search that
ends without such a trial counts as training the whole table. Medians over seeds with 95 % bootstrap intervals; `ratio`
is ours over stock, in epochs.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import optuna
from rich.console import Console

from benchmarks.support.report import benchmark_parser, report
from benchmarks.support.search_arms import Arm, Cost, cost_until, our_sampler, our_scheduler, rivals
from sepl.errors import ConfigError
from sepl.tuning.search.backends.curve_table import CurveTable
from sepl.tuning.search.schedulers.build import SchedulerName

CONSOLE = Console(highlight=False)
_RESULTS = Path(__file__).parent / "results"
STOCK, OURS = "stock OptunaSearch + ASHA", "ours"
SAMPLERS = ("tpe", "tpe_rank", "cqr", "random")
TOLERANCE = 0.01
_NUM_BOOTSTRAP = 2000


def main() -> None:
    options = _options()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    table = CurveTable.read(options.table)
    goal = table.best_skill - TOLERANCE * abs(table.best_skill)
    costs: dict[str, list[Cost]] = {}
    for name, arm in _arms(options).items():
        costs[name] = [
            cost_until(arm, table, goal, seed=seed, num_workers=options.workers) for seed in range(options.num_seeds)
        ]
        epochs = _median([cost.epochs for cost in costs[name]])
        CONSOLE.print(f"{name}: {epochs['value']:.0f} epochs ({epochs['low']:.0f} … {epochs['high']:.0f})")
    report(
        options,
        name="search_power",
        ratio=_ratio(costs[OURS], costs[STOCK])["value"],
        against="epochs until within 1 % of the best, ours over stock OptunaSearch + ASHA, medians over seeds",
        n=options.num_seeds,
        measured={
            "table": {"settings": len(table.curves), "epochs": table.num_epochs, "best_skill": table.best_skill},
            "ours": f"{options.scheduler} + {options.sampler}, grace epochs {options.grace_epochs}",
            "num_workers": options.workers,
            "ways": {name: _measured(of_seeds, costs[STOCK]) for name, of_seeds in costs.items()},
        },
    )


def _options() -> argparse.Namespace:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--table", type=Path, default=_newest_table(), metavar="FILE", help="Parquet table of curves")
    parser.add_argument("--num-seeds", type=int, help="20; 5 with --quick")
    parser.add_argument("--workers", type=int, default=4, help="trials at once")
    parser.add_argument("--scheduler", choices=get_args(SchedulerName), default="asha")
    parser.add_argument("--sampler", choices=SAMPLERS, default="tpe")
    parser.add_argument("--grace-epochs", type=_grace, default=1, help="a number or auto")
    parser.add_argument("--all", action="store_true", help="every scheduler with every sampler beside")
    options = parser.parse_args()
    options.num_seeds = options.num_seeds or (5 if options.quick else 20)
    return options


def _newest_table() -> Path:
    return max(_RESULTS.glob("*-search_table.parquet"), default=_RESULTS / "search_table.parquet")


def _grace(text: str) -> int | str:
    return text if text == "auto" else int(text)


def _arms(options: argparse.Namespace) -> dict[str, Arm]:
    arms = {**rivals(), OURS: Arm(our_scheduler(options.scheduler, options.grace_epochs), our_sampler(options.sampler))}
    if options.all:
        for scheduler in get_args(SchedulerName):
            for sampler in SAMPLERS:
                for grace in (1, "auto"):
                    name = f"{scheduler} + {sampler}, grace {grace}"
                    arms[name] = Arm(our_scheduler(scheduler, grace), our_sampler(sampler))
    return arms


def _measured(costs: Sequence[Cost], stock: Sequence[Cost]) -> dict[str, Any]:
    return {
        "epochs": _median([cost.epochs for cost in costs]),
        "seconds": _median([cost.seconds for cost in costs]),
        "num_reached": sum(cost.is_reached for cost in costs),
        "over_stock": _ratio(costs, stock),
    }


def _median(values: Sequence[float]) -> dict[str, float]:
    draws = np.random.default_rng(0).choice(values, size=(_NUM_BOOTSTRAP, len(values)))
    low, high = np.percentile(np.median(draws, axis=1), [2.5, 97.5])
    return {"value": float(np.median(values)), "low": float(low), "high": float(high)}


def _ratio(costs: Sequence[Cost], stock: Sequence[Cost]) -> dict[str, float]:
    """Of the medians in epochs, its interval over resamples of seeds."""
    draws = np.random.default_rng(0).integers(len(costs), size=(_NUM_BOOTSTRAP, len(costs)))
    ours_S, stock_S = (np.array([cost.epochs for cost in of_seeds]) for of_seeds in (costs, stock))
    ratios = np.median(ours_S[draws], axis=1) / np.median(stock_S[draws], axis=1)
    low, high = np.percentile(ratios, [2.5, 97.5])
    return {"value": float(np.median(ours_S) / np.median(stock_S)), "low": float(low), "high": float(high)}


if __name__ == "__main__":
    try:
        main()
    except ConfigError as problem:
        raise SystemExit(f"error: {problem}") from None
