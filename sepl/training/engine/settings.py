"""How long and how fast a run learns, whatever it learns."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class EngineSettings:
    """Plain figures; what they mean is said at their namesakes in `sepl.config.TrainingConfig`."""

    num_epochs: int
    learning_rate: float
    weight_decay: float = 0.0
    layer_decay: float = 1.0
    warmup_epochs: float = 0.0
    ema_decay: float = 0.0
    early_stopping_epochs: int = 0
    frozen_stages: int = 0
    deterministic: bool = False
