"""Gates over experts: dense or the k strongest, and the term that keeps all experts at work.

Shazeer et al.: Outrageously Large Neural Networks, ICLR 2017, arXiv 1701.06538.

    g    = softmax(s), or over the k largest scores s, the others 0
    I_te = mean over photographs of g_te                            importance of expert e to task t
    loss = weight · mean_t (E · sum_e I_te² − 1)                    squared coefficient of variation, 0 if all equal

The noise that Shazeer et al. add to scores is left out: experts here are few and all evaluated, so that k changes what
is learnt and saves no time.

Axes: B photograph, T task, E expert, K the strongest of them.
"""

from torch import Tensor, nn


def open_gates(scores_BTE: Tensor, top_k: int) -> Tensor:
    """Gates (B, T, E) that sum to 1 over the experts; `top_k` 0 lets all through."""
    if top_k == 0 or top_k == scores_BTE.shape[2]:
        return scores_BTE.softmax(dim=2)
    best = scores_BTE.topk(top_k, dim=2)
    shares_BTK = best.values.softmax(dim=2)  # float32 under a GPU's autocast, whatever the scores are
    return shares_BTK.new_zeros(scores_BTE.shape).scatter(2, best.indices, shares_BTK)


class LoadBalance(nn.Module):
    """What it costs that gates use the experts unequally."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, gates_BTE: Tensor) -> Tensor:
        importance_TE = gates_BTE.float().mean(dim=0)
        unevenness_T = importance_TE.shape[1] * importance_TE.square().sum(dim=1) - 1
        return self.weight * unevenness_T.mean()

    def charge(self, gates_BTE: Tensor, penalties: list[Tensor] | None) -> None:
        """Adds the loss to those of a forward that is asked for them; nothing with a weight of 0."""
        if self.weight > 0 and penalties is not None:
            penalties.append(self(gates_BTE))
