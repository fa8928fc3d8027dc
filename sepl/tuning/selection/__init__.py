"""From a study that is over to a published bundle: the best are trained again, one is refitted and tested once."""

from typing import TYPE_CHECKING

from sepl.lazy import lazy_face

__all__ = ["SelectionRules", "Winner", "rerun_finalists", "select_winner"]

if TYPE_CHECKING:
    from sepl.tuning.selection.rules import SelectionRules
    from sepl.tuning.selection.winner import Winner, rerun_finalists, select_winner
else:
    __getattr__, __dir__ = lazy_face(
        __name__, {"rules": ["SelectionRules"], "winner": ["Winner", "rerun_finalists", "select_winner"]}
    )
