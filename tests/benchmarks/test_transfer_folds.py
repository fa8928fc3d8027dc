"""Every patient who is not sealed is predicted by what was fitted without them."""

from pathlib import Path

import numpy as np
from builders import build_dataset

from benchmarks.transfer_folds import frozen_out_of_fold, out_of_fold
from sepl.config import TrialConfig
from sepl.training.input.folds import FOLDED, Fold


def test_everybody_is_predicted_once_and_what_a_picture_shows_is_found(tmp_path: Path) -> None:
    dataset = build_dataset(tmp_path, num_patients=80)
    everybody = dataset.photographs(*FOLDED)
    config = TrialConfig.from_params({"backbone": "test_resnet", "family": "hard_sharing", "num_epochs": 1})
    folds = [Fold(number, 2, seed=0) for number in range(2)]

    values_PT, frozen_PT = (found(config, dataset, folds) for found in (out_of_fold, frozen_out_of_fold))

    assert values_PT.shape == frozen_PT.shape == (everybody.num_patients, len(dataset.tasks))
    assert np.isfinite(values_PT).all()
    ages_P = everybody.labels_per_patient(dataset.tasks)[:, dataset.tasks.index("age")]
    told_P = np.isfinite(ages_P)
    assert np.corrcoef(frozen_PT[told_P, dataset.tasks.index("age")], ages_P[told_P])[0, 1] > 0.3
