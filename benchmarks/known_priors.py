"""Are known values worth giving? Mean skill over the harder tasks with age and sex, or all six simple factors, known.

Networks of three families are trained on one simulated cohort; patients of another one, whom nobody has seen, are
parted into those on whom a way to use known values is fitted (35 to 350) and those who judge it. The ways:

- stage 1         the outputs conditioned on how far the known ones are off, as scoring does it for every family
- stage 2         a network trained with `known_share = 0.5`, told what is known; of SePL alone
- both            stage 1 on the outputs of stage 2, told the same
- FiLM            the features moved by what is known, learned with the network (benchmarks/support/film.py)
- stacked ridge   the cheap rival: a ridge regression a task on all outputs and the known values
- ceiling         stage 1 fitted on the very patients who judge: what no number of patients would bring it much beyond

beside nothing known, and the floor of the same values without a photograph (ridge or boosted trees, the better on
validation patients). All are judged on the patients of whom the pattern's values are known. The JSON's `ratio` is stage
1 / nothing known with age and sex known, fitted on 120 patients, mean over the families (goal 1.08); "ratios" has the
others (six known: goal 1.14). No task should lose more than 0.003.

    python -m benchmarks.known_priors --json out.json [--quick]

Intervals are 95 % percentile intervals over resamples of patients *and* of seeds, of differences paired.
"""

import argparse
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from benchmarks.support.cohorts import simulated_dataset
from benchmarks.support.equal_budget import SHORT
from benchmarks.support.film import train_film
from benchmarks.support.known_arms import Learned, Moved, Patients, condition_on, outputs_of, stack_on, worst_of
from benchmarks.support.pace import Pace
from benchmarks.support.report import benchmark_parser, report
from benchmarks.support.skills import NUM_BOOTSTRAP, Floats, interval, over_seeds, trained_network
from sepl.bundle.conditioning import SIMPLE
from sepl.config import Family, TrialConfig
from sepl.data.dataset.dataset import Photographs, PreparedDataset
from sepl.metrics.floor import fit_known_floor
from sepl.tasks import TaskSplit
from sepl.training.input.batches import TrainingData

FAMILIES: tuple[Family, ...] = ("hard_sharing", "sepl", "cgc")
PATTERNS: dict[str, tuple[str, ...]] = {"age + sex": ("sex", "age"), "six simple": SIMPLE}
UNKNOWN, FLOOR = "nothing known", "floor"
STAGE_1, STAGE_2, BOTH, FILM, STACKED = "stage 1", "stage 2", "both", "FiLM", "stacked ridge"
CEILING = "ceiling"
KNOWN_SHARE = 0.5
CONSOLE = Console(highlight=False)

_SPLITS = ("train", "validation", "calibration", "test")
_EXPERTS: dict[str, Any] = {"num_experts": 4, "hidden_width": 128}


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        datasets = []
        for name, num_patients, seed in (
            ("learned", options.num_patients, 1),
            ("fresh", max(options.num_fitted) + options.num_judged, 2),
        ):
            CONSOLE.print(f"simulates and prepares {num_patients} patients: {name}")
            path = Path(folder) / name
            datasets.append(PreparedDataset.open(simulated_dataset(path, num_patients, image_size=64, seed=seed)))
        _compare(options, *datasets)


def setting(family: Family, num_epochs: int, seed: int = 0, known_share: float = 0.0) -> TrialConfig:
    """Of a network at this budget."""
    params = {**SHORT, "family": family, "task_split": "anthropometric", "learning_rate": 3e-3}
    params |= {"num_epochs": num_epochs, "seed": seed}
    params |= {} if family == "hard_sharing" else _EXPERTS
    return TrialConfig.from_params(params | ({"known_share": known_share} if known_share else {}))


