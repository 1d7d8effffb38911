import threading

import pytest
from oracle import FRAME_PX, Rig

from edge_af.errors import EdgeAfError, UserError
from edge_af.instrument import TRANSITIONS, BusyError, Instrument, State
from edge_af.model_file import read_model_file
from edge_af.routines.ports import Method, Outcome
from edge_af.settings import FocusSettings
from hw.camera import CameraError
from hw.stage import StageError, StageFault, StageStopped


@pytest.fixture
def rig():
    return Rig(seed=3, kind="smear", defocus_um=5.0)


@pytest.fixture
def instrument(rig):
    # A short sweep, from within its reach of focus.
    return Instrument(rig.camera, rig.guard, rig.clock, FocusSettings(sweep_reach_um=8.0))


class Noting:
    """A device that notes when it is entered and left, and fails where it is told to."""

    def __init__(self, name, notes, *, fails_on=""):
        self._name, self._notes, self._fails_on = name, notes, fails_on

    def __enter__(self):
        self._note("enter")
        return self

    def __exit__(self, *failure):
        self._note("exit")

    def stop(self):
        self._note("stop")

    def _note(self, event):
        self._notes.append(f"{self._name} {event}")
        if event == self._fails_on:
            raise StageError(f"{self._name} cannot {event}")


def noting(camera_fails_on="", stage_fails_on=""):
    notes = []
    camera = Noting("camera", notes, fails_on=camera_fails_on)
    stage = Noting("stage", notes, fails_on=stage_fails_on)
    return Instrument(camera, stage, None, FocusSettings()), notes


def reach(start):
    seen, todo = set(), [start]
    while todo:
        for state in TRANSITIONS[todo.pop()] - seen:
            seen.add(state)
            todo.append(state)
    return seen


def test_every_state_can_be_reached_and_left_and_switched_off():
    assert set(TRANSITIONS) == set(State)
    for state in State:
        assert reach(state) == set(State)


def test_a_focus_ends_idle_and_counts_what_it_did(instrument, rig):
    with instrument:
        assert instrument.state is State.IDLE
        began_s = rig.clock.now_s()
        result = instrument.focus()
        assert instrument.state is State.IDLE
    assert (result.outcome, result.method) == (Outcome.FOCUSED, Method.SWEEP)
    assert result.reason == "there is no model"
    assert result.start_um == rig.start_um
    assert result.end_um == rig.guard.position_um
    assert result.time_s == rig.clock.now_s() - began_s
    assert result.moves == rig.guard.moves
    assert 10 < result.frames < 40


def test_a_focus_that_finds_nothing_is_no_fault():
    rig = Rig(kind="empty")
    with Instrument(rig.camera, rig.guard, rig.clock, FocusSettings()) as instrument:
        result = instrument.focus()
        assert (instrument.state, instrument.fault) == (State.IDLE, None)
    assert (result.outcome, result.method) == (Outcome.ABSTAINED, Method.NONE)
    assert result.end_um == pytest.approx(result.start_um)


def test_it_must_be_entered(instrument, rig):
    with pytest.raises(EdgeAfError, match=r"the instrument is off.*enter it"):
        instrument.focus()
    with instrument:
        pass
    assert instrument.state is State.OFF
    with pytest.raises(EdgeAfError, match="enter it"):
        instrument.focus()
    assert rig.moved_um == 0


def test_it_can_be_entered_again_but_not_twice(instrument):
    with instrument:
        with pytest.raises(EdgeAfError, match="is idle and cannot be starting"):
            instrument.__enter__()
        assert instrument.state is State.IDLE
    with instrument:
        assert instrument.focus().outcome is Outcome.FOCUSED


def test_a_second_command_is_refused_and_the_first_goes_on(instrument, rig):
    refusals = []

    def second():
        try:
            instrument.focus()
        except BusyError as error:
            refusals.append(str(error))

    def from_another_thread():
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()

    rig.clock.at(0.02, from_another_thread)
    with instrument:
        assert instrument.focus().outcome is Outcome.FOCUSED
    assert refusals == ["the instrument is focusing; wait for its end, or stop it"]


def test_a_stop_with_nothing_to_stop_is_forgotten(instrument):
    instrument.stop()
    with instrument:
        instrument.stop()
        assert instrument.state is State.IDLE
        assert instrument.focus().outcome is Outcome.FOCUSED


