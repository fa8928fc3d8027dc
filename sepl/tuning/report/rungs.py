"""What the rungs of a search were worth: how early skill ranked trials."""

from markupsafe import Markup

from sepl.reports import page as html
from sepl.reports.numbers import figure
from sepl.tuning.results.leaderboard import Leaderboard
from sepl.tuning.search.schedulers.rung_reliability import THRESHOLD, rung_reliability
from sepl.tuning.search.schedulers.rungs import rung_epochs


def rungs_section(board: Leaderboard, num_epochs: int) -> Markup:
    """A row for each epoch of plain halving; a line where too few trials came far enough."""
    reliabilities = rung_reliability([row.curve for row in board.root], rung_epochs(num_epochs, 1), num_epochs)
    if not reliabilities:
        return html.section("Rung reliability", note="Too few trials came far enough to tell.")
    first = reliabilities[0]
    note = (
        f"Kendall's tau between the best skill so far at an epoch and at epoch {first.reference}, of "
        f"{first.num_trials} trials that came there, with 95 % bootstrap intervals. From {figure(THRESHOLD)} on, where "
        "three of four pairs keep their order, an epoch may be the first rung (--grace-epochs auto). The trials that "
        "came far are the better ones, among which order is harder to tell: of all trials it is rather higher."
    )
    rows = ([str(one.epoch), figure(one.tau), f"{figure(one.low)} … {figure(one.high)}"] for one in reliabilities)
    return html.section("Rung reliability", html.table(("epoch", "tau", "interval"), rows), note=note)
