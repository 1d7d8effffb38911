"""How long work that is told on a log is said to take."""

import pytest

from edge_af.cli import progress as told


@pytest.fixture
def clock(monkeypatch):
    at_s = [100.0]
    monkeypatch.setattr(told.time, "monotonic", lambda: at_s[0])
    return at_s


def test_a_log_gets_a_line_for_what_is_new_with_the_time_left_of_that_work(clock, capsys):
    with told.progress() as report:
        report("loading", 0, 2)
        clock[0] += 10
        report("freezing", 1, 2)
        report("freezing", 1, 2)
        clock[0] += 30
        report("reading", 1, 400)  # how long the loading took says nothing of this
        clock[0] += 1
        report("still reading", 2, 400)
    assert capsys.readouterr().err.splitlines() == [
        "loading (0 of 2)",
        "freezing (1 of 2, 10 s left)",
        "reading (1 of 400)",
        "still reading (2 of 400, 7 min left)",
    ]
