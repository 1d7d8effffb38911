"""The seven promises of the design, each on the whole instrument or as near to it as can be."""

import ast
import json
import re
import signal
import subprocess
import sys
import textwrap
import threading
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from oracle import FRAME_PX, Oracle, Rig, Tampered, painted

from convert.pack import pack
from edge_af.card import ModelCard
from edge_af.classifier import Abstained
from edge_af.errors import ModelError
from edge_af.instrument import Instrument, State
from edge_af.model_file import read_model_file
from edge_af.routines.focus import focus
from edge_af.routines.ports import Method, Outcome
from edge_af.routines.single_shot import single_shot
from edge_af.routines.sweep import sweep
from edge_af.settings import FocusSettings
from hw.camera import CameraError, CameraStalled
from hw.stage import LimitError, Range, StageFault, StageStopped

ROOT = Path(__file__).parents[2]


def instrument_of(rig, change=None, **settings):
    camera = rig.camera if change is None else Tampered(rig.camera, change)
    return Instrument(camera, rig.guard, rig.clock, FocusSettings(**settings))


@pytest.fixture
def model_of(tmp_path, tiny_tflite, tiny_card):
    """A model file that loads, with fields of its card changed."""

    def model_of(**fields):
        card = ModelCard.model_validate(tiny_card.model_dump() | fields)
        path = tmp_path / "changed.tflite"
        path.write_bytes(pack(tiny_tflite, card))
        return read_model_file(path)

    return model_of


def motor_log(rig):
    """Have every step noted: when, and where the motor then stood, in um."""
    mechanics, log = rig.scene.mechanics, []
    step = mechanics.step

    def noted(direction, time_s):
        step(direction, time_s)
        log.append((time_s, mechanics.motor_um))

    mechanics.step = noted
    return log


def from_another_thread(action):
    def run():
        thread = threading.Thread(target=action)
        thread.start()
        thread.join()

    return run


# 1. Fresh frames only


def test_1_every_frame_used_was_exposed_with_the_axis_at_rest():
    rig = Rig(seed=3, kind="smear", defocus_um=6.0)
    moving = []

    def watched(camera, after_s, timeout_s):
        frame = camera.frame(after_s, timeout_s)
        mechanics = rig.scene.mechanics
        moving.append(mechanics.moving(frame.exposure_start_s, frame.exposure_end_s))
        return frame

    with instrument_of(rig, watched) as instrument:
        assert instrument.focus().frames == len(moving) > 20
    assert not any(moving)


def stale(camera, *_):
    """The next frame in the queue, as a careless driver hands it out."""
    return camera.frame()


def frozen():
    """A sensor clock that stands still: every frame claims the time of the first."""
    first = []

    def frame(camera, after_s, timeout_s):
        frame = camera.frame(after_s, timeout_s)
        first.append(frame)
        return replace(
            frame,
            exposure_start_s=first[0].exposure_start_s,
            exposure_end_s=first[0].exposure_end_s,
        )

    return frame


def ahead(camera, *_):
    """A sensor clock that runs ahead, so that every frame looks fresh."""
    frame = camera.frame()
    return replace(
        frame,
        exposure_start_s=frame.exposure_start_s + 100,
        exposure_end_s=frame.exposure_end_s + 100,
    )


def unknown(camera, *_):
    return replace(camera.frame(), exposure_start_s=float("nan"))


@pytest.mark.parametrize(
    "cheat", [stale, frozen(), ahead, unknown], ids=lambda cheat: cheat.__name__
)
def test_1_frames_that_cannot_be_shown_to_be_fresh_are_refused(cheat):
    rig = Rig(defocus_um=6.0)
    with instrument_of(rig, cheat) as instrument:
        with pytest.raises(CameraError, match="timestamps cannot be trusted"):
            instrument.focus()
        assert instrument.state is State.FAULT


def test_1_a_frame_is_not_used_twice():
    rig = Rig(kind="empty", backlash_um=0.0)

    def again(camera, after_s, timeout_s, last=[]):  # noqa: B006
        last.append(camera.frame(after_s, timeout_s))
        return last[0]

    with rig.desk() as desk:
        desk.view._camera = Tampered(rig.camera, again)
        desk.view.frame()
        with pytest.raises(CameraError, match="no later than the frame before"):
            desk.view.frame()