@dataclass(frozen=True, eq=False)
class Fresh:
    """Patients whom no network has seen, and by what they are judged."""

    photographs: Photographs
    labels_PT: Floats
    num_fitted: tuple[int, ...]
    """So many of the first patients are fitted on; those behind the largest number are judged."""
    learned: Learned
    floors: Mapping[str, Floats]
    """By pattern, values (P, T) of the known ones alone."""
    num_bootstrap: int

    def fitted(self, outputs_PT: Floats, num_patients: int) -> Patients:
        return Patients(outputs_PT[:num_patients], self.labels_PT[:num_patients])

    def judged(self, outputs_PT: Floats, known: Sequence[str]) -> Patients:
        """Those behind, of whom all of these are known."""
        behind = np.arange(max(self.num_fitted), len(self.labels_PT))
        labels_PK = self.labels_PT[:, self.learned.places(known)]
        rows = behind[np.isfinite(labels_PK[behind]).all(axis=1)]
        return Patients(outputs_PT[rows], self.labels_PT[rows])

    def told(self, known: Sequence[str], another: bool = False) -> Floats:
        """Labels to tell (P, T): the patients' own, or another's."""
        labels_PT = np.roll(self.labels_PT, 1, axis=0) if another else self.labels_PT
        return self.learned.only(labels_PT, known)

    @property
    def targets(self) -> list[int]:
        return [index for index, name in enumerate(self.learned.tasks.names) if name not in SIMPLE]


@dataclass(frozen=True, eq=False)
class Figure:
    """Of one way and seed: mean target skill (B,), skill of every task (T,), the former with another's values."""

    mean_B: Floats
    skills_T: Floats
    shuffled_B: Floats | None = None
    coverage: float | None = None


@dataclass(eq=False)
class Figures:
    """Of all seeds, by family, pattern, and way with the number of patients that it was fitted on (0: none)."""

    rows: dict[tuple[str, str, str, int], list[Figure]] = field(default_factory=lambda: defaultdict(list))

    def mean(self, family: str, pattern: str, way: str, num_fitted: int = 0) -> Floats:
        """(S, B) mean target skill."""
        return np.stack([row.mean_B for row in self.rows[family, pattern, way, num_fitted]])


def _compare(options: argparse.Namespace, dataset: PreparedDataset, fresh_dataset: PreparedDataset) -> None:
    data = TrainingData.load(dataset)
    fresh = _fresh(options, dataset, fresh_dataset)
    figures = Figures()
    pace = Pace(options.num_seeds * len(options.families))
    for seed in range(options.num_seeds):
        for family in options.families:
            for pattern, way, num_fitted, figure in _figures_of(family, seed, data, fresh, options):
                figures.rows[family, pattern, way, num_fitted].append(figure)
                CONSOLE.print(f"seed {seed} · {family} · {pattern} · {way} {num_fitted or ''}: {figure.mean_B[0]:.3f}")
            CONSOLE.print(pace.finish_run())
    _report(options, data, fresh, figures)


def _fresh(options: argparse.Namespace, dataset: PreparedDataset, fresh_dataset: PreparedDataset) -> Fresh:
    photographs = fresh_dataset.photographs(*_SPLITS)
    labels_PT = photographs.per_patient(photographs.labels_NT)
    train, validation = (
        found.per_patient(found.labels_NT)
        for found in (dataset.photographs("train"), dataset.photographs("validation"))
    )
    return Fresh(
        photographs=photographs,
        labels_PT=labels_PT,
        num_fitted=tuple(options.num_fitted),
        learned=Learned(dataset.tasks, dataset.scaler),
        floors={
            pattern: fit_known_floor(train, validation, labels_PT, dataset.tasks, known)
            for pattern, known in PATTERNS.items()
        },
        num_bootstrap=options.num_bootstrap,
    )


