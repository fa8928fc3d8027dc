"""A search in a few lines (docs/library.md): without Ray, storage or a file; the same trials as `jobs.search`."""

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import optuna

from sepl.config import DeviceName, TrainingConfig, TrialConfig
from sepl.data.dataset.dataset import PreparedDataset
from sepl.errors import ConfigError, StudyError
from sepl.execution.progress import progress
from sepl.training.input.batches import TrainingData
from sepl.tuning.results.leaderboard import Leaderboard, leaderboard
from sepl.tuning.search.backends.in_process import InProcessBackend
from sepl.tuning.search.backends.loop import SearchLoop
from sepl.tuning.search.budget import Budget, parse_duration
from sepl.tuning.search.names import TIME_ATTR
from sepl.tuning.search.schedulers.build import GraceEpochs, SchedulerName, make_scheduler
from sepl.tuning.search.searcher import TruthfulOptunaSearch
from sepl.tuning.space.space import SearchSpace, load_space

if TYPE_CHECKING:
    import pandas as pd

Space = str | Path | Callable[[Any], Mapping[str, Any] | None]
"""A search space's file, its dotted module name, or its function `space(trial)`."""


@dataclass(frozen=True)
class SearchResult:
    """What a search came to."""

    study: optuna.Study
    """With every trial, as Optuna was told of them."""

    @property
    def board(self) -> Leaderboard:
        """The trials, best first."""
        return leaderboard(self.study)

    @property
    def config(self) -> TrialConfig:
        """The best setting of those that ran to the end, for `sepl.train`. Raises StudyError when none did."""
        best = self.board.best()
        if best is None:
            raise StudyError("no trial ran to the end: give the search more trials or time")
        return TrialConfig.from_params(best.config)

    def frame(self) -> "pd.DataFrame":
        """A row a trial, best first: state, skill, epochs, seconds and its hyperparameters."""
        import pandas as pd

        names = ("number", "state", "best_skill", "num_epochs", "seconds")
        rows = [{**{name: getattr(row, name) for name in names}, **row.params} for row in self.board.root]
        return pd.DataFrame(rows).set_index("number")

    def __repr__(self) -> str:
        counts, best = self.board.counts(), self.board.best()
        told = "none whole" if best is None else f"best skill {best.best_skill:.3f} of trial {best.number}"
        states = f"{counts['complete']} whole, {counts['pruned']} stopped, {counts['failed']} failed"
        return f"<SearchResult: {states}; {told}>"


def search(
    data: PreparedDataset | str | Path,
    space: Space,
    *,
    num_trials: int = 20,
    num_epochs: int | None = None,
    scheduler: SchedulerName = "asha",
    grace_epochs: GraceEpochs = 1,
    time_budget: str | None = None,
    device: DeviceName = "auto",
    seed: int = 0,
) -> SearchResult:
    """Searches in this process, one trial at a time; Ctrl-C ends it with what it has.

    Args:
        data: a prepared dataset, opened, or its URI.
        space: a search space's file or module, or a function that asks a trial for hyperparameters and returns the
            constants.
        num_trials: to begin.
        num_epochs: of a trial that is never stopped; of a function only, a file says it itself.
        scheduler, grace_epochs: as the options of `jobs.search`.
        time_budget: such as 45s, 90m or 2h; no further epoch after that.
        device: auto is a GPU when there is one.
        seed: of the proposals.

    Raises:
        ConfigError: an argument or the space is wrong.
        DatasetError: the data cannot be used.
    """
    if num_trials < 1:
        raise ConfigError(f"num_trials should be at least 1, was {num_trials}")
    dataset = data if isinstance(data, PreparedDataset) else PreparedDataset.open(data)
    asked = _space(space, num_epochs).for_tasks(dataset.tasks)
    budget = Budget(seconds=None if time_budget is None else parse_duration(time_budget))
    judge = make_scheduler(
        scheduler,
        num_epochs=asked.num_epochs,
        num_trials=num_trials,
        grace_epochs=grace_epochs,
        warmup_epochs=asked.most("warmup_epochs", TrainingConfig().warmup_epochs),
    )
    searcher = _searcher(asked, seed)
    with tempfile.TemporaryDirectory() as folder, progress(num_trials, "trials begun") as advance:
        loop = SearchLoop(
            InProcessBackend(TrainingData.load(dataset, device=device), Path(folder)),
            searcher,
            judge,
            num_new=num_trials,
            budget=budget,
            on_result=lambda trial, result: advance(int(result.get(TIME_ATTR) == 1)),  # noqa: ARG005
        )
        try:
            loop.run()
        except KeyboardInterrupt:
            searcher.close()
    return SearchResult(searcher.study)


def _space(space: Space, num_epochs: int | None) -> SearchSpace:
    if isinstance(space, str | Path):
        if num_epochs is not None:
            raise ConfigError(f"num_epochs should be left out where space is a file that says it, was {num_epochs}")
        return load_space(str(space))
    if num_epochs is None or num_epochs < 1:
        raise ConfigError(f"num_epochs should be at least 1 where space is a function, was {num_epochs}")
    return SearchSpace("space", space, first_points=(), num_epochs=num_epochs, source_sha256="")


def _searcher(space: SearchSpace, seed: int) -> TruthfulOptunaSearch:
    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # else a line that a study was created
    try:
        return TruthfulOptunaSearch(
            space.propose,
            num_epochs=space.num_epochs,
            storage=optuna.storages.InMemoryStorage(),
            study_name="notebook",
            first_points=space.first_points,
            seed=seed,
        )
    finally:
        optuna.logging.set_verbosity(verbosity)
