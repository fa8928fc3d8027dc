"""The cheapest rival: ridge and logistic regressions on features of a backbone that is never trained.

Axes: N photograph, P patient, F feature, T task.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sepl.config import ModelConfig
from sepl.data.dataset.dataset import Photographs, PreparedDataset
from sepl.models.backbone.build import build_backbone
from sepl.models.backbone.normalisation import backbone_normalisation
from sepl.models.pixels import to_input
from sepl.tasks import Task

Floats = NDArray[np.float64]

_STRENGTHS = 10.0 ** np.arange(-1, 6)
"""Of the penalty on standardised features, tried for each task."""
_NUM_FOLDS = 5
_BATCH_SIZE = 64


def frozen_values(config: ModelConfig, dataset: PreparedDataset, *, seed: int = 0, known: Sequence[str] = ()) -> Floats:
    """Values (P, T) for the sealed test patients; in units, probabilities for binary tasks.

    Features are those of the config's backbone and weights, in evaluation mode, the mean over a patient's photographs.
    Each task has a regression of its own, fitted on the train patients who have its label, its penalty chosen among
    them by five-fold cross-validation. Neither validation nor calibration patients are looked at. The labels of `known`
    tasks stand beside the features, an absent one as the train patients' median; what is said of these tasks themselves
    then means nothing.
    """
    train, test = dataset.photographs("train"), dataset.photographs("test")
    torch.manual_seed(seed)  # of random weights
    features_PF, test_PF = _features(config, dataset, train, test)
    labels_PT = train.per_patient(train.labels_NT)
    places = [dataset.tasks.index(name) for name in known]
    told_PK, test_told_PK = (_filled(found, labels_PT)[:, places] for found in (train, test))
    features_PF, test_PF = np.hstack([features_PF, told_PK]), np.hstack([test_PF, test_told_PK])
    columns = [_predict(task, features_PF, labels_PT[:, index], test_PF) for index, task in enumerate(dataset.tasks)]
    return np.column_stack(columns)


def _filled(photographs: Photographs, train_labels_PT: Floats) -> Floats:
    """Labels (P, T), medians where there is none."""
    labels_PT = photographs.per_patient(photographs.labels_NT)
    return np.where(np.isfinite(labels_PT), labels_PT, np.nanmedian(train_labels_PT, axis=0))


def _features(config: ModelConfig, dataset: PreparedDataset, *sets: Photographs) -> list[Floats]:
    """(P, F) of each set's patients."""
    backbone, _ = build_backbone(
        config.backbone, weights=config.weights, image_size=dataset.image_spec.size, drop_path=0.0
    )
    backbone.eval().to(memory_format=torch.channels_last)
    normalisation = backbone_normalisation(config.backbone, config.weights)
    found = []
    with torch.inference_mode():
        for photographs in sets:
            batches = [backbone(to_input(pixels, *normalisation)) for pixels in _batches(photographs)]
            found.append(photographs.per_patient(torch.cat(batches).double().numpy()))
    return found


def _batches(photographs: Photographs) -> Iterator[torch.Tensor]:
    for shard in photographs.shards:
        for start in range(0, len(shard), _BATCH_SIZE):
            yield torch.from_numpy(np.array(shard[start : start + _BATCH_SIZE]))


def _predict(task: Task, features_PF: Floats, labels_P: Floats, test_PF: Floats) -> Floats:
    present = np.isfinite(labels_P)
    known_P = labels_P[present]
    if task.kind == "binary":
        rarest = int(min(known_P.sum(), len(known_P) - known_P.sum()))
        if rarest < 2:  # nothing to learn, or nothing to choose by
            return np.full(len(test_PF), known_P.mean())
        folds = StratifiedKFold(min(_NUM_FOLDS, rarest), shuffle=True, random_state=0)
        grid, scoring = {"logisticregression__C": 1 / _STRENGTHS}, "roc_auc"
        regression = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    else:
        folds = KFold(min(_NUM_FOLDS, len(known_P)), shuffle=True, random_state=0)
        grid, scoring = {"ridge__alpha": _STRENGTHS}, "neg_mean_absolute_error"
        regression = make_pipeline(StandardScaler(), Ridge())
    chosen = GridSearchCV(regression, grid, scoring=scoring, cv=folds).fit(features_PF[present], known_P)
    return chosen.predict_proba(test_PF)[:, 1] if task.kind == "binary" else chosen.predict(test_PF)
