import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sepl.data.parallel import ordered_map


@given(st.lists(st.integers()), st.integers(1, 4))
def test_results_come_in_the_order_of_the_items(items, num_workers):
    assert list(ordered_map(lambda item: item * 2, items, num_workers)) == [item * 2 for item in items]


def test_a_slow_first_item_does_not_change_the_order():
    def work(item):
        time.sleep(0.05 if item == 0 else 0)
        return item

    assert list(ordered_map(work, range(20), 3)) == list(range(20))


def test_a_slow_consumer_holds_the_workers_back():
    begun = []
    results = ordered_map(begun.append, range(1000), 2)

    next(results)
    time.sleep(0.1)

    assert len(begun) < 20
    results.close()


def test_a_failure_reaches_the_consumer_and_ends_the_threads():
    def work(item):
        return 1 // (item - 5)

    with pytest.raises(ZeroDivisionError):
        list(ordered_map(work, range(1000), 2))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]
