"""The best skill that photographs of a simulated cohort can give, per factor, as `derive_reachable.py` measured it.

It is what a strong regressor makes of the channels' exact values. No network that sees pictures only can do better, up
to the regressor's own shortfall; camera noise and unlearned anatomy keep it below.
"""

from importlib import resources

from sepl.settings import Settings


class FactorSkill(Settings):
    """Skill on people not learned from: 1 - MAE/MAE(median), for sex 2·AUC - 1."""

    reachable: float
    """From all that both photographs show."""
    own_channels: float | None
    """From only the channels that the factor itself moves: read without knowing whose eye it is. None: it has none."""
    own_channels_and_true_priors: float | None
    """The same, with the true six simple factors beside them: knowing whose eye it is. None for those six."""
    true_priors: float | None
    """From the true six simple factors without a photograph. None for those six."""


class Reachable(Settings):
    """Written beside every simulated cohort."""

    how: str
    num_learned: int
    """People the regressor learned from."""
    num_tested: int
    skills: dict[str, FactorSkill]


def reachable_skill() -> Reachable:
    """The figures that come with the package."""
    text = resources.files("sepl.simulation").joinpath("reachable.json").read_text("utf-8")
    return Reachable.parse_json(text, "reachable.json")
