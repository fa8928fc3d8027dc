"""Which way of learning tasks together? All families at an equal tuning budget, held against a network a task.

    python -m benchmarks.families --json out.json [--quick]       # simulates a cohort of its own
    python -m benchmarks.families --data DATASET                  # of a prepared dataset
    python -m benchmarks.families --equal-cost                    # as long as a network a task takes, all of them

Every family gets the same number of settings out of search_spaces/families.py (its usual one, then random draws), the
same number of epochs for each, and is judged by the best of these on the validation patients, trained anew with several
seeds and measured on the sealed test patients. All have the same small backbone and batches. A network a task then
computes as many times more as there are tasks; with --equal-cost the seeds of a family whose step costs less get so
many more epochs. Given for each:

- skill per task, mean skill: mean over seeds, with 95 % percentile intervals over resamples of test patients and seeds.
- Δm: mean over tasks of the relative gain on a network a task, of the error (MAE) or of the AUC, in %, so that more is
  better; intervals are of paired resamples.
- parameters, and the time of a training step over that of hard sharing (usual settings, taken in turns).

The JSON's `ratio` is SePL's mean skill over that of a network a task. Nothing is promised: what comes out is written
down as it is.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args

import numpy as np
import optuna
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.support.budget import BudgetParser, best_on_validation, compared_on, seeded_skills
from benchmarks.support.report import interleaved_medians, report, shown
from benchmarks.support.skills import Floats, interval, judged_on, num_parameters, over_seeds
from search_spaces import families as space
from sepl.config import Family, TrialConfig
from sepl.data.dataset.dataset import PreparedDataset
from sepl.models.build import build_network
from sepl.models.parts.network import Context
from sepl.tasks import TaskTable
from sepl.training.input.batches import TrainingData

ALONE: Family = "single_task"
HELD_AGAINST: tuple[Family, ...] = (ALONE, "hard_sharing", "sepl")
"""What ratios are taken of or against; always among those compared."""
FAMILIES: tuple[Family, ...] = get_args(Family)
LEFT_OUT_OF_QUICK: tuple[Family, ...] = ("soft_sharing", "cross_stitch")
"""As dear as a network a task."""
CONSOLE = Console(highlight=False, width=200)

# A backbone of search_spaces/smoke.py, and what suits so few epochs: rates thirty times those for pretrained weights.
_SMALL: dict[str, Any] = {"backbone": "test_convnext", "weights": "none", "batch_size": 32}
_RATE_FACTOR = 30.0
_MOST_HIDDEN = 128


def main() -> None:
    options = _options()
    with compared_on(options, image_size=48) as dataset:
        _compare(options, dataset)


def _compare(options: argparse.Namespace, dataset: PreparedDataset) -> None:
    data = TrainingData.load(dataset)
    milliseconds = _step_milliseconds(options.families, data, options)
    tuned, skills = {}, {}
    for family in options.families:
        settings = [
            setting.with_params(num_epochs=options.search_epochs) for setting in _draw(family, options.num_trials)
        ]
        chosen = best_on_validation(settings, data)
        tuned[family] = chosen.with_params(num_epochs=_num_epochs(family, milliseconds, options))
        CONSOLE.print(f"{family}: tuned to learning rate {chosen.training.learning_rate:.1e}")
        skills[family] = seeded_skills(tuned[family], data, dataset, options.num_seeds)
        mean = np.nanmean(skills[family][:, 0])
        CONSOLE.print(f"{family}: mean test skill {mean:.3f} over {options.num_seeds} seeds")
    _report(options, dataset, tuned, skills, milliseconds)


def _num_epochs(family: Family, milliseconds: Mapping[Family, float], options: argparse.Namespace) -> int:
    """Of a seed."""
    times = milliseconds[ALONE] / milliseconds[family] if options.equal_cost else 1.0
    return max(1, round(options.num_epochs * times))


def _draw(family: Family, num_trials: int) -> list[TrialConfig]:
    """The family's usual setting, then random ones; what families have in common is drawn alike for all of them."""
    usual = next(point for point in space.FIRST_POINTS if point["family"] == family)
    trials = [OfFamily(_random_trial(number), family) for number in range(1, num_trials)]
    drawn = [{**space.space(trial), **trial.params} for trial in trials]
    return [_small(params) for params in (usual, *drawn)]


