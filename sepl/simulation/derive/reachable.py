"""Derives `reachable.json`, see `reachable.py`. Run it again whenever a channel or the factor model changes.

    python -m sepl.simulation.derive.reachable --out sepl/simulation/reachable.json      (minutes)

A strong regressor (gradient-boosted trees, absolute error) predicts each factor from the channels' values averaged
over both eyes, for a large draw of people; its skill on others is the reachable skill.
"""

import json
from pathlib import Path

import numpy as np
import tyro
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import roc_auc_score

from sepl.simulation.channels import Values, draw_channels, expected_channels
from sepl.simulation.factors import FACTORS, FactorRows, nhanes_factor_model
from sepl.simulation.reachable import FactorSkill, Reachable
from sepl.tasks import TASK_SPLITS

PRIORS = TASK_SPLITS["anthropometric"]


def derive(out: Path, num_learned: int = 60_000, num_tested: int = 20_000) -> None:
    """Writes the reachable skill of every factor to `out` as JSON."""
    reachable = measure(num_learned, num_tested)
    out.write_text(json.dumps(reachable.model_dump(mode="json"), indent=2) + "\n", "utf-8")


def measure(num_learned: int, num_tested: int, seed: int = 0) -> Reachable:
    """The reachable skill of every factor, learned and tested on freshly drawn people."""
    rng = np.random.default_rng(seed)
    rows = nhanes_factor_model().draw(num_learned + num_tested, rng)
    shown_NC = draw_channels(rows, rng).mean(axis=1)
    return Reachable(
        how="gradient-boosted trees on the channels' values, mean of both eyes; people drawn anew",
        num_learned=num_learned,
        num_tested=num_tested,
        skills={name: factor_skill(name, rows, shown_NC, num_learned) for name in FACTORS},
    )


def factor_skill(name: str, rows: FactorRows, shown_NC: Values, num_learned: int) -> FactorSkill:
    """Skill for one factor on the people after the first `num_learned`; `shown_NC` is what their photographs show."""
    priors_NP = np.stack([rows[prior] for prior in PRIORS], axis=1)
    own_NC = shown_NC[:, channels_of(name)]
    is_target = name not in PRIORS

    def skill(inputs: Values) -> float:
        return round(_skill(inputs, rows[name], num_learned, is_binary=name == "sex"), 3)

    return FactorSkill(
        reachable=skill(shown_NC),
        own_channels=skill(own_NC) if own_NC.size else None,
        own_channels_and_true_priors=skill(np.hstack([own_NC, priors_NP])) if is_target else None,
        true_priors=skill(priors_NP) if is_target else None,
    )


def _skill(inputs_NI: Values, values_N: Values, num_learned: int, *, is_binary: bool) -> float:
    learned, tested = slice(None, num_learned), slice(num_learned, None)
    options = {"max_iter": 300, "learning_rate": 0.05, "early_stopping": True, "random_state": 0}
    if is_binary:
        classifier = HistGradientBoostingClassifier(**options).fit(inputs_NI[learned], values_N[learned])
        return 2 * float(roc_auc_score(values_N[tested], classifier.decision_function(inputs_NI[tested]))) - 1
    regressor = HistGradientBoostingRegressor(loss="absolute_error", **options).fit(
        inputs_NI[learned], values_N[learned]
    )
    error = np.abs(regressor.predict(inputs_NI[tested]) - values_N[tested]).mean()
    return 1 - float(error / np.abs(np.median(values_N[learned]) - values_N[tested]).mean())


def channels_of(name: str) -> NDArray[np.bool_]:
    """Which channels (C,) a factor moves by itself, the others held."""
    rows = nhanes_factor_model().draw(200, np.random.default_rng(0))
    moved = {**rows, name: 1 - rows[name] if name == "sex" else rows[name] * 1.1}
    return (expected_channels(moved) != expected_channels(rows)).any(axis=0)


if __name__ == "__main__":
    tyro.cli(derive)
