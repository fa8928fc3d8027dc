"""What every training run does, whatever is learned: steps, schedule, moving average, random streams, exact saves.

An `Engine` (`sepl.training.engine.run`) is given a network and an `Objective` (`sepl.training.engine.objective`), which
says what a batch is, what it teaches and which epoch is the best. It knows no task, label or skill.
"""

from typing import TYPE_CHECKING

from sepl.lazy import lazy_face

__all__ = ["Autosave", "Engine", "EngineSettings", "Objective", "Pace", "RandomStreams"]

if TYPE_CHECKING:
    from sepl.training.engine.autosave import Autosave
    from sepl.training.engine.objective import Objective, Pace
    from sepl.training.engine.run import Engine
    from sepl.training.engine.seeding import RandomStreams
    from sepl.training.engine.settings import EngineSettings
else:
    __getattr__, __dir__ = lazy_face(
        __name__,
        {
            "autosave": ["Autosave"],
            "objective": ["Objective", "Pace"],
            "run": ["Engine"],
            "seeding": ["RandomStreams"],
            "settings": ["EngineSettings"],
        },
    )
