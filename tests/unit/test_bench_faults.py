"""That faults are injected, that what must not happen would be seen, and how it is counted."""

from dataclasses import replace

import pytest

from edge_af.bench.faults.process import process_trial
from edge_af.bench.faults.tally import tallies
from edge_af.bench.faults.trial import Trial, trial
from edge_af.shipped import read_model

FOCUS, MOVE, TRACK = 0, 1, 2  # what a trial does goes by its number


def harmless(done):
    return not any((done.crashed, done.wrongly_trusted, done.wrong_focus))


@pytest.mark.parametrize(
    ("fault", "number"),
    [
        ("camera stalled", FOCUS),
        ("clock step back", FOCUS),
        ("serial garbage", MOVE),
        ("frozen timestamps", TRACK),
        ("corrupt model on reload", MOVE),
    ],
)
def test_nothing_bad_comes_of_a_fault_and_it_recovers(fault, number):
    done = trial(fault, 1, number, read_model(None))
    assert harmless(done)
    assert done.recovered
    assert done == trial(fault, 1, number, read_model(None))


def test_a_fault_that_only_a_person_can_clear_is_not_recovered_from():
    done = trial("grbl alarm", 1, MOVE, read_model(None))
    assert done.needs_person
    assert not done.recovered
    assert "ALARM" in done.note


def test_a_count_that_is_wrong_is_seen_by_the_truth():
    stuck = [trial("stage stuck", 1, number, read_model(None)) for number in (MOVE, MOVE + 3)]
    assert any(one.wrongly_trusted for one in stuck)


@pytest.mark.parametrize(
    "fault",
    ["sigkill", *(pytest.param(name, marks=pytest.mark.slow) for name in ("sigterm", "full disk"))],
)
def test_a_service_starts_again_after_what_ended_it(fault):
    done = process_trial(fault, 1, 0)
    assert done.recovered
    assert harmless(done)


GOOD = Trial(
    fault="black frames",
    activity="focus",
    crashed=False,
    wrongly_trusted=False,
    wrong_focus=False,
    recovered=True,
    needs_person=False,
    note="",
)


@pytest.mark.parametrize(
    ("change", "holds"),
    [
        ({}, True),
        ({"crashed": True}, False),
        ({"wrongly_trusted": True}, False),
        ({"wrong_focus": True}, False),
        ({"recovered": False}, False),
        ({"recovered": False, "needs_person": True}, True),
        ({"crashed": True, "needs_person": True}, False),
    ],
)
def test_a_fault_holds_where_nothing_bad_happened(change, holds):
    (line,) = tallies([GOOD, replace(GOOD, **change)], ["black frames"])
    assert line.injections == 2
    assert line.holds is holds