def test_a_stop_as_soon_as_it_is_focusing_counts(rig):
    # The very first moment at which another thread can know of the command.
    class Eager(Instrument):
        def _enter_state(self, state):
            super()._enter_state(state)
            if state is State.FOCUSING:
                self.stop()

    with Eager(rig.camera, rig.guard, rig.clock, FocusSettings()) as instrument:
        with pytest.raises(StageStopped):
            instrument.focus()
        assert instrument.state is State.STOPPED


def test_after_a_fault_the_next_focus_works(instrument, rig):
    step = rig.scene.mechanics.step

    def breaks(*_):
        raise StageFault("no power")

    with instrument:
        rig.scene.mechanics.step = breaks
        with pytest.raises(StageFault):
            instrument.focus()
        assert (instrument.state, instrument.fault) == (State.FAULT, "no power")
        rig.scene.mechanics.step = step
        assert instrument.focus().outcome is Outcome.FOCUSED
        assert (instrument.state, instrument.fault) == (State.IDLE, None)


def test_a_stage_that_cannot_be_stopped_is_a_fault_and_says_so(instrument, rig):
    def breaks(*_):
        raise CameraError("unplugged")

    def stuck():
        raise StageFault("cannot stop")

    with instrument:
        rig.camera.frame, rig.driver.stop, sound = breaks, stuck, rig.driver.stop
        with pytest.raises(StageFault, match="cannot stop") as caught:
            instrument.focus()
        assert isinstance(caught.value.__context__, CameraError)
        assert (instrument.state, instrument.fault) == (State.FAULT, "unplugged")
        rig.driver.stop = sound


def test_it_is_left_in_the_reverse_order_and_stopped_first():
    instrument, notes = noting()
    with instrument:
        assert notes == ["stage enter", "camera enter"]
    assert notes[2:] == ["stage stop", "camera exit", "stage exit"]


@pytest.mark.parametrize(
    "fails", [{"camera_fails_on": "exit"}, {"stage_fails_on": "stop"}, {"stage_fails_on": "exit"}]
)
def test_all_is_released_even_if_one_release_fails(fails):
    instrument, notes = noting(**fails)
    with pytest.raises(StageError, match="cannot"), instrument:
        pass
    assert notes[2:] == ["stage stop", "camera exit", "stage exit"]
    assert instrument.state is State.OFF


def test_a_camera_that_does_not_start_releases_the_stage():
    instrument, notes = noting(camera_fails_on="enter")
    with pytest.raises(StageError, match="camera cannot enter"), instrument:
        pass
    assert notes == ["stage enter", "camera enter", "stage exit"]
    assert instrument.state is State.OFF


def test_an_interrupt_while_it_starts_releases_the_stage():
    instrument, notes = noting()

    def interrupted(_):
        raise KeyboardInterrupt

    instrument._camera.__class__ = type("Slow", (Noting,), {"__enter__": interrupted})
    with pytest.raises(KeyboardInterrupt), instrument:
        pass
    assert notes == ["stage enter", "stage exit"]
    assert instrument.state is State.OFF


def test_leaving_it_ends_a_command_of_another_thread(instrument, rig):
    moving, stopped, ended = threading.Event(), threading.Event(), []
    step, stop = rig.scene.mechanics.step, rig.driver.stop

    def held_up(direction, time_s):
        step(direction, time_s)
        moving.set()
        assert stopped.wait(10)

    def noted():
        stop()
        stopped.set()

    def command():
        try:
            instrument.focus()
        except StageStopped as error:
            ended.append(error)

    rig.scene.mechanics.step, rig.driver.stop = held_up, noted
    thread = threading.Thread(target=command)
    with instrument:
        thread.start()
        assert moving.wait(10)
    assert instrument.state is State.OFF
    thread.join(10)
    assert len(ended) == 1


def test_a_model_is_taken_into_use(instrument, packed_model):
    assert instrument.classifier is None
    instrument.use_model(read_model_file(packed_model), FRAME_PX)
    assert instrument.classifier.card.name == "tiny"


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"tolerance_um": -1.0}, "tolerance_um = -1.0: input should be greater than 0"),
        ({"tolerance_um": float("nan")}, "tolerance_um = nan: input should be a finite number"),
        ({"certainty": 1.0}, "certainty = 1.0: input should be less than 1"),
        ({"tolerance_mm": 1.0}, "tolerance_mm = 1.0: extra inputs are not permitted"),
        (
            {"sweep_reach_um": 100.0},
            "travel_budget_um = 300 is too little for sweep_reach_um = 100: a sweep may travel "
            "600 um; allow that, or look less far",
        ),
    ],
)
def test_bad_settings_are_named(values, message):
    with pytest.raises(UserError) as caught:
        FocusSettings.checked(**values)
    assert str(caught.value) == message
