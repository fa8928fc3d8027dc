"""Shows the whole way on a simulated cohort: photographs in, the best model found, published, served.

Every stage is a command that a user types; each is printed before it runs.
"""

import shutil
import time
from pathlib import Path

from rich.console import Console

from jobs._command import run_command
from sepl.errors import ConfigError

STUDY = "demo"


def main(
    out: Path = Path("demo"), num_patients: int = 1200, image_size: int = 64, num_trials: int = 16, seed: int = 1
) -> None:
    """Simulates, prepares, searches, publishes, scores and serves below one folder.

    Args:
        out: Folder of the demo; what a former demo left there is replaced.
        num_patients: Patients of the simulated cohort, both eyes each.
        image_size: Side of the prepared photographs, in pixels.
        num_trials: Trials of the search.
        seed: Of the simulated cohort.
    """
    from jobs._demo import Server, compare_scores, run_stage, summarise
    from sepl.bundle.registry import Registry

    start = time.monotonic()
    console = Console(highlight=False)
    _make_room(out)
    cohort, unseen, data, storage = (str(out / name) for name in ("cohort", "unseen", "prepared", "storage"))
    run_stage(
        console,
        "A cohort, simulated",
        "jobs.simulate",
        out=cohort,
        num_patients=num_patients,
        image_size=128,
        seed=seed,
    )
    run_stage(console, "Prepared once", "jobs.prepare", cohort=f"{cohort}/cohort.toml", out=data, image_size=image_size)
    space = "search_spaces/smoke.py"
    run_stage(
        console,
        "The search",
        "jobs.search",
        data=data,
        space=space,
        storage=storage,
        study=STUDY,
        num_trials=num_trials,
        finalists=2,  # two runs of each of two: the whole way in about five minutes
        finalist_seeds=2,
    )
    bundle = Registry(f"{storage}/registry").resolve(STUDY)
    run_stage(
        console, "Photographs it never saw", "jobs.simulate", out=unseen, num_patients=5, image_size=128, seed=seed + 1
    )
    scores = str(out / "scores.parquet")
    run_stage(console, "Scored offline", "jobs.score", bundle=bundle, input=f"{unseen}/images", out=scores)
    with Server(console, bundle, out / "serve.yaml", out / "serve.log") as server:
        served = server.score(sorted((Path(unseen) / "images").iterdir()))
    compare_scores(console, served, scores)
    summarise(console, storage, STUDY, bundle, time.monotonic() - start)


def _make_room(out: Path) -> None:
    if out.exists() and any(out.iterdir()) and not (out / "cohort").exists():
        raise ConfigError(f"--out should be a new folder or that of a former demo, {out} holds something else")
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)


if __name__ == "__main__":
    run_command(main)
