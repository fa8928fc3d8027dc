"""Skill against what it costs in use: the trials, and those that no other beats in both."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import optuna
import plotly.graph_objects as go
from markupsafe import Markup
from optuna.trial import TrialState

from sepl.reports import page as html
from sepl.reports.numbers import figure
from sepl.reports.plots import ACCENT, FAINT, SECOND, empty_figure

_COSTS = {"ms_per_photograph": "ms per photograph", "num_parameters": "parameters"}
"""Attributes of a trial in Optuna, and what they are called."""


@dataclass(frozen=True)
class CostedTrial:
    """One that ran to its end, or was stopped early with the skill that it had then."""

    number: int
    skill: float
    cost: float
    is_complete: bool


def cost_section(study: optuna.Study) -> Markup:
    """A plot against time and one against size, with a table of those on the front; nothing where no cost is known."""
    parts: list[Markup] = []
    for name, title in _COSTS.items():
        trials = costed_trials(study, name)
        if trials:
            parts.append(html.plot(pareto_figure(trials, title), f"cost-{name}"))
    if not parts:
        return Markup()
    note = (
        "Of the network in evaluation mode, one photograph at a time, where the trial ran. The line joins "
        "the full runs that no other beats in skill without costing more."
    )
    return html.section("Skill against cost", *parts, _front_table(study), note=note)


def costed_trials(study: optuna.Study, name: str) -> list[CostedTrial]:
    """Trials with a skill and that cost, in the order of their numbers."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
    return [
        CostedTrial(
            trial.number,
            max(trial.intermediate_values.values()),
            trial.user_attrs[name],
            trial.state == TrialState.COMPLETE,
        )
        for trial in trials
        if trial.intermediate_values and name in trial.user_attrs
    ]


def pareto_front(trials: Sequence[CostedTrial]) -> list[CostedTrial]:
    """Full runs, from the cheapest, each better than all that cost no more."""
    front: list[CostedTrial] = []
    for trial in sorted(trials, key=lambda trial: (trial.cost, -trial.skill, trial.number)):
        if trial.is_complete and (not front or trial.skill > front[-1].skill):
            front.append(trial)
    return front


def pareto_figure(trials: Sequence[CostedTrial], cost: str) -> go.Figure:
    """A point a trial; cost on a logarithmic axis."""
    drawing = empty_figure(escape(cost), "best skill")
    for is_complete, name, colour in ((False, "stopped early", FAINT), (True, "ran to the end", ACCENT)):
        shown = [trial for trial in trials if trial.is_complete == is_complete]
        drawing.add_scatter(
            x=[trial.cost for trial in shown],
            y=[trial.skill for trial in shown],
            mode="markers",
            name=name,
            marker={"color": colour, "size": 9, "symbol": "circle" if is_complete else "circle-open"},
            text=[f"trial {trial.number}" for trial in shown],
            hovertemplate="%{text}: %{y:.3f} at %{x:.4g}<extra></extra>",
        )
    front = pareto_front(trials)
    drawing.add_scatter(
        x=[trial.cost for trial in front],
        y=[trial.skill for trial in front],
        mode="lines",
        name="front",
        line={"color": SECOND, "width": 1.5, "shape": "hv"},
        hoverinfo="skip",
    )
    drawing.update_xaxes(type="log")
    return drawing


def _front_table(study: optuna.Study) -> Markup:
    attributes = {trial.number: trial.user_attrs for trial in study.get_trials(deepcopy=False)}
    front = pareto_front(costed_trials(study, "ms_per_photograph"))
    rows = (
        (
            str(trial.number),
            figure(trial.skill),
            f"{trial.cost:.3g}",
            f"{attributes[trial.number].get('num_parameters', 0):,}",
        )
        for trial in front
    )
    return html.table(("trial", "skill", *_COSTS.values()), rows, num_text_columns=1)