def _random_trial(number: int) -> optuna.Trial:
    """Of a study of its own, so that what one family is asked beside others does not change the answers that follow."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=number)).ask()


def _small(params: Mapping[str, Any]) -> TrialConfig:
    params = {**params, **_SMALL, "learning_rate": _RATE_FACTOR * params["learning_rate"]}
    if "hidden_width" in params:
        params["hidden_width"] = min(params["hidden_width"], _MOST_HIDDEN)
    return TrialConfig.from_params(params)


class OfFamily:
    """A trial whose family is settled."""

    def __init__(self, trial: optuna.Trial, family: Family) -> None:
        self._trial, self._family = trial, family
        self.suggest_int, self.suggest_float = trial.suggest_int, trial.suggest_float

    @property
    def params(self) -> dict[str, Any]:
        return {**self._trial.params, "family": self._family}

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        return self._family if name == "family" else self._trial.suggest_categorical(name, choices)


def _step_milliseconds(
    families: Sequence[Family], data: TrainingData, options: argparse.Namespace
) -> dict[Family, float]:
    steps = {family: _training_step(_draw(family, 1)[0], data) for family in families}
    seconds = interleaved_medians(steps, 5 if options.quick else 20)
    return {family: 1e3 * seconds[family] for family in families}


def _training_step(config: TrialConfig, data: TrainingData) -> Callable[[], None]:
    network = build_network(config.model, data.tasks, data.image_spec.size).to(data.device)
    optimiser = torch.optim.AdamW(network.parameters(), fused=True)
    size = data.image_spec.size
    images_BCHW = torch.randn(config.training.batch_size, 3, size, size, device=data.device)

    def step() -> None:
        context = Context(penalties=[])
        (network(images_BCHW, context).abs().mean(dim=0).sum() + network.penalty(context)).backward()
        optimiser.step()
        optimiser.zero_grad()
        if data.device.type == "cuda":
            torch.cuda.synchronize()

    return step


def _relative_gain(skills_SBT: Floats, alone_SBT: Floats, tasks: TaskTable) -> Floats:
    """Δm in %, (S, B). Skill is 1 − MAE / MAE(median) or 2 AUC − 1, so errors' and AUCs' ratios follow from it."""
    is_binary_T = np.array(tasks.is_binary)
    of_SBT = np.where(is_binary_T, 1 + alone_SBT, 1 - alone_SBT)  # 2 AUC, or MAE / MAE(median): 0 in no fair resample
    return 100 * np.nanmean((skills_SBT - alone_SBT) / np.where(of_SBT > 0, of_SBT, np.nan), axis=2)


def _report(
    options: argparse.Namespace,
    dataset: PreparedDataset,
    tuned: Mapping[Family, TrialConfig],
    skills: Mapping[Family, Floats],
    milliseconds: Mapping[Family, float],
) -> None:
    rows: dict[Family, dict[str, Any]] = {
        family: {
            "mean_skill": interval(over_seeds(np.nanmean(values_SBT, axis=2))),
            "mean_skill_per_seed": [round(float(value), 4) for value in np.nanmean(values_SBT[:, 0], axis=1)],
            "delta_m_percent": interval(over_seeds(_relative_gain(values_SBT, skills[ALONE], dataset.tasks))),
            "epochs": tuned[family].training.num_epochs,
            "parameters": num_parameters(tuned[family], dataset),
            "step_milliseconds": milliseconds[family],
            "step_over_hard_sharing": milliseconds[family] / milliseconds["hard_sharing"],
            "skill": {
                name: interval(over_seeds(values_SBT[:, :, index])) for index, name in enumerate(dataset.tasks.names)
            },
            "setting": _searched(tuned[family]),
        }
        for family, values_SBT in skills.items()
    }
    report(
        options,
        name="families",
        ratio=rows["sepl"]["mean_skill"]["value"] / rows[ALONE]["mean_skill"]["value"],
        against="SePL's mean test skill over that of a network a task, each with the best of as many settings",
        n=options.num_seeds,
        measured={
            **judged_on(dataset),
            "settings a family": options.num_trials,
            "epochs a setting": options.search_epochs,
            "epochs a seed of a network a task": options.num_epochs,
            "as long as a network a task": options.equal_cost,
            "backbone": _SMALL["backbone"],
            "families": rows,
        },
    )
    _print_skills(rows, dataset.tasks.names)
    _print_summary(rows)


def _searched(config: TrialConfig) -> str:
    """What differs from the defaults, but for what all families have in common."""
    usual = TrialConfig().to_params()
    return ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in config.to_params().items()
        if value != usual[name] and name not in (*_SMALL, "family", "num_epochs")
    )


def _print_summary(rows: Mapping[Family, Mapping[str, Any]]) -> None:
    table = Table("family", "mean skill", "Δm against a network a task", "epochs", "parameters", "step")
    for family, row in sorted(rows.items(), key=lambda item: -item[1]["mean_skill"]["value"]):
        gain = shown(row["delta_m_percent"], "+.1f") + " %"
        step = f"{row['step_over_hard_sharing']:.2f} ×"
        figures = f"{row['epochs']}", f"{row['parameters']:,}", step
        table.add_row(family, shown(row["mean_skill"], ".3f"), gain, *figures)
    CONSOLE.print(table)


def _print_skills(rows: Mapping[Family, Mapping[str, Any]], names: Sequence[str]) -> None:
    table = Table("skill", *rows)
    for name in names:
        table.add_row(name, *(shown(row["skill"][name], ".2f", "\n") for row in rows.values()))
    CONSOLE.print(table)


def _options() -> argparse.Namespace:
    parser = BudgetParser(__doc__)
    parser.options.add_argument(
        "--families", nargs="+", choices=FAMILIES, help="all, those that cost least with --quick"
    )
    parser.options.add_argument("--equal-cost", action="store_true", help="seeds of cheaper families get more epochs")
    parser.add_amount("num_seeds", 3, 2, "networks of each best setting")
    parser.add_amount("num_trials", 4, 1, "settings a family")
    parser.add_amount("search_epochs", 4, 1, "a setting")
    parser.add_amount("num_epochs", 8, 6, "a seed")
    parser.add_amount("num_patients", 500, 150, "simulated")
    options = parser.parse()
    left_out = LEFT_OUT_OF_QUICK if options.quick else ()
    chosen = options.families or [family for family in FAMILIES if family not in left_out]
    options.families = list(dict.fromkeys([*HELD_AGAINST, *chosen]))
    return options


if __name__ == "__main__":
    main()