# 2. No move past the guard


@pytest.mark.parametrize("seed", range(6))
def test_2_no_step_beyond_the_limits_or_the_budget_whatever_the_observer_says(seed):
    rng = np.random.default_rng(seed)
    limits = Range(-rng.uniform(0, 12), rng.uniform(3, 12))
    rig = Rig(seed=seed, kind="smear", defocus_um=float(rng.uniform(-12, 12)), limits=limits)
    log = motor_log(rig)
    budget_um = 40.0
    settings = FocusSettings(travel_budget_um=budget_um, sweep_reach_um=6.0)
    with suppress(LimitError), rig.desk(settings) as desk:
        focus(desk, Oracle(rig, lambda _: float(rng.uniform(-12, 12))))
    places_um = [rig.start_um] + [place_um for _, place_um in log]
    assert len(places_um) > 10
    assert min(places_um) >= rig.start_um + limits.low_um - 1e-6
    assert max(places_um) <= rig.start_um + limits.high_um + 1e-6
    assert sum(abs(b - a) for a, b in pairwise(places_um)) <= budget_um + 1e-6
    assert rig.truth.crashes == 0


def test_2_a_path_is_checked_whole_before_its_first_step():
    rig = Rig(limits=Range(-10.0, 10.0))
    log = motor_log(rig)
    with rig.desk() as desk:
        # Beyond either end; and inside, where the overshoot that takes up the backlash is not.
        for offset_um in (-10.5, 10.5, -9.0):
            with pytest.raises(
                LimitError, match=r"refused: it leads to .* um.*outside the soft limits"
            ):
                desk.stage.move_to_um(rig.start_um + offset_um)
    assert log == []


def test_2_a_bare_driver_is_never_moved():
    rig = Rig()
    log = motor_log(rig)
    # As a program without a type checker would.
    instrument = Instrument(rig.camera, rig.driver, rig.clock, FocusSettings())
    with pytest.raises(AttributeError), instrument:
        instrument.focus()
    assert log == []


def test_2_the_instrument_moves_inside_a_budget():
    rig = Rig(seed=3, kind="smear", defocus_um=10.0)
    log = motor_log(rig)
    with instrument_of(rig, sweep_reach_um=2.0, travel_budget_um=12.0) as instrument:
        with pytest.raises(LimitError, match="travel budget of 12 um"):
            instrument.focus()
        assert instrument.state is State.IDLE  # refused: nothing is broken
        assert instrument.fault is None
    assert len(log) * 0.1 <= 12 + 1e-6


# 3. Abstain


def overexposed(camera, after_s, timeout_s):
    """Half of every tile white, and plenty of contrast."""
    frame = camera.frame(after_s, timeout_s)
    squares = np.indices(FRAME_PX).sum(axis=0) // 16 % 2 == 0
    return replace(frame, pixels=np.where(squares[:, :, None], np.uint8(255), frame.pixels))


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("empty", None),
        ("tissue", painted(255)),
        ("tissue", painted(0)),
        ("tissue", painted(128)),
        ("tissue", overexposed),
    ],
    ids=["empty", "white", "black", "grey", "overexposed"],
)
def test_3_a_frame_without_content_gets_no_decision_and_no_move(model_of, kind, change):
    rig = Rig(kind=kind, defocus_um=5.0)
    log = motor_log(rig)
    limits = {"min_content": 0.02, "max_entropy_nats": 10.0, "max_novelty": 10.0}
    with instrument_of(rig, change) as instrument:
        instrument.use_model(model_of(abstention=limits), FRAME_PX)
        result = instrument.focus()
    assert (result.outcome, result.method) == (Outcome.ABSTAINED, Method.NONE)
    assert result.reason == "the model abstained: empty"
    assert log == []


def test_3_a_model_that_is_not_sure_is_not_followed_and_the_sweep_is_named(model_of):
    rig = Rig(seed=3, kind="smear", defocus_um=5.0)
    limits = {"min_content": 0.0, "max_entropy_nats": 0.0, "max_novelty": 10.0}
    with instrument_of(rig) as instrument:
        instrument.use_model(model_of(abstention=limits), FRAME_PX)
        result = instrument.focus()
    assert (result.outcome, result.method) == (Outcome.FOCUSED, Method.SWEEP)
    assert result.reason == "the model abstained: uncertain"
    assert abs(rig.truth.defocus_um) <= 0.5


