"""Trains one setting without Ray: `python -m jobs.train --data URI --config trial.json --out URI`.

trial.json is a `TrialConfig`, such as the "config" of a bundle.json. A run is saved every few minutes; the same command
again goes on from there, to the same weights as if nothing had happened. The sealed test patients are not looked at:
the bundle's evaluation is on the validation patients, who also chose the epoch; `jobs.evaluate` opens the test when
wanted.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from jobs._command import run_command
from sepl.config import TrialConfig
from sepl.errors import ConfigError
from sepl.storage import check_unpublished, resolve

if TYPE_CHECKING:
    from sepl.training.supervised.objective import EpochResult


def main(
    data: str,
    config: Path,
    out: str,
    seed: int | None = None,
    device: str = "auto",
    checkpoints: Path | None = None,
    save_minutes: float = 10.0,
    save_steps: int = 0,
) -> None:
    """Trains, keeps the best epoch, calibrates, evaluates on the validation patients. Run again, it goes on.

    Args:
        data: URI of the prepared dataset.
        config: JSON file of the trial's settings.
        out: Where the bundle goes: a new local folder, s3://… or gs://….
        seed: Another one than the file's.
        device: auto, cpu or cuda.
        checkpoints: Local folder of the saves, removed at the end; by default beside a local OUT, else the working
            folder.
        save_minutes: A save is due after so many minutes.
        save_steps: And after so many steps; 0 counts none.
    """
    from sepl.bundle.format import write_bundle
    from sepl.bundle.manifest import MANIFEST
    from sepl.bundle.skills import evaluation_table
    from sepl.data.dataset.dataset import PreparedDataset
    from sepl.scoring.compose import compose_content, provenance_of_one
    from sepl.training.engine.autosave import Autosave
    from sepl.training.input.batches import TrainingData
    from sepl.training.supervised.run import TrainingRun, train

    _check_saves(save_minutes, save_steps)
    check_unpublished(resolve(out), MANIFEST)  # rather than after hours of training
    dataset = PreparedDataset.open(data)
    settings = TrialConfig.parse_json(resolve(config).read_bytes(), str(config))
    settings = settings if seed is None else settings.with_params(seed=seed)
    settings.model.check_publishable()
    run = TrainingRun(settings, TrainingData.load(dataset, device=device))
    saves = Autosave(run, checkpoints or _beside(out), every_steps=save_steps, every_seconds=60 * save_minutes)
    if saves.resume():
        print(f"going on after step {run.steps_done} of {run.num_steps}", flush=True)
    for epoch in train(run, after_step=saves):
        print(_line(epoch), flush=True)
        saves()
    state = run.best_state()
    content = compose_content(
        settings,
        dataset,
        state,
        provenance_of_one(settings, dataset, run.best_epoch),
        cohort_split="validation",
        normalisation=run.network.normalisation,  # of a resumed run as it began
        unvalidated=state,
    )
    bundle = write_bundle(out, **content)
    saves.clear()
    assert bundle.evaluation is not None  # compose_content always evaluates
    Console(highlight=False).print(evaluation_table(bundle.evaluation))
    print(f"bundle: {out} ({bundle.bundle_id})")


def _check_saves(minutes: float, steps: int) -> None:
    if not minutes > 0 or steps < 0:
        raise ConfigError(f"--save-minutes should be above 0 and --save-steps at least 0, were {minutes:g} and {steps}")


def _line(epoch: "EpochResult") -> str:
    return (
        f"epoch {epoch.epoch} of {epoch.num_epochs}: loss {epoch.train_loss:.3f}, "
        f"validation skill {epoch.validation_skill:.3f}, best {epoch.best_skill:.3f}, "
        f"{epoch.photographs_per_second:.0f} photographs/s"
    )


def _beside(out: str) -> Path:
    """Where saves go: a bundle's folder itself has to be new."""
    place = resolve(out)
    return Path(f"{place.path.rstrip('/') if place.is_local else place.name}.checkpoints")


if __name__ == "__main__":
    run_command(main)
