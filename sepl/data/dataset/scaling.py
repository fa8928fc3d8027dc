"""Label scales: the median and interquartile range of the training patients, as in the released SePL code."""

from typing import Self

import numpy as np
from numpy.typing import NDArray

from sepl.errors import DatasetError
from sepl.settings import Settings
from sepl.tasks import Task, TaskTable

_IQR_PER_STD = 1.349  # of a normal distribution


class LabelScaler(Settings):
    """Maps labels in clinical units to what a network predicts, (label − median) / iqr, and back.

    In the order of the task table; a binary or graded task passes as it is (median 0, iqr 1). NaN passes through.
    """

    medians: tuple[float, ...]
    iqrs: tuple[float, ...]

    @classmethod
    def fit(cls, labels_NT: NDArray[np.float64], tasks: TaskTable) -> Self:
        """The scaler of these labels, one row a training patient; NaN is absent.

        Where more than half of the patients share one value the IQR is 0; 1.349 standard deviations, its equal for a
        normal distribution, stand in, and 1 when all values are equal. Raises DatasetError for a task without a label.
        """
        scales = [_scale_of(labels_NT[:, index], task) for index, task in enumerate(tasks)]
        return cls(medians=tuple(median for median, _ in scales), iqrs=tuple(iqr for _, iqr in scales))

    def scale(self, labels_NT: NDArray[np.floating]) -> NDArray[np.floating]:
        """Scaled labels (…, T) of the same dtype."""
        medians_T, iqrs_T = self._arrays(labels_NT)
        return (labels_NT - medians_T) / iqrs_T

    def unscale(self, outputs_NT: NDArray[np.floating]) -> NDArray[np.floating]:
        """Values (…, T) in the tasks' units; the inverse of `scale`."""
        medians_T, iqrs_T = self._arrays(outputs_NT)
        return outputs_NT * iqrs_T + medians_T

    def _arrays(self, like_NT: NDArray[np.floating]) -> tuple[NDArray[np.floating], NDArray[np.floating]]:
        return np.asarray(self.medians, like_NT.dtype), np.asarray(self.iqrs, like_NT.dtype)


def _scale_of(labels_N: NDArray[np.float64], task: Task) -> tuple[float, float]:
    known = labels_N[np.isfinite(labels_N)]
    if len(known) == 0:
        raise DatasetError(f"task {task.name} should have a label in the train split, had none")
    if task.kind != "regression":
        return 0.0, 1.0
    low, median, high = np.quantile(known, [0.25, 0.5, 0.75])
    spread = float(high - low) or _IQR_PER_STD * float(known.std()) or 1.0
    return float(median), spread
