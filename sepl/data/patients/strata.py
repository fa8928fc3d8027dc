"""Taking the same share of every stratum, however small the strata are."""

import numpy as np
from numpy.typing import NDArray


def take_share(
    share: float,
    strata_G: NDArray[np.int64],
    sizes_G: NDArray[np.int64],
    positions_G: NDArray[np.float64],
    held_G: NDArray[np.bool_],
) -> NDArray[np.bool_]:
    """Which groups (G,) are taken, so that those taken have `share` of the patients of each stratum.

    Within a stratum the held groups are taken first, whatever the share, then others by rising position. What rounding
    to whole groups leaves over in one stratum is carried to the next, so that a hundred strata of two patients give
    their share together; no stratum differs by much more than its largest group.

    Args:
        strata_G: Number of each group's stratum.
        sizes_G: Patients of each group.
        positions_G: In [0, 1), different for different groups; also says which stratum comes first.
        held_G: Groups that are taken in any case.
    """
    taken_G = held_G.copy()
    carry = 0.0
    for members in _by_stratum(strata_G, positions_G):
        sizes, held = sizes_G[members], held_G[members]
        wanted = share * sizes.sum() + carry
        free = members[~held]
        reached = sizes[held].sum() + np.cumsum(sizes_G[free])
        chosen = free[reached - sizes_G[free] / 2 <= wanted]  # a group is taken when its better half is wanted
        taken_G[chosen] = True
        carry = float(np.clip(wanted - sizes_G[members[taken_G[members]]].sum(), -1.0, 1.0))
    return taken_G


def _by_stratum(strata_G: NDArray[np.int64], positions_G: NDArray[np.float64]) -> list[NDArray[np.int64]]:
    """The groups of each stratum by rising position; strata by their lowest position."""
    order = np.lexsort((positions_G, strata_G))
    starts = np.flatnonzero(np.diff(strata_G[order], prepend=-1))
    members = np.split(order, starts[1:]) if len(order) else []
    return sorted(members, key=lambda groups: positions_G[groups[0]])
