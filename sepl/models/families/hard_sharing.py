"""Hard parameter sharing: one trunk, one linear head a task.

Caruana: Multitask Learning, Machine Learning 28 (1997), doi 10.1023/A:1007379606734.

    z   = f(x)
    y_t = w_t · z + b_t

Axes: F feature, O output; a task of grades or classes has several.
"""

from torch import nn


def hard_sharing_head(num_features: int, num_outputs: int) -> nn.Linear:
    """Features (B, F) to outputs (B, O): all heads are one matrix, a row an output."""
    return nn.Linear(num_features, num_outputs)
