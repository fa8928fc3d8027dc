"""Trains one setting without Ray: `python -m jobs.train --data URI --config trial.json --out URI`.

trial.json is a `TrialConfig`, such as the "config" of a bundle.json. The sealed test patients are not looked at: the
bundle's evaluation is on the validation patients, who also chose the epoch; `jobs.evaluate` opens the test when wanted.
"""

from pathlib import Path

from rich.console import Console

from jobs._command import run_command
from sepl.bundle.format import write_bundle
from sepl.bundle.manifest import Provenance
from sepl.bundle.skills import evaluation_table
from sepl.config import TrialConfig
from sepl.data.prepared import PreparedDataset
from sepl.storage import resolve
from sepl.training.batches import TrainingData
from sepl.training.loop import TrainingRun, train
from sepl.tuning.selection import compose_content


def main(data: str, config: Path, out: str, seed: int | None = None, device: str = "auto") -> None:
    """Trains, keeps the best epoch, calibrates, evaluates on the validation patients.

    Args:
        data: URI of the prepared dataset.
        config: JSON file of the trial's settings.
        out: Where the bundle goes: a new local folder, s3://… or gs://….
        seed: Another one than the file's.
        device: auto, cpu or cuda.
    """
    dataset = PreparedDataset.open(data)
    settings = TrialConfig.parse_json(resolve(config).read_bytes(), str(config))
    settings = settings if seed is None else settings.with_params(seed=seed)
    run = TrainingRun(settings, TrainingData.load(dataset, device=device), device=device)
    for epoch in train(run):
        print(
            f"epoch {epoch.epoch} of {epoch.num_epochs}: loss {epoch.train_loss:.3f}, "
            f"validation skill {epoch.validation_skill:.3f}, best {epoch.best_skill:.3f}, "
            f"{epoch.photographs_per_second:.0f} photographs/s",
            flush=True,
        )
    provenance = Provenance(
        study="trained",
        dataset_uri=dataset.uri,
        fingerprint=dataset.fingerprint,
        dataset_name=dataset.manifest.name,
        num_patients=dataset.manifest.num_patients,
        num_trials=1,
        seed=settings.training.seed,
        best_epoch=run.best_epoch,
    )
    content = compose_content(settings, dataset, run.best_state(), provenance, cohort_split="validation")
    bundle = write_bundle(out, **content)
    assert bundle.evaluation is not None  # compose_content always evaluates
    Console(highlight=False).print(evaluation_table(bundle.evaluation))
    print(f"bundle: {out} ({bundle.bundle_id})")


if __name__ == "__main__":
    run_command(main)
