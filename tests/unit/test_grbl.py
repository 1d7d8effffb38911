"""The GRBL driver against an emulator of the firmware, in real time over a pty."""

import random
import threading
import time
from contextlib import contextmanager, suppress

import pytest
import serial
from firmware.grbl import GrblFirmware
from firmware.grbl_numbers import F, print_float, read_float, to_steps
from firmware.pty_port import PtyPort
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hw.clock import WallClock
from hw.grbl import GrblSettings
from hw.grbl_homing import HomingGrbl, grbl_stage
from hw.grbl_protocol import MAX_STEPS_PER_MM, BoardAxis, parse_status
from hw.guard import GuardedStage
from hw.serial_line import LineError, LineGarbled, LineSilent
from hw.stage import Range, StageError, StageFault, StageStopped, can_home

STEP_UM = 0.1
SLOW_UM_PER_S = 300.0


@contextmanager
def board(folder, changes=None, *, end_stop=None, baud=1_000_000, **port_options):
    firmware = GrblFirmware(changes, end_stop=end_stop)
    with PtyPort(firmware, folder, baud=baud, **port_options) as port:
        yield firmware, port


def stage_at(port, **changes):
    options = {
        "kind": "grbl",
        "port": str(port.path),
        "baud": port.baud,
        "step_um": STEP_UM,
        "settle_s": 0.0,
        "rate_um_per_s": 5000.0,
        "timeout_s": 0.4,
        "boot_s": 0.2,
    }
    settings = GrblSettings(**options | changes)
    return grbl_stage(settings, WallClock())


def another_program_sends(port, data):
    with serial.Serial(str(port.path), port.baud) as line:
        line.write(data)
        wait_for(lambda: bytes(port.heard).endswith(data))


def wait_for(condition, timeout_s=5.0):
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "it did not happen"
        time.sleep(0.001)


def in_mid_move(stage, port, target_um, action):
    """Run `action` once the motor turns and the driver knows; return what the move raised."""
    firmware = port.firmware
    start_um = stage.position_um

    def act():
        wait_for(lambda: firmware.pulses > before + 5 and stage.position_um != start_um)
        action()

    before = firmware.pulses
    thread = threading.Thread(target=act)
    thread.start()
    try:
        stage.move_to_um(target_um)
    except StageError as error:
        return error
    finally:
        thread.join()
    return None


def sends(port, code):
    """Return an action by which the firmware gets a byte that the driver did not send."""

    def send():
        with port.lock:
            port.firmware.receive(code)

    return send


def trips_hard_limit(port):
    def trip():
        with port.lock:
            port.firmware.trip_hard_limit()

    return trip


def agree(stage, firmware):
    return firmware.motor_steps[2] == round(stage.position_um / STEP_UM)


# Numbers, against the firmware's own arithmetic


def axis_of(steps_per_mm, letter="z"):
    return BoardAxis(letter, steps_per_mm, 500, 10, 200, False, 500, True)


@given(
    milli=st.integers(1, round(MAX_STEPS_PER_MM * 1000)),
    steps=st.integers(-400_000, 400_000),
)
def test_a_jog_lands_on_the_asked_step_and_its_report_names_it(milli, steps):
    """Also with steps/mm of three decimals, as GRBL keeps them, and far from zero."""
    scale = milli / 1000
    if abs(steps) / scale > 9000:  # metres of travel: beyond the digits that are read
        return
    text = axis_of(scale).jog(steps, 300.0)
    assert text.startswith("$J=G53G21Z")
    assert len(text) < 80
    millimetres, _ = read_float(text.removeprefix("$J=G53G21Z"))
    assert to_steps(millimetres, F(scale)) == steps
    printed = print_float(F(steps) / F(scale), 3)
    status = parse_status(f"<Idle|MPos:0.000,0.000,{printed}|FS:0,0>")
    assert axis_of(scale).steps(status) == steps


def test_relative_jogs_would_not_do():
    """Why jogs are absolute: 0.01 mm at 250 steps/mm is 2.5 steps, as seen on a real board."""
    millimetres, _ = read_float("0.01")
    assert to_steps(millimetres, F(250)) == 3
    assert print_float(F(3) / F(250), 3) == "0.012"


