"""The learning rate over a run: linear warm-up, then half a cosine down to zero (Loshchilov & Hutter 2017)."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class CosineSchedule:
    """Learning rate of each optimiser step; plain arithmetic on the host, so that no step waits for the device."""

    peak: float
    num_steps: int
    num_warmup_steps: int

    @classmethod
    def over(cls, peak: float, *, num_epochs: int, steps_per_epoch: int, warmup_epochs: float) -> "CosineSchedule":
        """The schedule of a whole run.

        Warm-up takes at most half of it: a run of one epoch with the default warm-up of one epoch would otherwise end
        before it had decayed at all.
        """
        num_steps = num_epochs * steps_per_epoch
        return cls(peak, num_steps, min(round(warmup_epochs * steps_per_epoch), num_steps // 2))

    def learning_rate(self, step: int) -> float:
        """For the step with this index, 0 … num_steps − 1; above zero everywhere."""
        if step < self.num_warmup_steps:
            return self.peak * (step + 1) / (self.num_warmup_steps + 1)
        progress = (step - self.num_warmup_steps) / (self.num_steps - self.num_warmup_steps)
        return self.peak * 0.5 * (1.0 + math.cos(math.pi * progress))
