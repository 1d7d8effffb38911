import threading

import pytest

from hw.virtual.clock import SimulatedClock


def test_time_jumps_and_never_runs_back():
    clock = SimulatedClock(5.0)
    clock.wait_until_s(8.5)
    clock.wait_until_s(7.0)
    assert clock.now_s() == 8.5


def test_actions_run_in_order_at_their_times():
    clock = SimulatedClock()
    seen = []

    def note(name):
        return lambda: seen.append((name, clock.now_s()))

    clock.at(3.0, note("late"))
    clock.at(1.0, note("first"))
    clock.at(1.0, note("second"))
    clock.at(2.0, lambda: clock.at(2.5, note("nested")))
    clock.at(9.0, note("not yet"))
    clock.wait_until_s(4.0)
    assert seen == [("first", 1.0), ("second", 1.0), ("nested", 2.5), ("late", 3.0)]
    assert clock.now_s() == 4.0


def test_an_action_in_the_past_runs_at_the_next_wait():
    clock, seen = SimulatedClock(2.0), []
    clock.at(1.0, lambda: seen.append(clock.now_s()))
    assert seen == []
    clock.wait_until_s(0.0)
    assert seen == [2.0]


def test_an_action_may_wait_for_a_thread_that_reads_the_clock():
    clock, seen = SimulatedClock(), []

    def action():
        thread = threading.Thread(target=lambda: seen.append(clock.now_s()))
        thread.start()
        thread.join(5.0)

    clock.at(1.0, action)
    clock.wait_until_s(2.0)
    assert seen == [1.0]


def test_many_threads_share_one_time():
    clock, seen = SimulatedClock(), []

    def run():
        for _ in range(200):
            before_s = clock.now_s()
            clock.wait_until_s(before_s + 0.001)
            seen.append(clock.now_s() > before_s)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 800
    assert all(seen)


@pytest.mark.parametrize("time_s", [float("nan"), float("inf")])
def test_a_wait_that_would_not_end_is_refused(time_s):
    with pytest.raises(ValueError, match="finite"):
        SimulatedClock().wait_until_s(time_s)