@pytest.mark.parametrize(
    ("line", "state", "substate", "z_mm"),
    [
        ("<Idle|MPos:0.000,0.000,-1.012|FS:0,0|WCO:0.000,0.000,0.000>", "Idle", None, -1.012),
        ("<Jog|MPos:1.000,2.000,3.004|Bf:15,128|FS:120,0|Ov:100,100,100>", "Jog", None, 3.004),
        ("<Hold:1|MPos:0.000,0.000,0.000|FS:0,0|Pn:XZ>", "Hold", 1, 0.0),
        ("<Door:0|MPos:0.000,0.000,0.500,9.000>", "Door", 0, 0.5),
    ],
)
def test_reads_status_reports(line, state, substate, z_mm):
    status = parse_status(line)
    assert (status.state, status.substate, status.position_mm[2]) == (state, substate, z_mm)


def test_a_damaged_status_report_is_garbled_or_reads_the_same():
    whole = "<Idle|MPos:0.000,0.000,-1.012|FS:0,0|WCO:0.000,0.000,0.000>"
    for end in range(len(whole)):
        with pytest.raises(LineGarbled):
            parse_status(whole[:end])
    for lost in range(whole.index("|FS")):
        with suppress(LineGarbled):
            status = parse_status(whole[:lost] + whole[lost + 1 :])
            assert abs(status.position_mm[2]) == 1.012  # a lost sign is seen by the way it goes


def test_work_positions_are_refused_with_the_cure():
    with pytest.raises(StageFault, match=r"\$10=1"):
        parse_status("<Idle|WPos:0.000,0.000,0.000|FS:0,0>")


# What the board must be like


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({102: 3200}, r"\$102=800, \$112=36000.000 and \$122=80000.000"),
        ({13: 1}, r"\$13=0"),
        ({10: 0}, r"\$10=1"),
    ],
)
def test_a_board_that_cannot_count_single_steps_is_refused(tmp_path, changes, text):
    with board(tmp_path, changes) as (_, port), pytest.raises(StageFault, match=text):
        stage_at(port).__enter__()


def test_a_rate_below_the_least_of_the_firmware_is_refused(tmp_path):
    with board(tmp_path) as (_, port), pytest.raises(StageFault, match=r"set 0\.417 or more"):
        stage_at(port, rate_um_per_s=0.2).__enter__()


def test_a_rate_below_a_step_a_second_is_refused():
    with pytest.raises(ValidationError, match="less than one step"):
        GrblSettings(kind="grbl", port="x", step_um=1, rate_um_per_s=0.5)


def test_a_board_that_is_no_grbl_is_refused(tmp_path):
    with board(tmp_path) as (_, port):
        port.tamper = lambda _index, code: bytes([code]).replace(b"G", b"H")
        with pytest.raises(LineSilent, match=r"runs GRBL 1\.1"):
            stage_at(port).__enter__()


def test_an_older_grbl_is_refused(tmp_path):
    with board(tmp_path) as (firmware, port):
        reset = firmware.reset

        def older(send):
            reset(lambda data: send(data.replace(b"Grbl 1.1h", b"Grbl 0.9j")))

        firmware.reset = older
        with pytest.raises(StageFault, match=r"runs GRBL 0\.9j"):
            stage_at(port).__enter__()


# Opening


def test_a_board_that_is_not_reset_on_opening_keeps_its_count(tmp_path):
    with board(tmp_path, reset_on_open=False) as (firmware, port):
        stage = stage_at(port)
        for target_um in (7.0, -3.0):
            with stage:
                assert agree(stage, firmware)
                stage.move_to_um(target_um)
        with stage_at(port) as another:
            assert another.position_um == -3.0


def test_a_board_found_moving_is_stopped_before_anything_else(tmp_path):
    with board(tmp_path, reset_on_open=False) as (firmware, port):
        another_program_sends(port, b"$J=G53G21Z9F100\n")
        wait_for(lambda: firmware.moving)
        with stage_at(port) as stage:
            assert not firmware.moving
            assert agree(stage, firmware)
            stage.move_to_um(1.0)
            assert agree(stage, firmware)


def test_half_a_command_left_by_another_program_is_not_completed(tmp_path):
    with board(tmp_path, reset_on_open=False) as (firmware, port):
        another_program_sends(port, b"$J=G53G21Z9F100")
        with stage_at(port) as stage:
            stage.move_to_um(1.0)
        assert firmware.motor_steps[2] == 10


