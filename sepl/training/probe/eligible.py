"""Which settings a probe can try, told without loading torch."""

from sepl.config import TrialConfig
from sepl.errors import ConfigError

FAMILIES = ("sepl", "hard_sharing")


def check_head(config: TrialConfig) -> None:
    """Raises ConfigError for a setting whose head cannot be trained on features alone, beside others."""
    model, training = config.model, config.training
    for name, value, allowed in (
        ("family", model.family, FAMILIES),
        ("fusion", model.fusion, ("none",)),
        ("task_groups", model.task_groups, ("none",)),
        ("propagation", model.propagation, ("predicted", "detached", "none")),
        ("known_share", model.known_share, (0.0,)),
        ("weighting", training.weighting, ("equal", "fixed")),
        ("cooperative", training.cooperative, (False,)),
        ("ema_decay", training.ema_decay, (0.0,)),
    ):
        if value not in allowed:
            shown = " or ".join(map(str, allowed))
            raise ConfigError(f"{name} should be {shown} for a head on frozen features, was {value}")
