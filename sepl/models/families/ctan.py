"""Cross-task attention over task tokens.

After Kim, Purdie, McIntosh: Cross-Task Attention Network, 2023, arXiv 2309.03837, at the level of pooled features: a
token a task, each attending to the tokens of all.

    u_t = E_t z + e_t                                              token of task t, from z = f(x)
    u_t ← norm(u_t + O_t · attention(Q_t u_t; K_s u_s, V_s u_s over all tasks s))      in each layer
    y_t = w_t · u_t + b_t

with softmax attention in several heads, scaled by 1 / sqrt(width of a head). All maps are a task's own; the norm is
shared. `drop_path` also drops attention branches.

Axes: B photograph, F feature, T task, O output, D token, N attention head.
"""

from collections.abc import Sequence

from timm.layers.drop import DropPath
from torch import Tensor, nn
from torch.nn import functional

from sepl.models.parts.linear import BatchedLinear, TaskHeads


class CtanHead(nn.Module):
    """Features (B, F) to outputs (B, O)."""

    def __init__(
        self,
        num_features: int,
        num_tasks: int,
        num_outputs: Sequence[int] | None = None,
        *,
        hidden_width: int,
        num_layers: int,
        num_attention_heads: int,
        drop_path: float = 0.0,
    ) -> None:
        super().__init__()
        self.num_tasks = num_tasks
        self.embed = BatchedLinear(num_tasks, num_features, hidden_width)
        self.layers = nn.Sequential(
            *(CrossTaskLayer(num_tasks, hidden_width, num_attention_heads, drop_path) for _ in range(num_layers))
        )
        self.task_heads = TaskHeads(num_tasks, hidden_width, num_outputs)

    def forward(self, features_BF: Tensor) -> Tensor:
        tokens_TBD = self.embed(features_BF.expand(self.num_tasks, -1, -1))
        return self.task_heads(self.layers(tokens_TBD).transpose(0, 1))


class CrossTaskLayer(nn.Module):
    """Tokens (T, B, D) to tokens that have heard of each other."""

    def __init__(self, num_tasks: int, width: int, num_attention_heads: int, drop_path: float) -> None:
        super().__init__()
        self.num_attention_heads = num_attention_heads
        self.query = BatchedLinear(num_tasks, width, width)
        self.key_value = BatchedLinear(num_tasks, width, 2 * width)
        self.project = BatchedLinear(num_tasks, width, width)
        self.drop = DropPath(drop_path)
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens_TBD: Tensor) -> Tensor:
        key_TBD, value_TBD = self.key_value(tokens_TBD).chunk(2, dim=2)
        heard_BNTD = functional.scaled_dot_product_attention(
            self._in_heads(self.query(tokens_TBD)), self._in_heads(key_TBD), self._in_heads(value_TBD)
        )
        heard_BTD = self.project(heard_BNTD.permute(2, 0, 1, 3).flatten(2)).transpose(0, 1)
        return self.norm(tokens_TBD + self.drop(heard_BTD).transpose(0, 1))  # a photograph's branch drops as a whole

    def _in_heads(self, tokens_TBD: Tensor) -> Tensor:
        """(B, N, T, D / N)."""
        return tokens_TBD.unflatten(2, (self.num_attention_heads, -1)).permute(1, 2, 0, 3)
