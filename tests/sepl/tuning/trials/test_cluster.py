"""Several calls at once on a real Ray: all results, and the problem of one as it is."""

from collections.abc import Iterator
from functools import partial

import pytest

from sepl.errors import DatasetError
from sepl.tuning.trials.cluster import Cluster, Tell, connect
from sepl.tuning.trials.packing import Packing

pytestmark = pytest.mark.slow

ONE_CPU_EACH = Packing(cpus=1, gpus=0, concurrency=2)


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled")
        with connect(None) as running:
            yield running


def _square(number: int, tell: Tell) -> int:
    tell(f"squaring {number}")
    return number * number


def _refuse(tell: Tell) -> int:
    raise DatasetError("changed since the study began")


def test_every_result_comes_and_every_line_is_told(cluster: Cluster) -> None:
    told: list[str] = []

    results = cluster.run_all(ONE_CPU_EACH, [partial(_square, n) for n in range(5)], "squares", told.append)

    assert sorted(results) == [0, 1, 4, 9, 16]
    assert sorted(told) == [f"squaring {number}" for number in range(5)]


def test_the_problem_of_one_is_raised_as_it_is(cluster: Cluster) -> None:
    with pytest.raises(DatasetError, match="changed since the study began"):
        list(cluster.run_all(ONE_CPU_EACH, [_refuse, partial(_square, 2)], "squares"))


def test_nothing_to_do_is_done_at_once(cluster: Cluster) -> None:
    assert list(cluster.run_all(ONE_CPU_EACH, [], "squares")) == []
