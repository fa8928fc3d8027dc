"""What input costs: an epoch on a prepared dataset against the same epoch on one batch that is already in memory.

Every contender is the same TrainingRun (network, augmentation, loss, optimiser); only where its pixels come from
differs. Promised: at most 1.05. The third contender decodes every photograph in every epoch as the released SePL code
does (full decode, CLAHE on L of LAB with clip 2.0 and 8×8 tiles, resize to 256/224, centre crop, one of identity, flips
and ±15° rotation), in a DataLoader with a persistent worker for every core.

    python -m benchmarks.input_cost --json out.json
"""

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import repeat
from pathlib import Path
from statistics import median

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from benchmarks.support.released_input import ReleasedPhotographs
from benchmarks.support.report import benchmark_parser, interleaved_seconds, report
from sepl.config import TrialConfig
from sepl.data.cohort.cohort import read_cohort
from sepl.data.dataset.dataset import PreparedDataset
from sepl.data.patients.splits import COHORT_SPLITS
from sepl.data.preparation.prepare import prepare
from sepl.execution.cores import num_cores
from sepl.simulation.cohort import simulate_cohort
from sepl.training.input.batches import Batch, TrainingData, TrainSet
from sepl.training.supervised.run import TrainingRun

PHOTOGRAPH_SIZE = 512
"""Of the JPEG files, in pixels. A camera's have ten to forty times as many, and would make decoding dearer still."""
IMAGE_SIZE = 128

SETTING = TrialConfig.from_params(
    {
        "backbone": "mobilenetv4_conv_small",  # the cheapest step of a backbone that one would use in earnest
        "hidden_width": 128,
        "batch_size": 32,
        "num_epochs": 10_000,  # the rounds below end it
    }
)


def main() -> None:
    options = benchmark_parser(__doc__).parse_args()
    num_patients, rounds = (48, 7) if options.quick else (160, 15)
    torch.set_num_threads(1)  # as in a trial that has one core; a team of threads would time the machine's other work
    with tempfile.TemporaryDirectory() as folder:
        dataset, files = _make_dataset(Path(folder), num_patients)
        data = TrainingData.load(dataset, COHORT_SPLITS, None)
        seconds = interleaved_seconds(_contenders(data, files), rounds, warmup=1)
    prepared = seconds["prepared"]
    report(
        options,
        name="input_cost",
        ratio=_median_ratio(prepared, seconds["constant batch"]),
        against="an epoch on the prepared dataset over the same epoch on one constant batch in memory (promised: 1.05)",
        n=rounds,
        measured={
            "seconds_per_epoch": {name: median(times) for name, times in seconds.items()},
            "decoding_over_prepared": _median_ratio(seconds["decoding as released"], prepared),
            "num_photographs": len(files),
            "num_workers_decoding": num_cores(),
            "photograph_px": PHOTOGRAPH_SIZE,
            "image_px": IMAGE_SIZE,
            "backbone": SETTING.model.backbone,
            "device": str(data.device),
        },
    )


def _median_ratio(above: list[float], below: list[float]) -> float:
    """Of the rounds: what disturbs a round disturbs both of its epochs, and one bad round does not count."""
    return median(one / other for one, other in zip(above, below, strict=True))


def _make_dataset(folder: Path, num_patients: int) -> tuple[PreparedDataset, list[Path]]:
    """A simulated cohort, prepared, and its files in the order of the prepared rows."""
    for _ in simulate_cohort(folder / "cohort", num_patients=num_patients, image_size=PHOTOGRAPH_SIZE, seed=0):
        pass
    prepare(read_cohort(folder / "cohort" / "cohort.toml"), folder / "prepared", IMAGE_SIZE, keep_patient_ids=True)
    dataset = PreparedDataset.open(folder / "prepared")
    return dataset, [folder / "cohort" / "images" / name for name in dataset.photographs(*COHORT_SPLITS).images]


def _contenders(data: TrainingData, files: list[Path]) -> dict[str, Callable[[], object]]:
    train = data.train
    decoding = replace(train, pixels=ReleasedPixels(files, data.device))
    # Decoded photographs come augmented, so that only normalisation is left to the run.
    plain = SETTING.with_params(augment_strength=0.0)
    return {
        "prepared": TrainingRun(SETTING, data).run_epoch,
        "constant batch": TrainingRun(SETTING, replace(data, train=ConstantTrainSet(train))).run_epoch,
        "decoding as released": TrainingRun(plain, replace(data, train=decoding)).run_epoch,
    }


class ConstantTrainSet(TrainSet):
    """As many steps as the photographs would take, all on their first batch, made beforehand."""

    def __init__(self, train: TrainSet) -> None:
        super().__init__(train.pixels, train.targets_NT, train.present_NT, train.patient_N)
        first = next(train.epoch(SETTING.training.batch_size, torch.Generator()))
        object.__setattr__(self, "first", first)  # the base is frozen

    def epoch(self, batch_size: int, *_: object, **__: object) -> Iterator[Batch]:
        first: Batch = self.__dict__["first"]
        yield from repeat(first, self.steps_per_epoch(batch_size))


class ReleasedPixels:
    """Photographs decoded and augmented one by one whenever they are asked for."""

    def __init__(self, files: list[Path], device: torch.device) -> None:
        self.num_photographs = len(files)
        self._device = device
        self._order: list[list[int]] = []
        self._loader = DataLoader(
            ReleasedPhotographs(files, IMAGE_SIZE),
            batch_sampler=self._order,
            num_workers=num_cores(),
            persistent_workers=True,
        )

    def batches(self, order_SB: Tensor) -> Iterator[Tensor]:
        self._order[:] = order_SB.tolist()
        for pixels_BHWC in self._loader:
            yield pixels_BHWC.to(self._device)


if __name__ == "__main__":
    main()
