from sepl.execution import progress
from sepl.execution.progress import track


def test_the_items_pass_through_and_the_end_is_told(capsys):
    assert list(track(iter("abc"), 3, "reading")) == ["a", "b", "c"]

    assert "reading: 3 of 3" in capsys.readouterr().err


def test_a_long_loop_tells_how_far_it_is(capsys, monkeypatch):
    monkeypatch.setattr(progress, "SECONDS_PER_LINE", 0.0)

    list(track(range(3), 3, "reading"))

    assert "reading: 1 of 3" in capsys.readouterr().err


def test_nothing_goes_to_standard_output(capsys):
    list(track(range(3), 3, "reading"))

    assert capsys.readouterr().out == ""