def test_noise_while_the_port_opens_does_no_harm(tmp_path):
    with board(tmp_path) as (firmware, port):
        reset = firmware.reset

        def noisy(send):
            send(b"\xff\x00\xfe\r\n")
            reset(send)

        firmware.reset = noisy
        with stage_at(port) as stage:
            stage.move_to_um(2.0)
            assert agree(stage, firmware)


def test_a_board_locked_until_homed_is_unlocked(tmp_path):
    with board(tmp_path, {22: 1}, end_stop=(2, 500)) as (firmware, port), stage_at(port) as stage:
        stage.move_to_um(2.0)
        assert agree(stage, firmware)


def test_connecting_anew_keeps_the_count_and_raises_a_doubt(tmp_path):
    with board(tmp_path) as (firmware, port):
        stage = stage_at(port)
        with stage:
            assert stage.take_doubt() is None
            stage.move_to_um(-12.3)
        with stage:
            assert stage.position_um == pytest.approx(-12.3)
            assert "anew" in stage.take_doubt()
            assert stage.take_doubt() is None
            stage.move_to_um(4.0)
            assert agree(stage, firmware)


# Moving


@pytest.mark.parametrize("letter", ["x", "y", "z"])
@pytest.mark.parametrize("mirrored", [False, True])
def test_the_axis_set_moves_and_no_other(tmp_path, letter, mirrored):
    with (
        board(tmp_path) as (firmware, port),
        stage_at(port, axis=letter, reversed=mirrored) as stage,
    ):
        stage.move_to_um(5.0)
    steps = [0, 0, 0]
    steps["xyz".index(letter)] = -50 if mirrored else 50
    assert firmware.motor_steps == steps


def test_the_rate_is_in_um_per_second_whatever_the_board_takes_for_a_mm(tmp_path):
    for scale in (40, 400):
        changes = {102: scale, 112: 1e6}
        with board(tmp_path, changes) as (_, port), stage_at(port, rate_um_per_s=200) as stage:
            stage.move_to_um(3.0)
            jog = bytes(port.heard).decode("latin1").split("$J=")[1]
        feed_mm_per_min = float(jog[jog.index("F") + 1 : jog.index("\n")])
        assert feed_mm_per_min / 60 * scale == pytest.approx(200 / STEP_UM, abs=0.01)


def test_a_motor_that_the_board_lets_go_is_in_doubt_unless_it_keeps_its_place(tmp_path):
    for keeps_place in (False, True):
        with (
            board(tmp_path, {1: 5}) as (_, port),
            stage_at(port, keeps_place=keeps_place) as stage,
        ):
            assert stage.take_doubt() is None
            stage.move_to_um(1.0)
            doubt = stage.take_doubt()
            assert (doubt is None) if keeps_place else ("$1=255" in doubt)
            assert stage.take_doubt() is None


@pytest.mark.parametrize("refused", [15, 8])
def test_a_refused_jog_is_a_fault_with_the_reason_and_moves_nothing(tmp_path, refused):
    with board(tmp_path) as (firmware, port), stage_at(port) as stage:
        firmware._jog = lambda _text: refused
        with pytest.raises(StageFault, match=f"error:{refused} "):
            stage.move_to_um(1.0)
        del firmware._jog
        assert firmware.pulses == 0
        stage.move_to_um(1.0)
        assert agree(stage, firmware)


# Stopping


def test_a_stop_leaves_no_rest_that_runs_later(tmp_path):
    with board(tmp_path) as (firmware, port), stage_at(port, rate_um_per_s=SLOW_UM_PER_S) as stage:
        error = in_mid_move(stage, port, 200.0, stage.stop)
        assert isinstance(error, StageStopped)
        pulses = firmware.pulses
        assert agree(stage, firmware)
        time.sleep(0.1)
        assert firmware.pulses == pulses
        stage.move_to_um(stage.position_um + 1.0)
        assert agree(stage, firmware)
        assert firmware.pulses == pulses + 10