def test_3_an_unfamiliar_frame_is_not_followed_and_the_sweep_is_named():
    rig = Rig(seed=3, kind="smear", defocus_um=5.0)
    with rig.desk() as desk:
        method, attempt = focus(desk, Oracle(rig, lambda _: Abstained.UNFAMILIAR))
    assert (method, attempt.found) == (Method.SWEEP, True)
    assert attempt.reason == "the model abstained: unfamiliar"


# 4. Verify and revert


def test_4_a_jump_that_made_the_picture_worse_is_undone():
    rig = Rig(seed=4, kind="smear", defocus_um=7.0)
    rig.engage()
    before_um = rig.truth.defocus_um
    log = motor_log(rig)
    with rig.desk() as desk:
        attempt = single_shot(desk, Oracle(rig, lambda defocus_um: -defocus_um))
    assert not attempt.found
    assert "no better" in attempt.reason
    assert max(place_um for _, place_um in log) > rig.start_um + 3  # it did go there
    assert rig.moved_um == pytest.approx(0, abs=1e-6)
    assert rig.truth.defocus_um == pytest.approx(before_um, abs=0.3)  # play and drift


def test_4_a_focus_is_not_claimed_before_a_frame_confirms_it():
    rig = Rig(seed=4, kind="smear", defocus_um=4.0)
    answers_um = iter([4.0, 3.0, 3.0, 3.0, 3.0, 3.0])  # never "in focus"
    with rig.desk() as desk:
        attempt = single_shot(desk, Oracle(rig, lambda _: next(answers_um)))
    assert not attempt.found
    assert rig.moved_um == pytest.approx(0, abs=1e-6)


def test_4_the_latest_frame_decides_not_those_before_it():
    rig = Rig(seed=4, kind="smear", defocus_um=4.0, backlash_um=0.0)
    # The second frame leads on, too far to be gone without a look; the one taken there disagrees.
    answers_um = iter([4.0, 1.8, 6.0, 6.0, 6.0, 6.0])
    with rig.desk() as desk:
        attempt = single_shot(desk, Oracle(rig, lambda _: next(answers_um)))
    assert not attempt.found
    assert rig.moved_um == pytest.approx(0, abs=1e-6)


def test_4_only_a_short_rest_of_a_verified_way_is_gone_without_a_look():
    def shot(*answers_um):
        rig = Rig(seed=4, kind="smear", defocus_um=4.0, backlash_um=0.0)
        said_um = iter([*answers_um, *[0.0] * 5])
        with rig.desk() as desk:
            single_shot(desk, Oracle(rig, lambda _: next(said_um)))
            return rig.moved_um, desk.view.frames

    moved_um, frames = shot(4.0, 0.6)
    assert moved_um == pytest.approx(-4.6, abs=0.15)
    assert frames == 2
    assert shot(4.0, 1.8)[1] > 2  # two depths of field are 1.6 um
    assert shot(1.0, 0.6)[1] > 2  # more than half of what it has gone


def test_4_a_sweep_that_does_not_see_again_what_it_saw_goes_back():
    def swept(frames_seen):
        rig = Rig(seed=3, kind="smear", defocus_um=3.0)
        rig.camera = Tampered(rig.camera, painted(128, after_frames=frames_seen))
        with rig.desk(FocusSettings(sweep_reach_um=5.0)) as desk:
            attempt = sweep(desk)
            return rig, attempt, desk.view.frames

    _, found, frames = swept(1000)
    assert found.found
    rig, lost, _ = swept(frames - 1)
    assert lost.reason == "the sharpest place seen was not found again"
    assert rig.moved_um == pytest.approx(0, abs=1e-6)


# 5. The model carries its card


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"um_per_px": 0.1}, "the camera's pixels are 0.35 um, the model needs at most 0.125 um"),
        ({"um_per_px": 3.0}, "smaller than the model's tile of 32 px at 3 um/px"),
        ({"tile_px": 64}, "its card says"),
    ],
)
def test_5_a_model_that_does_not_fit_is_refused_and_the_running_one_stays(
    packed_model, model_of, fields, reason
):
    rig = Rig(kind="empty")
    with instrument_of(rig) as instrument:
        instrument.use_model(read_model_file(packed_model), FRAME_PX)
        running = instrument.classifier
        with pytest.raises(ModelError, match=re.escape(reason)):
            instrument.use_model(model_of(**fields), FRAME_PX)
        assert instrument.classifier is running
        assert running.card.um_per_px == 0.35
        instrument.focus()  # and still works


