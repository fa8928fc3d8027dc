"""Measures how tasks help each other, and ranks what to predict first.

python -m jobs.affinity --data DATASET --config trial.json --out affinity.json

One ordinary training run, about a tenth longer: a matrix each of label correlation, of gradient cosine, of lookahead
and of what tasks may gain when another is known, and the task splits that these speak for. `jobs.search --affinity`
offers the best ones beside its search space's own.
"""

from pathlib import Path

from rich.console import Console

from jobs._command import run_command
from sepl.config import TrialConfig
from sepl.storage import check_writable, resolve
from sepl.training.affinity.record import EVERY


def main(data: str, config: Path, out: str, every: int = EVERY, seed: int | None = None, device: str = "auto") -> None:
    """Trains as the file says, on the training patients, and writes what was measured.

    Args:
        data: URI of the prepared dataset.
        config: JSON file of the trial's settings; hard_sharing favours no split beforehand.
        out: The file to write: a local path, s3://… or gs://….
        every: Training steps from one measurement to the next.
        seed: Another one than the file's.
        device: auto, cpu or cuda.
    """
    from sepl.data.dataset.dataset import PreparedDataset
    from sepl.training.affinity.measure import measure_affinity
    from sepl.training.input.batches import TrainingData
    from sepl.tuning.results.tables import affinity_table

    check_writable(resolve(out))  # rather than after hours of training
    settings = TrialConfig.parse_json(resolve(config).read_bytes(), str(config))
    settings = settings if seed is None else settings.with_params(seed=seed)
    affinity = measure_affinity(
        settings,
        TrainingData.load(PreparedDataset.open(data), device=device),
        every=every,
        on_epoch=lambda epoch: print(
            f"epoch {epoch.epoch} of {epoch.num_epochs}: validation skill {epoch.validation_skill:.3f}", flush=True
        ),
    )
    resolve(out).write_bytes((affinity.model_dump_json(indent=2) + "\n").encode())
    Console(highlight=False).print(affinity_table(affinity))
    print(f"measured {affinity.num_measurements} times in {affinity.num_steps} steps, {affinity.extra_time:.0%} longer")
    print(f"written: {out}")


if __name__ == "__main__":
    run_command(main)