def test_a_cancel_taken_up_just_after_the_jog_does_not_hang_the_next_move(tmp_path):
    """GRBL is then Idle and suspended: it reports, and executes nothing (gnea/grbl issue 195)."""
    with board(tmp_path) as (firmware, port), stage_at(port, rate_um_per_s=SLOW_UM_PER_S) as stage:
        firmware.cancel_comes_late = True
        in_mid_move(stage, port, 60.0, stage.stop)
        assert stage.position_um == 60.0
        for target_um in (3.0, -3.0):
            stage.move_to_um(target_um)
            assert agree(stage, firmware)
        assert stage.take_doubt() is None


def test_a_hold_button_ends_the_move_as_a_fault_with_the_right_count(tmp_path):
    with board(tmp_path) as (firmware, port), stage_at(port, rate_um_per_s=SLOW_UM_PER_S) as stage:
        error = in_mid_move(stage, port, 200.0, sends(port, ord("!")))
        assert isinstance(error, StageFault)
        assert "hold button" in str(error)
        assert agree(stage, firmware)
        stage.move_to_um(1.0)
        assert agree(stage, firmware)


def test_a_hold_between_moves_is_resumed(tmp_path):
    with board(tmp_path) as (firmware, port), stage_at(port) as stage:
        sends(port, ord("!"))()
        wait_for(lambda: firmware.state == "Hold:0")
        stage.move_to_um(3.0)
        assert agree(stage, firmware)


# Resets and alarms


def test_a_reset_in_mid_move_is_a_fault_and_the_board_is_unlocked_for_the_next(tmp_path):
    with board(tmp_path) as (firmware, port), stage_at(port, rate_um_per_s=SLOW_UM_PER_S) as stage:
        error = in_mid_move(stage, port, 200.0, sends(port, 0x18))
        assert isinstance(error, StageFault)
        assert "ALARM:3" in str(error)
        assert stage.take_doubt() is not None
        assert agree(stage, firmware)
        stage.move_to_um(3.0)
        assert agree(stage, firmware)


def test_a_reset_button_in_mid_move_is_a_fault(tmp_path):
    with board(tmp_path) as (firmware, port), stage_at(port, rate_um_per_s=SLOW_UM_PER_S) as stage:
        error = in_mid_move(stage, port, 200.0, port.reset_board)
        assert isinstance(error, StageFault)
        assert "forgot its count" in stage.take_doubt()
        before_um = stage.position_um
        assert 0 <= before_um <= firmware.motor_steps[2] * STEP_UM
        stage.move_to_um(before_um + 1.0)
        assert stage.position_um == pytest.approx(before_um + 1.0)


def test_a_hard_limit_deafens_the_board_until_it_is_reset(tmp_path):
    with board(tmp_path) as (firmware, port), stage_at(port, rate_um_per_s=SLOW_UM_PER_S) as stage:
        error = in_mid_move(stage, port, 200.0, trips_hard_limit(port))
        assert isinstance(error, StageFault)
        assert "end stop" in str(error)
        stage.move_to_um(0.0)
        assert agree(stage, firmware)
        assert "locked" in stage.take_doubt()


@pytest.mark.parametrize("how", ["soft", "button"])
def test_a_reset_between_moves_is_told_before_the_first_step(tmp_path, how):
    with board(tmp_path) as (firmware, port), stage_at(port) as stage:
        for ask_first in (True, False):
            stage.move_to_um(10.0)
            sent = len(port.sent)
            sends(port, 0x18)() if how == "soft" else port.reset_board()
            wait_for(lambda: b"Grbl" in bytes(port.sent[sent:]))  # noqa: B023
            if ask_first:
                assert "reset" in stage.take_doubt()
            else:
                pulses = firmware.pulses
                with pytest.raises(StageFault, match="not begun"):
                    stage.move_to_um(-10.0)
                assert firmware.pulses == pulses
            stage.move_to_um(-10.0)
            assert agree(stage, firmware)


def test_the_guard_distrusts_a_board_that_was_reset(tmp_path):
    with board(tmp_path) as (_, port):
        guard = GuardedStage(
            stage_at(port), soft_limits=Range(-50, 50), backlash_um=0, trusted=True
        )
        with guard:
            with guard.command(budget_um=100):
                guard.move_to_um(10.0)
            assert guard.trusted
            sent = len(port.sent)
            sends(port, 0x18)()
            wait_for(lambda: b"Grbl" in bytes(port.sent[sent:]))
            with guard.command(budget_um=100):
                assert not guard.trusted
                assert "reset" in guard.untrusted_reason