def test_5_a_model_changed_after_it_was_sealed_is_refused(packed_model):
    content = bytearray(packed_model.read_bytes())
    where = content.index(b"class -20")
    content[where : where + 9] = b"class -21"
    packed_model.write_bytes(content)
    with pytest.raises(ModelError):
        read_model_file(packed_model)


# 6. Stops safe


def assert_at_rest(rig, log):
    """Let a second pass, and see that nothing more was sent and that a new move is refused."""
    sent = len(log)
    rig.clock.wait_until_s(rig.clock.now_s() + 1)
    assert len(log) == sent


@pytest.mark.parametrize("stall_at", [1, 2, 9])
def test_6_a_camera_that_stalls_leaves_the_motor_at_rest(stall_at):
    rig = Rig(seed=3, kind="smear", defocus_um=6.0)
    log, given = motor_log(rig), []

    def stalls(camera, after_s, timeout_s):
        given.append(after_s)
        if len(given) == stall_at:
            return camera.frame(after_s, timeout_s=0.0)
        return camera.frame(after_s, timeout_s)

    with instrument_of(rig, stalls) as instrument:
        with pytest.raises(CameraStalled):
            instrument.focus()
        assert instrument.state is State.FAULT
        assert "no frame" in instrument.fault
        assert_at_rest(rig, log)
        assert rig.guard.trusted  # the motor did as it was told
        instrument.focus()
        assert instrument.state is State.IDLE


def test_6_a_lost_line_in_mid_move_leaves_the_position_untrusted():
    rig = Rig(seed=3, kind="smear", defocus_um=6.0)
    log = motor_log(rig)
    sound = rig.scene.mechanics.step

    def breaks(direction, time_s):
        if len(log) == 50:
            raise StageFault("the line to the stage went silent")
        sound(direction, time_s)

    rig.scene.mechanics.step = breaks
    with instrument_of(rig) as instrument:
        with pytest.raises(StageFault, match="went silent"):
            instrument.focus()
        assert instrument.state is State.FAULT
        assert instrument.fault == "the line to the stage went silent"
        assert not rig.guard.trusted
        assert "went silent" in rig.guard.untrusted_reason
        assert_at_rest(rig, log)
    assert len(log) == 50


def test_6_an_interrupt_in_mid_move_stops_the_motor():
    rig = Rig(seed=3, kind="smear", defocus_um=6.0)
    log = motor_log(rig)

    def interrupt():
        raise KeyboardInterrupt

    rig.clock.at(0.02, interrupt)
    with instrument_of(rig) as instrument:
        with pytest.raises(KeyboardInterrupt):
            instrument.focus()
        assert instrument.state is State.FAULT
        assert not rig.guard.trusted
        assert_at_rest(rig, log)
    assert instrument.state is State.OFF
    assert log
    assert log[-1][0] <= 0.02


@pytest.mark.parametrize("stop_s", [0.02, 0.1, 0.35, 1.0])
def test_6_stop_from_another_thread_ends_the_command_within_a_step(stop_s):
    rig = Rig(seed=3, kind="smear", defocus_um=6.0)
    log = motor_log(rig)
    with instrument_of(rig) as instrument:
        rig.clock.at(stop_s, from_another_thread(instrument.stop))
        with pytest.raises(StageStopped):
            instrument.focus()
        assert instrument.state is State.STOPPED
        assert instrument.fault is None
        assert rig.guard.trusted  # a stop is counted to the step
        assert_at_rest(rig, log)
        # No step came later than one step period (at most 10 ms, from rest) after the stop.
        assert all(time_s <= stop_s + 0.01 for time_s, _ in log)
        assert instrument.focus().outcome is Outcome.FOCUSED


def test_6_the_motor_is_released_on_exit_even_if_the_camera_is_not():
    rig = Rig()

    class Stuck(Tampered):
        def __exit__(self, *failure):
            raise CameraError("the camera does not let go")

    camera = Stuck(rig.camera, None)
    instrument = Instrument(camera, rig.guard, rig.clock, FocusSettings())
    with pytest.raises(CameraError, match="does not let go"), instrument:
        pass
    assert instrument.state is State.OFF
    with pytest.raises(StageFault, match="not connected"):
        rig.driver.move_to_um(rig.start_um + 1)


