"""The time left follows from the runs that are finished."""

from benchmarks.support.pace import Pace


def test_the_time_left_is_that_of_the_other_runs_at_the_pace_so_far() -> None:
    seconds = iter([100.0, 110.0, 250.0, 400.0])
    pace = Pace(3, clock=lambda: next(seconds))

    told = [pace.finish_run() for _ in range(3)]

    assert told == [
        "run 1 of 3, about 0:20 min left",
        "run 2 of 3, about 1:15 min left",
        "run 3 of 3, about 0:00 min left",
    ]