def _figures_of(
    family: Family, seed: int, data: TrainingData, fresh: Fresh, options: argparse.Namespace
) -> Iterator[tuple[str, str, int, Figure]]:
    """Pattern, way, number fitted on and figure; every network is trained once and asked for all of them."""
    config, learned = setting(family, options.num_epochs, seed), fresh.learned
    plain_PT = outputs_of(trained_network(config, data), fresh.photographs, learned)
    for pattern, known in PATTERNS.items():
        judged = fresh.judged(plain_PT, known)
        yield pattern, UNKNOWN, 0, _figure(learned.values(judged.outputs_PT), judged, fresh)
        floor = fresh.judged(fresh.floors[pattern], known)
        yield pattern, FLOOR, 0, _figure(floor.outputs_PT, floor, fresh)
        yield pattern, CEILING, 0, _moved(condition_on(known, judged, judged, learned), judged, fresh)
        for num in fresh.num_fitted:
            fit = fresh.fitted(plain_PT, num)
            yield pattern, STAGE_1, num, _moved(condition_on(known, fit, judged, learned), judged, fresh)
            yield pattern, STACKED, num, _moved(stack_on(known, fit, judged, learned), judged, fresh)
    yield from _told_figures(
        FILM, train_film(config, data, TaskSplit.parse(config.model.task_split, data.tasks).priors), fresh
    )
    if family == "sepl":
        network = trained_network(setting(family, options.num_epochs, seed, KNOWN_SHARE), data)
        yield from _told_figures(STAGE_2, network, fresh, conditioned=BOTH)


def _told_figures(
    way: str, network: Any, fresh: Fresh, conditioned: str | None = None
) -> Iterator[tuple[str, str, int, Figure]]:
    """Of a network that is told what is known, and of stage 1 on its outputs."""
    learned = fresh.learned
    for pattern, known in PATTERNS.items():
        own_PT, other_PT = (
            outputs_of(network, fresh.photographs, learned, fresh.told(known, another)) for another in (False, True)
        )
        judged, shuffled = fresh.judged(own_PT, known), fresh.judged(other_PT, known)
        values, others = learned.values(judged.outputs_PT), learned.values(shuffled.outputs_PT)
        yield pattern, way, 0, _moved(Moved(values, others, np.full_like(values, np.nan)), judged, fresh)
        for num in fresh.num_fitted if conditioned else ():
            moved = condition_on(known, fresh.fitted(own_PT, num), judged, learned)
            figure = _moved(moved, judged, fresh)  # told its own values: another patient's are in stage 2 alone
            yield pattern, str(conditioned), num, Figure(figure.mean_B, figure.skills_T, None, figure.coverage)


def _figure(values_PT: Floats, judged: Patients, fresh: Fresh) -> Figure:
    skills_BT = fresh.learned.skills(values_PT, judged.labels_PT, fresh.num_bootstrap)
    return Figure(np.nanmean(skills_BT[:, fresh.targets], axis=1), skills_BT[0])


def _moved(moved: Moved, judged: Patients, fresh: Fresh) -> Figure:
    own, other = (_figure(values, judged, fresh) for values in (moved.values_PT, moved.shuffled_PT))
    return Figure(own.mean_B, own.skills_T, other.mean_B, moved.coverage(judged.labels_PT))


def _report(options: argparse.Namespace, data: TrainingData, fresh: Fresh, figures: Figures) -> None:
    ratios = _ratios(options.families, fresh.num_fitted, figures)
    first, num = next(iter(PATTERNS)), _nearest(fresh.num_fitted, 120)
    report(
        options,
        name="known_priors",
        ratio=ratios[first][f"{STAGE_1}, {num}"],
        against=f"mean target skill with age and sex known, fitted on {num} patients, over that with nothing known",
        n=options.num_seeds,
        measured={
            "training patients": int(data.train.patient_N.max()) + 1,
            "judged patients": len(fresh.labels_PT) - max(fresh.num_fitted),
            "ratios": ratios,
            **{
                family: {pattern: _pattern_rows(family, pattern, fresh, figures) for pattern in PATTERNS}
                for family in options.families
            },
        },
    )