CHILD = """
import json, signal, sys, time
sys.path.insert(0, {tests!r})
from edge_af.instrument import Instrument
from edge_af.settings import FocusSettings
from hw.clock import WallClock
from oracle import Rig

def leave(number, frame):
    raise SystemExit(143)

signal.signal(signal.SIGTERM, leave)
# Who starts the tests in the background of a script has them ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)
rig = Rig(clock=WallClock(), kind="smear", seed=3, defocus_um=6.0)
step, said = rig.scene.mechanics.step, []

def noted(direction, time_s):
    step(direction, time_s)
    if not said:
        said.append(print("moving", flush=True))

rig.scene.mechanics.step = noted
instrument = Instrument(rig.camera, rig.guard, rig.clock, FocusSettings())
state, ended = None, None
try:
    with instrument:
        try:
            instrument.focus()
        finally:
            state = instrument.state
except BaseException as error:
    ended = type(error).__name__
at_um = rig.scene.mechanics.motor_um
time.sleep(0.2)
print(json.dumps(dict(
    ended=ended, state=state, off=instrument.state, slid_um=rig.scene.mechanics.motor_um - at_um,
    lost_um=rig.driver.position_um - at_um,
)))
"""


@pytest.mark.parametrize(
    ("number", "ended"),
    [(signal.SIGINT, "KeyboardInterrupt"), (signal.SIGTERM, "SystemExit")],
    ids=["SIGINT", "SIGTERM"],
)
def test_6_a_signal_to_the_process_stops_the_motor_in_real_time(number, ended):
    script = textwrap.dedent(CHILD).format(tests=str(ROOT / "tests"))
    child = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    with child:
        assert child.stdout.readline() == "moving\n"
        child.send_signal(number)
        told = json.loads(child.stdout.read())
    assert told["ended"] == ended
    assert (told["state"], told["off"]) == (State.FAULT, State.OFF)
    assert told["slid_um"] == 0
    assert abs(told["lost_um"]) <= 0.1 + 1e-6  # a step may be made and not yet counted


# 7. Units in names, one sign


@pytest.mark.parametrize("defocus_um", [-9.0, -4.0, 4.0, 9.0])
def test_7_positive_defocus_moves_the_stage_in_the_negative_direction(defocus_um):
    rig = Rig(defocus_um=defocus_um, backlash_um=0.0)
    with rig.desk() as desk:
        assert single_shot(desk, Oracle(rig)).found
    assert rig.moved_um == pytest.approx(-defocus_um, abs=0.5)
    assert rig.moved_um * defocus_um < 0


QUANTITIES = re.compile(
    "(^|_)(axis|backlash|budget|defocus|delay|depth|distance|drift|focus|gap|height|latency|length"
    "|limit|offset|overshoot|period|pitch|position|radius|reach|run|settle|slack|speed|start|target"
    "|time|timeout|tolerance|travel|wait|wavelength|width)(_|$)"
)
UNITS = re.compile(r"_(um|mm|s|px|steps|hz|rad|waves)(2|_per_[a-z]+2?)?$|_per_(um|px|s|s2|mm2)$")


def annotated(node):
    """Yield the names and annotations of a function's parameters and result, or of a field."""
    if isinstance(node, ast.arg) and node.annotation:
        yield node.arg, node.annotation
    if isinstance(node, ast.FunctionDef) and node.returns:
        yield node.name, node.returns
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name | ast.Attribute):
        yield getattr(node.target, "id", None) or node.target.attr, node.annotation


def test_7_every_length_and_time_says_its_unit():
    checked, bare = 0, []
    for path in sorted([*ROOT.glob("hw/**/*.py"), *ROOT.glob("edge_af/**/*.py")]):
        for node in ast.walk(ast.parse(path.read_text())):
            for name, annotation in annotated(node):
                number = ast.unparse(annotation) in ("float", "float | None")
                if number and QUANTITIES.search(name):
                    checked += 1
                    if not UNITS.search(name):
                        bare.append(f"{path.relative_to(ROOT)}: {name}")
    assert bare == []
    assert checked > 90
