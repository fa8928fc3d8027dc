"""How a winner is chosen and made: what `jobs.search` is asked for beside the search itself."""

from dataclasses import dataclass

from sepl.tuning.settings import StudySettings


@dataclass(frozen=True)
class SelectionRules:
    """By default the first of the search wins, as it stands."""

    finalists: int = 1
    """Configurations that are trained again; 1: none is."""
    finalist_seeds: int = 3
    """How often each is."""
    compare: bool = False
    """Whether the paper's setting and hard sharing are trained on the same folds."""
    ensemble: int = 0
    """Members at most of an ensemble of the kept checkpoints, which is then published; 0: a single model is."""

    @classmethod
    def of(cls, settings: StudySettings) -> "SelectionRules":
        return cls(settings.finalists, settings.finalist_seeds, settings.compare, settings.ensemble)