@pytest.mark.parametrize("moves", [40, pytest.param(200, marks=pytest.mark.slow)])
def test_asked_and_counted_steps_agree_over_moves_with_mishaps_in_between(tmp_path, moves):
    rng = random.Random(moves)
    with (
        board(tmp_path, {102: 317.5}) as (firmware, port),
        stage_at(port, rate_um_per_s=2000.0) as stage,
    ):
        mishaps = {
            "none": lambda: None,
            "stop": stage.stop,
            "hold": sends(port, ord("!")),
            "reset": sends(port, 0x18),
        }
        for _ in range(moves):
            target_um = rng.randint(-600, 600) * STEP_UM
            name = rng.choices(list(mishaps), weights=[6, 2, 1, 1])[0]
            timer = threading.Timer(rng.random() * 0.05, mishaps[name])
            timer.start()
            try:
                stage.move_to_um(target_um)
                assert stage.position_um == pytest.approx(target_um)
            except StageStopped:
                assert name == "stop"
            except StageFault:
                assert name in ("hold", "reset")
            timer.join()
            doubt = stage.take_doubt()
            assert (doubt is None) or name in ("hold", "reset")
            assert agree(stage, firmware)


# The line


def move_there_and_back(stage):
    with stage:
        stage.move_to_um(2.0)
        stage.move_to_um(-2.0)


def bytes_of_a_conversation(folder):
    with board(folder) as (_, port):
        move_there_and_back(stage_at(port))
        return len(port.sent) + len(port.heard), len(port.sent)


@pytest.mark.parametrize("every", [97, pytest.param(1, marks=pytest.mark.slow)])
def test_unplugging_at_any_byte_is_an_error_in_time_and_mends(tmp_path, every):
    total, _ = bytes_of_a_conversation(tmp_path)
    for byte in range(1, total - 100, every):
        with board(tmp_path) as (firmware, port):
            stage = stage_at(port)
            port.unplug_at_byte = byte
            with pytest.raises(StageFault) as caught:
                move_there_and_back(stage)
            assert caught.value.args[0]
            wait_for(lambda: not firmware.moving)
            assert abs(firmware.motor_steps[2]) <= 20
            port.plug_in()
            with stage:
                stage.move_to_um(1.0)
                assert stage.position_um == pytest.approx(1.0)


def test_a_line_lost_in_mid_move_is_opened_again_by_the_next(tmp_path):
    with board(tmp_path) as (_, port), stage_at(port, rate_um_per_s=SLOW_UM_PER_S) as stage:
        error = in_mid_move(stage, port, 100.0, port.unplug)
        assert isinstance(error, LineError)
        with pytest.raises(StageFault, match="plug the board in"):
            stage.move_to_um(1.0)
        assert "plug the board in" in stage.take_doubt()
        stage.stop()
        port.plug_in()
        assert "open again" in stage.take_doubt()
        before_um = stage.position_um
        stage.move_to_um(before_um + 2.0)
        assert stage.position_um == pytest.approx(before_um + 2.0)


