"""SePL on weights that have seen pictures against regressions on the same: on every patient who is not sealed.

    SEPL_REAL_DATA=FOLDER python -m benchmarks.transfer_folds --json out.json [--quick]
    python -m benchmarks.transfer_folds --data DATASET --backbone tf_efficientnet_lite2

`benchmarks.transfer` judges on the sealed test patients, of whom some findings have no more than four. Here the train
and validation patients are dealt into folds, by patient; each fold is predicted by what was fitted on the others, and
all of them are judged together. Nothing is chosen on who is judged:

- packaged        SePL's heads on the frozen backbone, in the setting of `benchmarks.transfer`, weights of the last
                  epoch
- frozen          ridge and logistic regressions on the same features, penalties cross-validated among the others

Intervals are 95 % percentile intervals over resamples of patients, and of seeds; of differences paired. The JSON's
`ratio` is packaged / frozen in mean skill.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from rich.console import Console

from benchmarks.support.known_arms import Learned, outputs_of
from benchmarks.support.odir import odir_dataset
from benchmarks.support.report import benchmark_parser, report
from benchmarks.support.skills import NUM_BOOTSTRAP, Floats, interval, over_seeds
from benchmarks.transfer import PACKAGED, settings
from sepl.config import TrialConfig
from sepl.data.dataset.dataset import PreparedDataset
from sepl.training.input.folds import FOLDED, Fold, load_fold
from sepl.training.probe.closed_form import closed_form_values
from sepl.training.probe.features import Encoder
from sepl.training.supervised.run import TrainingRun, train

CONSOLE = Console(highlight=False)


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as folder:
        data = options.data or odir_dataset(
            Path(folder), image_size=options.image_size, one_in=10 if options.quick else 1
        )
        _compare(options, PreparedDataset.open(data))


def _compare(options: argparse.Namespace, dataset: PreparedDataset) -> None:
    config = settings(options.backbone, options.num_epochs)[PACKAGED]
    folds = [Fold(number, options.num_folds, seed=0) for number in range(options.num_folds)]
    frozen_BT = _skills(dataset, frozen_out_of_fold(config, dataset, folds))
    CONSOLE.print(f"frozen: mean skill {np.nanmean(frozen_BT[0]):.3f}")
    packaged: list[Floats] = []
    for seed in range(options.num_seeds):
        packaged.append(_skills(dataset, out_of_fold(config.with_params(seed=seed), dataset, folds)))
        CONSOLE.print(f"seed {seed} · packaged: mean skill {np.nanmean(packaged[-1][0]):.3f}")
    packaged_SBT, frozen_SBT = np.stack(packaged), np.stack([frozen_BT] * options.num_seeds)
    packaged_SB, frozen_SB = (np.nanmean(skills_SBT, axis=2) for skills_SBT in (packaged_SBT, frozen_SBT))
    report(
        options,
        name="transfer_folds",
        ratio=float(packaged_SB[:, 0].mean() / frozen_SB[:, 0].mean()),
        against="mean skill out of fold of SePL's heads on frozen packaged weights, over that of regressions on them",
        n=options.num_seeds,
        measured={
            "cohort splits": "+".join(FOLDED),
            "patients": dataset.photographs(*FOLDED).num_patients,
            "folds": options.num_folds,
            "image size": dataset.image_spec.size,
            "backbone": options.backbone,
            "epochs": options.num_epochs,
            "packaged": interval(over_seeds(packaged_SB)),
            "frozen": interval(over_seeds(frozen_SB)),
            "packaged − frozen": interval(over_seeds(packaged_SB - frozen_SB)),
            "skill": {
                name: {
                    "packaged": interval(over_seeds(packaged_SBT[:, :, index])),
                    "frozen": interval(over_seeds(frozen_SBT[:, :, index])),
                }
                for index, name in enumerate(dataset.tasks.names)
            },
        },
    )


def out_of_fold(config: TrialConfig, dataset: PreparedDataset, folds: list[Fold]) -> Floats:
    """Values (P, T) of the patients of all folds, in the order of the dataset, each by a network trained without them.

    In units; of binary tasks the logit.
    """
    learned, everybody = Learned(dataset.tasks, dataset.scaler), dataset.photographs(*FOLDED)
    values_PT = np.full((everybody.num_patients, len(dataset.tasks)), np.nan)
    for fold in folds:
        data = load_fold(dataset, fold)
        assert data.validation is not None
        run = TrainingRun(config, data)
        for _ in train(run):
            pass
        outputs_PT = outputs_of(run.network, data.validation.photographs, learned)
        values_PT[fold.judges(everybody.num_patients)] = learned.values(outputs_PT)
    return values_PT


def frozen_out_of_fold(config: TrialConfig, dataset: PreparedDataset, folds: list[Fold]) -> Floats:
    """As `out_of_fold`, by regressions on the backbone's features as it is before any training."""
    everybody = dataset.photographs(*FOLDED)
    encoder = Encoder.build(config.model, dataset.image_spec.size)
    features_PF = everybody.per_patient(encoder.encode(everybody.shards).astype(np.float64))
    labels_PT = everybody.labels_per_patient(dataset.tasks)
    values_PT = np.full(labels_PT.shape, np.nan)
    for fold in folds:
        out_P = fold.judges(len(labels_PT))
        values_PT[out_P] = closed_form_values(dataset.tasks, features_PF[~out_P], labels_PT[~out_P], features_PF[out_P])
    return values_PT


def _skills(dataset: PreparedDataset, values_PT: Floats) -> Floats:
    """(B, T)"""
    labels_PT = dataset.photographs(*FOLDED).labels_per_patient(dataset.tasks)
    return Learned(dataset.tasks, dataset.scaler).skills(values_PT, labels_PT, NUM_BOOTSTRAP)


def _options() -> argparse.Namespace:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--data", help="URI of a prepared dataset; without it odir_dev below $SEPL_REAL_DATA")
    parser.add_argument("--backbone", default="tf_efficientnet_lite0", help="a timm name with published weights")
    parser.add_argument("--image-size", type=int, default=None, help="px of odir_dev (160; --quick 96)")
    parser.add_argument("--num-epochs", type=int, default=None, help="of a network (default 9, 4 with --quick)")
    parser.add_argument("--num-folds", type=int, default=None, help="(default 5, 2 with --quick)")
    parser.add_argument("--num-seeds", type=int, default=None, help="(default 2, 1 with --quick)")
    options = parser.parse_args()
    for name, full, quick in (
        ("image_size", 160, 96),
        ("num_epochs", 9, 4),
        ("num_folds", 5, 2),
        ("num_seeds", 2, 1),
    ):
        setattr(options, name, getattr(options, name) or (quick if options.quick else full))
    return options


if __name__ == "__main__":
    main()
