"""What studies a storage has, and one of them in words."""

from collections.abc import Iterator
from dataclasses import dataclass

from sepl.errors import SeplError
from sepl.locking import holder
from sepl.storage import resolve
from sepl.tuning.record.attributes import FROM_STUDY
from sepl.tuning.record.record import BUNDLE_ID, ENDED, RECORD, StudyFolder, StudyRecord
from sepl.tuning.results.cost import Cost, cost
from sepl.tuning.results.leaderboard import Leaderboard, leaderboard
from sepl.tuning.studies.database import find_trials


@dataclass(frozen=True)
class Overview:
    """A study at a glance."""

    name: str
    record: StudyRecord
    board: Leaderboard
    """Of the trials that it ran itself."""
    num_taken_over: int
    """Trials of another study that it began with."""
    cost: Cost
    ended: str | None
    bundle_id: str | None
    holder: str | None
    """Who searches it now."""

    @property
    def state(self) -> str:
        """In a word: running · published · over · interrupted · empty."""
        if self.holder is not None:
            return "running"
        if self.bundle_id is not None:
            return "published"
        if self.ended is not None:
            return "over"
        return "interrupted" if self.board.root else "empty"

    @property
    def best_skill(self) -> float | None:
        best = self.board.best()
        return None if best is None else best.best_skill


def list_studies(storage: str) -> Iterator[Overview | tuple[str, SeplError]]:
    """By name; of a study that cannot be read its name and why. Raises StorageError when there is no such folder."""
    root = resolve(storage)
    names = [place.name for place in root.list_folder() if (place / RECORD).exists()]
    for name in names:
        try:
            yield show_study(storage, name)
        except SeplError as problem:
            yield name, problem


def show_study(storage: str, study: str) -> Overview:
    """Raises StudyError when there is none, or its database does not open."""
    folder = StudyFolder.at(storage, study)
    record = folder.read()
    found = find_trials(folder, record)
    trials = [] if found is None else found.get_trials(deepcopy=False)
    own = [trial for trial in trials if FROM_STUDY not in trial.user_attrs]
    attributes = {} if found is None else found.user_attrs
    return Overview(
        name=study,
        record=record,
        board=Leaderboard(root=()) if found is None else leaderboard(found).own(),
        num_taken_over=len(trials) - len(own),
        cost=cost(trials),
        ended=attributes.get(ENDED),
        bundle_id=attributes.get(BUNDLE_ID),
        holder=holder(folder.location),
    )


def describe_counts(board: Leaderboard) -> str:
    """Such as `3 complete, 5 pruned`."""
    counts = [f"{number} {state}" for state, number in board.counts().items() if number]
    return ", ".join(counts) or "no trial"


def describe_cost(spent: Cost) -> str:
    """Such as `1.25 GPU-hours`; the time of its trials when nobody kept what they had."""
    if not spent.hours:
        return f"{spent.seconds:.0f} s of trials"
    return f"{spent.hours:.2f} {spent.unit}-hours"


def describe_study(overview: Overview) -> list[str]:
    """Lines for a person."""
    record, best = overview.record, overview.board.best()
    lines = [
        f"study {overview.name}: {overview.state}" + (f" ({overview.holder})" if overview.holder else ""),
        f"dataset {record.dataset}, fingerprint {record.fingerprint}",
        f"space {record.space}, {record.num_epochs} epochs, seed {record.seed}",
        f"trials: {describe_counts(overview.board)}",
        f"cost: {describe_cost(overview.cost)}, {overview.cost.seconds:.0f} s of trials",
    ]
    if record.known_pattern is not None:
        lines.append(f"judged also with {record.known_pattern} known")
    if record.from_study is not None:
        lines.append(f"began with study {record.from_study}: {overview.num_taken_over} of its trials as history")
    if best is None:
        lines.append("best: no trial ran to the end")
    else:
        params = ", ".join(f"{name}={value}" for name, value in best.params.items())
        lines.append(f"best: trial {best.number}, validation skill {best.best_skill:.3f}, {params}")
    lines.append(f"the search is over: {overview.ended}" if overview.ended else "the search is not over")
    lines.append(f"bundle: {overview.bundle_id or 'none published'}")
    return lines