def _ratios(families: Sequence[str], num_fitted: Sequence[int], figures: Figures) -> dict[str, dict[str, float | None]]:
    """By pattern and way, known / nothing known in mean target skill over the families that have the way.

    None where nothing known shows nothing.
    """
    found: dict[str, dict[str, float | None]] = {pattern: {} for pattern in PATTERNS}
    ways = [
        (FLOOR, 0),
        (FILM, 0),
        (STAGE_2, 0),
        (CEILING, 0),
        *((way, num) for way in (STAGE_1, BOTH, STACKED) for num in num_fitted),
    ]
    for pattern in PATTERNS:
        for way, num in ways:
            having = [family for family in families if (family, pattern, way, num) in figures.rows]
            if having:
                known, unknown = (
                    sum(figures.mean(family, pattern, *key)[:, 0].mean() for family in having)
                    for key in ((way, num), (UNKNOWN, 0))
                )
                found[pattern][f"{way}, {num}" if num else way] = float(known / unknown) if unknown > 0 else None
    return found


def _pattern_rows(family: str, pattern: str, fresh: Fresh, figures: Figures) -> dict[str, Any]:
    unknown_SB, floor_SB = (figures.mean(family, pattern, way) for way in (UNKNOWN, FLOOR))
    before_T = np.mean([row.skills_T for row in figures.rows[family, pattern, UNKNOWN, 0]], axis=0)
    found: dict[str, Any] = {
        UNKNOWN: interval(over_seeds(unknown_SB)),
        FLOOR: interval(over_seeds(floor_SB)),
        f"{UNKNOWN} − {FLOOR}": interval(over_seeds(unknown_SB - floor_SB)),
    }
    for (of_family, of_pattern, way, num), rows in figures.rows.items():
        if (of_family, of_pattern) != (family, pattern) or way in (UNKNOWN, FLOOR):
            continue
        known_SB = figures.mean(family, pattern, way, num)
        change_T = np.mean([row.skills_T for row in rows], axis=0) - before_T
        others = [row.shuffled_B for row in rows if row.shuffled_B is not None]
        coverage = [row.coverage for row in rows if row.coverage is not None]
        found[f"{way}, {num}" if num else way] = {
            "mean target skill": interval(over_seeds(known_SB)),
            "known − unknown": interval(over_seeds(known_SB - unknown_SB)),
            "known − floor": interval(over_seeds(known_SB - floor_SB)),
            **({"another patient's": interval(over_seeds(np.stack(others)))} if others else {}),
            "worst task": worst_of(_changes(change_T, PATTERNS[pattern], fresh)),
            **({"coverage": float(np.mean(coverage))} if coverage else {}),
        }
    return found


def _changes(change_T: Floats, known: Sequence[str], fresh: Fresh) -> dict[str, float]:
    """By task that is not known and has a skill, known − unknown."""
    names = fresh.learned.tasks.names
    return {
        name: float(change)
        for name, change in zip(names, change_T, strict=True)
        if name not in known and np.isfinite(change)
    }


def _nearest(numbers: Sequence[int], wanted: int) -> int:
    return min(numbers, key=lambda number: abs(number - wanted))


def _options() -> argparse.Namespace:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--families", nargs="+", choices=FAMILIES, help="(all; sepl with --quick)")
    parser.add_argument("--num-fitted", nargs="+", type=int, help="patients to fit on (35 60 120 350; --quick 35 60)")
    for name, default in _NUMBERS.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, help=f"(default {default[0]}, {default[1]} quick)")
    options = parser.parse_args()
    quick = bool(options.quick)
    options.families = options.families or (("sepl",) if quick else FAMILIES)
    options.num_fitted = options.num_fitted or ((35, 60) if quick else (35, 60, 120, 350))
    for name, default in _NUMBERS.items():
        setattr(options, name, getattr(options, name) or default[quick])
    return options


_NUMBERS = {
    "num_patients": (1000, 240),
    "num_judged": (700, 100),
    "num_epochs": (15, 9),
    "num_seeds": (3, 1),
    "num_bootstrap": (NUM_BOOTSTRAP, 200),
}


if __name__ == "__main__":
    main()
