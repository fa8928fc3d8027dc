"""How should tasks share a trunk? Weightings and cooperative training against the plain sum, on hard sharing and SePL.

    python -m benchmarks.weighting --json out.json [--quick]      # simulates a cohort of its own
    python -m benchmarks.weighting --data DATASET                 # of a prepared dataset

Every way gets the same budget: the same learning rates to choose from on the validation patients, the same epochs,
batches and seeds, the same small backbone. It is then trained with each seed and measured on the sealed test patients:

- mean skill over tasks, mean over seeds, and its difference from the plain sum's in the same family; 95 % percentile
  intervals over resamples of test patients and of seeds, paired.
- the time of a training step over the plain sum's in the same family, ways timed in turns.

'groups' are the task groups' sub-models trained together, what cooperative training has to beat (docs/cooperative.md).
The JSON's `ratio` is the mean skill of SePL by UPGrad, TorchJD's recommendation, over SePL by the plain sum. Nothing is
promised: what comes out is written down as it is.
"""

import argparse
from collections.abc import Callable, Mapping
from typing import Any, get_args

import numpy as np
import torch
from rich.console import Console

from benchmarks.support.budget import SMALL, BudgetParser, best_on_validation, compared_on, seeded_skills
from benchmarks.support.report import interleaved_medians, report
from benchmarks.support.skills import Floats, interval, judged_on, over_seeds
from sepl.config import TrialConfig, WeightingName
from sepl.data.dataset.dataset import PreparedDataset
from sepl.training.input.batches import TrainingData
from sepl.training.supervised.run import TrainingRun

CONSOLE = Console(highlight=False)
PLAIN = "equal"
RATES = (1e-3, 3e-3)
TUNING_SEED = 1000
FAMILIES: dict[str, dict[str, Any]] = {
    "hard_sharing": {"family": "hard_sharing"},
    "sepl": {"family": "sepl", "num_experts": 4, "hidden_width": 64},
}
_SHARED: dict[str, Any] = {**SMALL, "warmup_epochs": 0.5}
_GROUPS: dict[str, Any] = {"task_groups": "physiological", "group_width": 16}
_COOPERATIVE: dict[str, Any] = {**_GROUPS, "cooperative": True}


def ways() -> dict[str, dict[str, Any]]:
    """Settings by the name of the way; 'fixed' is left out, since its weights are its user's."""
    weightings = {name: {"weighting": name} for name in get_args(WeightingName) if name not in ("fixed", PLAIN)}
    weightings["stch"]["stch_warmup_epochs"] = 2
    return {
        PLAIN: {},
        **weightings,
        "groups": _GROUPS,
        "cooperative": {**_COOPERATIVE, "cooperative_noise": "none"},
        "cooperative, uniform features": _COOPERATIVE,
        "cooperative, gaussian parameters": {
            **_COOPERATIVE,
            "cooperative_place": "parameters",
            "cooperative_noise": "gaussian",
            "cooperative_draws": 2,
        },
        "cooperative, ascent": {**_COOPERATIVE, "cooperative_noise": "ascent"},
    }


def main() -> None:
    options = _options()
    with compared_on(options, image_size=32) as dataset:
        _compare(options, dataset)


def _compare(options: argparse.Namespace, dataset: PreparedDataset) -> None:
    data = TrainingData.load(dataset)
    tuned: dict[str, dict[str, TrialConfig]] = {}
    skills: dict[str, dict[str, Floats]] = {}
    for family, params in FAMILIES.items():
        chosen = {way: {**_SHARED, **params, **ways()[way]} for way in options.ways}
        tuned[family] = {way: _tune(setting, data, options) for way, setting in chosen.items()}
        skills[family] = {}
        for way, config in tuned[family].items():
            skills[family][way] = np.nanmean(seeded_skills(config, data, dataset, options.num_seeds), axis=-1)
            CONSOLE.print(f"{family} · {way}: mean test skill {skills[family][way][:, 0].mean():.3f}")
    milliseconds = {family: _step_milliseconds(tuned[family], data, options) for family in FAMILIES}
    _report(options, dataset, tuned, skills, milliseconds)


def _tune(params: Mapping[str, Any], data: TrainingData, options: argparse.Namespace) -> TrialConfig:
    """With the learning rate of the best validation skill; with one rate to choose from nothing is trained."""
    config = TrialConfig.from_params({**params, "num_epochs": options.num_epochs, "seed": TUNING_SEED})
    settings = [config.with_params(learning_rate=rate) for rate in options.rates]
    return best_on_validation(settings, data)


def _step_milliseconds(
    settings: Mapping[str, TrialConfig], data: TrainingData, options: argparse.Namespace
) -> dict[str, float]:
    steps = {way: _training_step(config, data) for way, config in settings.items()}
    return {way: 1e3 * value for way, value in interleaved_medians(steps, 5 if options.quick else 15).items()}


def _training_step(config: TrialConfig, data: TrainingData) -> Callable[[], None]:
    """The step of a run itself, on one batch."""
    run = TrainingRun(config, data)
    batch = next(iter(data.train.epoch(config.training.batch_size, torch.Generator().manual_seed(0))))

    def step() -> None:
        with run.active():
            run.step(batch, 1e-4)
        if data.device.type == "cuda":
            torch.cuda.synchronize()

    return step


def _report(
    options: argparse.Namespace,
    dataset: PreparedDataset,
    tuned: Mapping[str, Mapping[str, TrialConfig]],
    skills: Mapping[str, Mapping[str, Floats]],
    milliseconds: Mapping[str, Mapping[str, float]],
) -> None:
    report(
        options,
        name="weighting",
        ratio=float(skills["sepl"]["upgrad"][:, 0].mean() / skills["sepl"][PLAIN][:, 0].mean()),
        against="mean test skill of SePL trained by the plain sum of losses, same budget and seeds",
        n=options.num_seeds,
        measured={
            **judged_on(dataset),
            "epochs": options.num_epochs,
            "learning rates tried": list(options.rates),
            "of each way": {
                family: {
                    way: {
                        "mean skill": interval(over_seeds(skills_SB)),
                        "minus the plain sum": interval(over_seeds(skills_SB - skills[family][PLAIN])),
                        "step over the plain sum's": milliseconds[family][way] / milliseconds[family][PLAIN],
                        "step_ms": milliseconds[family][way],
                        "learning rate": tuned[family][way].training.learning_rate,
                    }
                    for way, skills_SB in skills[family].items()
                }
                for family in FAMILIES
            },
        },
    )


def _options() -> argparse.Namespace:
    parser = BudgetParser(__doc__)
    parser.options.add_argument("--ways", nargs="+", choices=list(ways()), default=list(ways()), metavar="WAY")
    parser.add_amount("num_seeds", 3, 2, "networks a way")
    parser.add_amount("num_patients", 350, 150, "of the cohort simulated")
    parser.add_amount("num_epochs", 8, 3, "of every training")
    options = parser.parse()
    options.ways = list(dict.fromkeys([PLAIN, "upgrad", *options.ways]))  # what the ratio is taken of
    options.rates = RATES[-1:] if options.quick else RATES
    return options


if __name__ == "__main__":
    main()
