import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sepl.simulation.vessels import Branches, coverage, draw_tree

DISC, FOVEA = np.array([0.55, 0.0]), np.array([-0.08, 0.05])


def _tree(seed: int, width: float = 0.03) -> Branches:
    return draw_tree(np.random.default_rng(seed), DISC, FOVEA, width, tortuosity=0.15)


@given(seed=st.integers(0, 10_000))
def test_every_branch_tapers_and_no_branch_is_wider_than_a_trunk(seed: int) -> None:
    tree = _tree(seed)

    assert (np.diff(tree.widths_BP, axis=1) < 0).all()
    assert tree.widths_BP.max() <= 0.03 * 1.1


@given(seed=st.integers(0, 10_000))
def test_trunks_leave_the_disc_and_every_other_branch_leaves_a_branch(seed: int) -> None:
    tree = _tree(seed)

    starts_BD = tree.points_BPD[:, 0]
    assert (np.linalg.norm(starts_BD[:4] - DISC, axis=1) < 0.25).all()
    for index in range(4, len(starts_BD)):
        earlier = tree.points_BPD[:index].reshape(-1, 2)
        assert np.linalg.norm(earlier - starts_BD[index], axis=1).min() < 1e-9


@given(seed=st.integers(0, 10_000))
def test_arcades_run_above_and_below_the_fovea(seed: int) -> None:
    tree = _tree(seed)

    at_fovea = [line_PD[np.abs(line_PD[:, 0] - FOVEA[0]).argmin(), 1] for line_PD in tree.points_BPD[:2]]
    assert at_fovea[0] < FOVEA[1] - 0.1
    assert at_fovea[1] > FOVEA[1] + 0.1


def test_wider_vessels_cover_more_by_as_much() -> None:
    covered = [float(coverage(_tree(0, width), 256).mean()) for width in (0.015, 0.03)]

    assert 1.6 < covered[1] / covered[0] < 2.2