@pytest.mark.parametrize("every", [251, pytest.param(3, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", ["garbage", "loss", "silence", "newline"])
def test_damage_to_bytes_is_an_error_or_harmless(tmp_path, kind, every):
    _, sent = bytes_of_a_conversation(tmp_path)
    for byte in range(random.Random(kind).randrange(every), sent, every):
        damage = {
            "garbage": lambda at, code, n=byte: bytes([0xC3 if at == n else code]),
            "loss": lambda at, code, n=byte: b"" if at == n else bytes([code]),
            "silence": lambda at, code, n=byte: b"" if at >= n else bytes([code]),
            "newline": lambda at, code, n=byte: b"\r\n" if at == n else bytes([code]),
        }
        with board(tmp_path) as (firmware, port):
            port.tamper = damage[kind]
            began_s = time.monotonic()
            with suppress(StageError):
                move_there_and_back(stage_at(port))
            assert time.monotonic() - began_s < 10  # not that it is fast, but that it ends
            wait_for(lambda: not firmware.moving)
            assert abs(firmware.motor_steps[2]) <= 20


def test_a_digit_lost_from_the_scale_moves_nothing(tmp_path):
    with board(tmp_path) as (firmware, port):
        with stage_at(port):
            at = bytes(port.sent).index(b"$102=250") + len("$102=25")
        already = len(port.sent)
        port.tamper = lambda index, code: b"" if index == already + at else bytes([code])
        with pytest.raises(LineGarbled, match="differently twice"):
            move_there_and_back(stage_at(port))
        assert firmware.pulses == 0


def test_a_board_that_falls_silent_in_mid_move_is_stopped(tmp_path):
    with board(tmp_path) as (firmware, port), stage_at(port, rate_um_per_s=100.0) as stage:
        error = in_mid_move(
            stage, port, 300.0, lambda: setattr(port, "tamper", lambda _at, _code: b"")
        )
        assert isinstance(error, LineSilent)
        wait_for(lambda: not firmware.moving)
        assert firmware.motor_steps[2] < 3000


def test_a_number_garbled_on_its_way_to_the_board_is_noticed_and_stopped(tmp_path):
    with board(tmp_path) as (firmware, port), stage_at(port, rate_um_per_s=SLOW_UM_PER_S) as stage:
        jog = firmware._jog
        firmware._jog = lambda text: jog(text.replace("Z", "Z-"))
        with pytest.raises(StageFault, match="not on the way"):
            stage.move_to_um(100.0)
        wait_for(lambda: not firmware.moving)
        assert -300 < firmware.motor_steps[2] < 0


# Homing


def test_only_a_stage_set_to_home_can(tmp_path):
    with board(tmp_path) as (_, port):
        assert not can_home(stage_at(port))
        assert can_home(stage_at(port, homing=True))


HOMING = {22: 1, 23: 4, 132: 4, 27: 0.2, 112: 60000, 25: 30000}  # towards low z, 1000 steps


@pytest.mark.parametrize("options", ["V", "VH"])
def test_homing_finds_the_end_stop_and_counts_from_there(tmp_path, options):
    with board(tmp_path, HOMING, end_stop=(2, -400)) as (firmware, port):
        firmware.options = options
        with stage_at(port, homing=True) as stage:
            assert isinstance(stage, HomingGrbl)
            stage.home(within_um=200.0)
            assert ("$HZ" if "H" in options else "$H\n") in bytes(port.heard).decode("latin1")
            # Machine zero is at the other end; 50 steps of pull-off.
            assert stage.position_um == pytest.approx((-1000 + 50) * STEP_UM)
            assert firmware.motor_steps[2] == -400 + 50
            assert stage.take_doubt() is None
            stage.move_to_um(-60.0)
            assert firmware.motor_steps[2] == -400 + 400


def test_homing_without_an_end_stop_in_reach_fails(tmp_path):
    with (
        board(tmp_path, HOMING, end_stop=(2, -4000)) as (firmware, port),
        stage_at(port, homing=True) as stage,
    ):
        with pytest.raises(StageFault, match="no end stop"):
            stage.home(within_um=200.0)
        assert firmware.motor_steps[2] == -1500
        assert stage.take_doubt() is not None


def test_homing_that_may_run_too_far_is_not_begun(tmp_path):
    with (
        board(tmp_path, HOMING, end_stop=(2, -400)) as (firmware, port),
        stage_at(port, homing=True) as stage,
    ):
        with pytest.raises(StageFault, match=r"run 150 um.*100 um.*\$132"):
            stage.home(within_um=100.0)
        assert firmware.pulses == 0


def test_homing_switched_off_in_the_board_is_said(tmp_path):
    with (
        board(tmp_path) as (_, port),
        stage_at(port, homing=True) as stage,
        pytest.raises(StageFault, match=r"\$22=1"),
    ):
        stage.home(within_um=1e6)


def test_a_stop_ends_homing_and_leaves_a_doubt(tmp_path):
    slow = HOMING | {25: 100}
    with (
        board(tmp_path, slow, end_stop=(2, -400)) as (firmware, port),
        stage_at(port, homing=True) as stage,
    ):

        def stop():
            wait_for(lambda: firmware.pulses > 5)
            stage.stop()

        thread = threading.Thread(target=stop)
        thread.start()
        with pytest.raises(StageStopped):
            stage.home(within_um=200.0)
        thread.join()
        pulses = firmware.pulses
        assert pulses < 300
        assert stage.take_doubt() is not None
        time.sleep(0.05)
        assert firmware.pulses == pulses
