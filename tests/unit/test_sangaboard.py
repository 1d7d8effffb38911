"""The Sangaboard driver against both firmware families, on a wire that can be pulled."""

import random
import threading
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial

import pytest
from firmware.own_port import BAUD
from firmware.pty_port import PtyPort
from firmware.sangaboard import NewSangaboard, OldSangaboard
from pydantic import ValidationError

from hw.clock import WallClock
from hw.sangaboard import BLOCKING_PIECE_S, Sangaboard, SangaboardSettings
from hw.sangaboard_count import BoardCount
from hw.serial_line import LineError, SerialLine
from hw.stage import StageError, StageFault, StageStopped
from hw.virtual.clock import SimulatedClock

STEP_UM = 0.1
FIRMWARES = {
    "v0.4": partial(OldSangaboard, banner="OpenFlexure Motor Board v0.4"),
    "v0.5": OldSangaboard,
    "v1 AVR": partial(NewSangaboard, banner="Sangaboard Firmware v1.0-beta"),
    "v1 RP2040": partial(NewSangaboard, int_bits=32, says_on_stop="stopped"),
    "v1 mute": partial(NewSangaboard, says_on_stop="", ramp_us=30_000),
}
every_firmware = pytest.mark.parametrize("firmware", FIRMWARES.values(), ids=FIRMWARES.keys())
new_firmwares = pytest.mark.parametrize("firmware", list(FIRMWARES.values())[2:])


class Timers:
    """Stands in for time that passes without a move."""

    def __init__(self):
        self.made = []

    def __call__(self, after_s, action):
        self.made.append((after_s, action))
        return self

    def start(self):
        pass

    def cancel(self):
        self.made.clear()


class Line(SerialLine):
    """A line whose patience is as short as a test can bear."""

    patience_s = 2.0

    def read_line(self, timeout_s=None):
        return super().read_line(self.patience_s if timeout_s is None else timeout_s)


class Bench:
    """A board, its wire, and the driver at the other end."""

    def __init__(self, folder, firmware, *, clock=None, reset_on_open=True, **settings):
        self.clock = clock or SimulatedClock()
        self.firmware = firmware(self.clock)
        self.port = PtyPort(
            self.firmware, folder, baud=BAUD, boot_s=0.002, reset_on_open=reset_on_open
        )
        path = str(self.port.path)
        self.line = Line(path, baud=BAUD, clock=WallClock())
        self.timers = Timers()
        options = {"kind": "sangaboard", "port": path, "step_um": STEP_UM, "travel_low_um": -1e4}
        options |= {"travel_high_um": 1e4} | settings
        self.axis = "xyz".index(options.get("axis", "z"))
        settings = SangaboardSettings(**options)
        self.stage = Sangaboard(settings, self.clock, self.line, timer=self.timers)

    @property
    def steps(self):
        """Where the driver believes the motor to be."""
        return round(self.stage.position_um / STEP_UM)

    @property
    def motor(self):
        """Where it is."""
        return self.firmware.motors[self.axis]

    def move(self, steps):
        self.stage.move_to_um(steps * STEP_UM)
        assert self.steps == steps

    def at(self, after_s, action):
        """Do something once while a move is under way, or never."""
        due = [True]

        def act():
            if due:
                action()

        self.clock.at(self.clock.now_s() + after_s, act)
        return due.clear


@pytest.fixture(autouse=True)
def impatience(monkeypatch):
    monkeypatch.setattr("hw.sangaboard_board._ASK_EVERY_S", 0.1)
    monkeypatch.setattr("hw.sangaboard._OVERDUE_S", 0.5)


@pytest.fixture
def make(tmp_path):
    with ExitStack() as cleanup:

        def make(firmware, **options):
            bench = Bench(tmp_path, firmware, **options)
            cleanup.callback(bench.port.close)
            return bench

        yield make


# Moving and counting


@every_firmware
def test_moves_are_counted_as_the_motor_makes_them(make, firmware):
    bench = make(firmware)
    with bench.stage:
        for steps in (1, 40, 39, -200, 0):
            bench.move(steps)
            assert bench.motor == steps
    assert bench.firmware.motors[:2] == [0, 0]


@every_firmware
def test_a_long_move_fits_16_bits_piece_by_piece(make, firmware):
    bench = make(firmware, step_delay_us=50)
    with bench.stage:
        bench.move(70_000)
        bench.move(-1)
    assert bench.motor == -1
    pieces = [int(line.split()[1]) for line in bench.firmware.commands if line[:3] == "mrz"]
    assert sum(pieces) == -1
    assert max(map(abs, pieces)) <= 32767


@pytest.mark.parametrize("axis", ["x", "y", "z"])
def test_only_the_axis_that_was_set_moves(make, axis):
    bench = make(NewSangaboard, axis=axis, reversed=True)
    with bench.stage as stage:
        stage.move_to_um(5.0)
        assert stage.position_um == 5.0
    assert bench.motor == -50
    assert sorted(bench.firmware.motors) == [-50, 0, 0]


def test_starts_from_the_boards_count_if_it_can_mean_a_place(make):
    bench = make(OldSangaboard, reversed=True, travel_low_um=-500)
    bench.firmware.eeprom["count"] = [7, 8, 400]
    with bench.stage as stage:
        assert stage.position_um == pytest.approx(-40)
    bench = make(OldSangaboard, travel_high_um=39)
    bench.firmware.eeprom["count"] = [7, 8, 400]
    with bench.stage as stage:
        assert stage.position_um == 0
        stage.move_to_um(2)
        assert stage.position_um == 2
        assert bench.firmware.count == [7, 8, 420]


@every_firmware
def test_the_step_delay_is_set_and_set_again_after_a_reset(make, firmware):
    bench = make(firmware, step_delay_us=700)
    with bench.stage as stage:
        assert bench.firmware.step_delay_us == 700
        bench.firmware.eeprom["dt"] = 1000
        bench.port.reset_board()
        assert "reset" in wait_for(stage.take_doubt)
        assert bench.firmware.step_delay_us == 700


def test_a_step_delay_that_loses_steps_is_refused(make):
    """As `dt` leaves it, if its number is lost on the wire."""
    bench = make(NewSangaboard)
    bench.firmware.eeprom["dt"] = 0
    with pytest.raises(StageFault, match="step delay of 0 us"):
        bench.stage.__enter__()
    with make(NewSangaboard, step_delay_us=1000).stage as stage:
        stage.move_to_um(1.0)


@pytest.mark.parametrize(
    "mistake", [{"step_delay_us": 49}, {"axis": "e"}, {"release": "later"}, {"prot": "/dev/x"}]
)
def test_bad_settings_are_refused(mistake):
    with pytest.raises(ValidationError, match=next(iter(mistake))):
        SangaboardSettings(kind="sangaboard", port="/dev/x", step_um=0.1, **mistake)


# Stopping


@new_firmwares
@pytest.mark.parametrize("after_s", [0.0, 0.02, 0.11, 0.34])
def test_a_stop_ends_a_move_of_a_board_that_listens(make, firmware, after_s):
    bench = make(firmware)
    with bench.stage as stage:
        bench.at(after_s, stage.stop)
        with pytest.raises(StageStopped):
            bench.move(400)
        assert not bench.firmware.moving
        assert bench.steps == bench.motor < 400
        before = list(bench.port.heard)
        stage.stop()
        assert bench.port.heard == before  # a stop of what stands still is not sent
        bench.move(400)
        bench.move(-3)
        assert bench.motor == -3


def test_a_stop_ends_a_move_of_a_deaf_board_after_its_piece(make):
    bench = make(OldSangaboard)
    with bench.stage as stage:
        bench.at(0.5, stage.stop)
        with pytest.raises(StageStopped):
            bench.move(4000)
        assert bench.clock.now_s() <= 0.5 + BLOCKING_PIECE_S + 0.06
        assert bench.steps == bench.motor == 600  # at 1000 us a step: three pieces of 200
        assert "stop" not in bench.firmware.commands  # it would answer when all is over
        bench.move(7)


def test_a_completion_line_that_comes_late_is_not_taken_for_another(make):
    """The flag of `stopped` outlives a stop, and comes with the next move's end."""
    bench = make(NewSangaboard)
    with bench.stage as stage:
        for _ in range(3):
            bench.firmware._notify = True
            bench.at(0.1, stage.stop)
            with pytest.raises(StageStopped):
                bench.move(bench.steps + 400)
            bench.move(bench.steps + 10)
            assert bench.steps == bench.motor


def test_a_move_left_behind_is_stopped_on_connecting(make):
    bench = make(NewSangaboard, reset_on_open=False)
    bench.firmware.start([0, 0, 10_000])
    bench.clock.wait_until_s(1.0)
    with bench.stage:
        assert not bench.firmware.moving
        assert bench.steps == bench.motor == 1000


@pytest.mark.parametrize("firmware", [OldSangaboard, NewSangaboard])
def test_an_interrupted_program_does_not_leave_the_motor_running(make, firmware, monkeypatch):
    bench = make(firmware)

    def interrupt(*_):
        raise KeyboardInterrupt

    if firmware is OldSangaboard:  # whose driver waits for a line, not on the clock
        monkeypatch.setattr(bench.stage._board, "await_end", interrupt)
    else:
        bench.at(0.1, interrupt)
    with pytest.raises(KeyboardInterrupt), bench.stage:
        bench.move(4000)
    wait_for(lambda: not bench.firmware.moving)
    assert abs(bench.motor) <= 200
    assert bench.firmware.released


# Letting go


def test_motors_are_released_when_set_so(make):
    bench = make(NewSangaboard)
    with bench.stage as stage:
        bench.move(5)
    assert bench.firmware.released
    with bench.stage as stage:
        assert stage.take_doubt()
        bench.move(10)
        assert stage.take_doubt() is None

    bench = make(OldSangaboard, release="never")
    with bench.stage:
        bench.move(5)
    assert not bench.firmware.released


@pytest.mark.parametrize("keeps_place", [False, True])
def test_idle_motors_are_released_when_set_so(make, keeps_place):
    bench = make(OldSangaboard, release="when idle", idle_s=30.0, keeps_place=keeps_place)
    with bench.stage as stage:
        assert not bench.timers.made
        bench.move(5)
        bench.move(8)
        [(after_s, action)] = bench.timers.made
        assert after_s == 30.0
        action()
        assert bench.firmware.released
        doubt = stage.take_doubt()
        assert doubt is None if keeps_place else "30 s" in doubt
        assert stage.take_doubt() is None
        bench.move(9)
        assert bench.motor == 9


# Disturbances


@every_firmware
def test_a_reset_between_moves_is_told_once_and_the_count_goes_on(make, firmware):
    bench = make(firmware)
    with bench.stage as stage:
        bench.move(50)
        bench.port.reset_board()
        assert "reset" in wait_for(stage.take_doubt)
        assert stage.take_doubt() is None
        assert bench.steps == bench.motor == 50
        bench.move(60)
        assert bench.motor == 60


@every_firmware
def test_a_reset_that_nobody_asked_about_stops_a_move_before_it_begins(make, firmware):
    bench = make(firmware)
    with bench.stage:
        bench.move(50)
        sent = len(bench.port.sent)
        bench.port.reset_board()
        wait_for(lambda: len(bench.port.sent) > sent)
        with pytest.raises(StageFault, match="not begun"):
            bench.move(60)
        assert bench.motor == 50
        bench.move(60)
        assert bench.motor == 60


@every_firmware
def test_a_reset_in_mid_move_is_a_fault(make, firmware):
    bench = make(firmware)
    with bench.stage as stage:
        bench.move(10)
        bench.at(0.15, bench.port.reset_board)
        with pytest.raises(StageFault):
            bench.move(5000)
        assert stage.take_doubt()
        lost = bench.steps - bench.motor
        assert abs(lost) <= 5000
        bench.move(20)
        assert bench.steps - bench.motor == lost


def test_what_another_program_moved_is_seen(make):
    bench = make(NewSangaboard)
    with bench.stage as stage:
        bench.move(10)
        bench.firmware.motors[2] += 5
        bench.firmware.count[2] += 5
        assert "counts 15" in stage.take_doubt()
        assert bench.steps == bench.motor == 15


def test_a_move_that_something_else_ends_is_a_fault(make):
    bench = make(NewSangaboard)

    def end_stop():
        bench.firmware.moving = False
        bench.firmware.say("Endstop hit:3")

    with bench.stage as stage:
        bench.at(0.1, end_stop)
        with pytest.raises(StageFault, match="short"):
            bench.move(400)
        assert bench.steps == bench.motor < 400
        assert stage.take_doubt()
        bench.move(-10)


@pytest.mark.parametrize("resets", [True, False])
@every_firmware
def test_an_unplugged_board_is_taken_up_again(make, firmware, resets):
    bench = make(firmware, reset_on_open=resets)
    with bench.stage as stage:
        bench.move(50)
        bench.port.unplug()
        assert "plug the board in" in stage.take_doubt()
        with pytest.raises(LineError, match="plug the board in"):
            bench.move(60)
        bench.port.plug_in()
        assert stage.take_doubt()
        assert bench.steps == bench.motor == 50
        bench.move(60)
        assert bench.motor == 60


class Other:
    """Something at the other end that is no Sangaboard."""

    def __init__(self, says):
        self.says = says

    def reset(self, send):
        self._send = send

    def receive(self, code):
        if code == ord("\n"):
            self._send(self.says)

    def tick(self, now_s):
        pass


@pytest.mark.parametrize(
    ("says", "told"),
    [
        (b"", "nothing answers"),
        (b"error:20\r\n", "error:20"),
        (b"\xff\xfe\r\n", "no text"),
        (b"Sangaboard Firmware v1.0.4\r\n", "dt?"),
    ],
)
def test_what_is_no_sangaboard_is_named(make, says, told):
    bench = make(lambda _: Other(says))
    with pytest.raises(StageError, match=f"no Sangaboard at .*{told.replace('?', '.')}"):
        bench.stage.__enter__()
    assert not bench.stage._line.connected


# Bad wires


def a_conversation(bench):
    """Connect, move, stop in mid-move, move back, leave. Return how often it fell silent."""
    with bench.stage as stage:
        bench.move(30)
        cancel = bench.at(0.1, stage.stop)
        try:
            bench.move(700)
        except StageStopped:
            assert bench.steps == bench.motor
        finally:
            cancel()
        bench.move(12)


def length_of_conversation(make, firmware):
    bench = make(firmware)
    a_conversation(bench)
    return len(bench.port.heard), len(bench.port.sent)


def survive(bench, spoil: Callable[[], None], repair: Callable[[], None]):
    """Hold the conversation on a spoilt wire, and see that what comes of it is known."""
    spoil()
    bench.line.patience_s = 0.15
    faulted = False
    try:
        a_conversation(bench)
    except StageError:
        faulted = True
    else:
        assert bench.steps == bench.motor == 12
    began = bench.motor != 0
    bench.line.patience_s = 2.0
    repair()
    with bench.stage as stage:
        assert stage.take_doubt() or not (faulted and began)
        ahead = bench.steps - bench.motor
        bench.move(bench.steps + 25)
        bench.move(-4)
        assert bench.steps - bench.motor == ahead
    return ahead


both_families = pytest.mark.parametrize("firmware", [OldSangaboard, NewSangaboard])


def some_or_many(stride):
    return pytest.mark.parametrize("stride", [23, pytest.param(stride, marks=pytest.mark.slow)])


@both_families
@some_or_many(1)
def test_unplugging_at_any_byte_is_told(make, firmware, stride):
    total = sum(length_of_conversation(make, firmware))
    assert total > 150
    for at_byte in range(1, total + 1, stride):
        bench = make(firmware, reset_on_open=at_byte % 2 == 0)

        def pull(bench=bench, at_byte=at_byte):
            bench.port.unplug_at_byte = at_byte

        def repair(bench=bench):
            bench.port.unplug_at_byte = None
            bench.port.plug_in()

        ahead = survive(bench, pull, repair)
        assert ahead == 0 or bench.port.reset_on_open  # else the board's count is right
        bench.port.close()


@both_families
@some_or_many(4)
@pytest.mark.parametrize("wrong", [b"", b"1", b"\xff", b"\n"])
def test_a_byte_from_the_board_that_is_lost_or_wrong_is_told(make, firmware, wrong, stride):
    _, total = length_of_conversation(make, firmware)
    for at_byte in range(0, total, stride):
        bench = make(firmware, reset_on_open=False)

        right = bench.port.tamper

        def spoil(bench=bench, at_byte=at_byte):
            first = len(bench.port.sent)
            bench.port.tamper = lambda index, code: (
                wrong if index - first == at_byte else bytes([code])
            )

        def repair(bench=bench, right=right):
            bench.port.tamper = right

        assert survive(bench, spoil, repair) == 0
        bench.port.close()


@both_families
@some_or_many(4)
@pytest.mark.parametrize("wrong", [b"", b"1", b"\n"])
def test_a_byte_to_the_board_that_is_lost_or_wrong_is_told(make, firmware, wrong, stride):
    total, _ = length_of_conversation(make, firmware)
    for at_byte in range(0, total, stride):
        bench = make(firmware, reset_on_open=False, step_delay_us=1000)
        hear = bench.firmware.receive

        def spoil(bench=bench, at_byte=at_byte, hear=hear):
            count = iter(range(total * 10))

            def mishear(code):
                for heard in wrong if next(count) == at_byte else bytes([code]):
                    hear(heard)

            bench.firmware.receive = mishear

        def repair(bench=bench, hear=hear):
            bench.firmware.receive = hear

        assert survive(bench, spoil, repair) == 0
        bench.port.close()


@both_families
def test_200_moves_with_everything_in_between(make, firmware):
    dice = random.Random(11)
    bench = make(firmware)
    stage, port = bench.stage, bench.port
    seen = dict.fromkeys(["arrived", "stopped", "faulted", "doubted"], 0)
    ahead = 0

    def replug():
        port.unplug()
        port.plug_in()

    with stage:
        for _ in range(200):
            port.plug_in()
            port.reset_on_open = dice.random() < 0.5
            event = dice.choice([None, None, stage.stop, port.reset_board, port.unplug, replug])
            idle = dice.random() < 0.3
            if idle and event not in (None, stage.stop):
                event()
                port.plug_in()
                wait_for(lambda: port._boots_at_s is None)
            doubt = stage.take_doubt()
            if doubt:
                seen["doubted"] += 1
                ahead = bench.steps - bench.motor
            assert bench.steps - bench.motor == ahead
            target = bench.steps + dice.choice([-1, 1]) * dice.choice([1, 15, 120, 300, 700])
            cancel = bench.at(dice.uniform(0, 0.4), event) if event and not idle else None
            try:
                bench.move(target)
                seen["arrived"] += 1
            except StageStopped:
                seen["stopped"] += 1
            except StageFault:
                seen["faulted"] += 1
                port.plug_in()
                assert stage.take_doubt()
                ahead = bench.steps - bench.motor
            finally:
                if cancel:
                    cancel()
            assert bench.steps - bench.motor == ahead
    assert sum(seen.values()) - seen["doubted"] == 200
    assert min(seen.values()) >= 10


# In real time


def once_moving(bench, action):
    """Do something from another thread when the motor turns."""

    def act():
        wait_for(lambda: bench.firmware.moving)
        action()

    threading.Thread(target=act).start()


@both_families
def test_a_stop_from_another_thread_in_real_time(make, firmware):
    bench = make(firmware, clock=WallClock())
    with bench.stage as stage:
        for _ in range(3):
            once_moving(bench, stage.stop)
            with pytest.raises(StageStopped):
                bench.move(bench.steps + 2000)
            assert bench.steps == bench.motor
            bench.move(bench.steps - 5)
            assert bench.steps == bench.motor < 2000


@both_families
def test_leaving_from_another_thread_in_real_time(make, firmware):
    bench = make(firmware, clock=WallClock())
    stage = bench.stage.__enter__()
    once_moving(bench, stage.__exit__)
    with pytest.raises(StageStopped):
        bench.move(2000)
    assert bench.steps == bench.motor < 2000
    assert bench.firmware.released
    with pytest.raises(StageFault, match="not connected"):
        bench.move(0)


# The count


def test_a_count_goes_on_after_a_reset():
    count = BoardCount()
    count.start_at(400, 0)
    count.leave_for(-30)
    with pytest.raises(StageFault, match="from 370 to 400"):
        count.arrive(369)
    count.arrive(380)
    assert (count.board, count.steps) == (380, -20)
    count.resume(380)
    assert (count.board, count.steps) == (380, -20)
    count.resume(0)
    assert (count.board, count.steps) == (0, -20)
    count.leave_for(50)
    count.resume(20)  # it got so far, and was not reset
    assert (count.board, count.steps) == (20, 0)
    count.resume(7)
    assert (count.board, count.steps) == (7, -13)


# The emulators' traps


def heard_by(firmware, text, after_s=0.0):
    """Give a firmware, whose motors are as fast as the clock, some text; return its answers."""
    answers = bytearray()
    firmware.reset(answers.extend)
    answers.clear()
    for code in text.encode():
        firmware.receive(code)
    firmware.tick(0.0)
    firmware.tick(after_s)
    return answers.decode().split("\r\n")[:-1]


def test_emulators_share_the_traps_of_the_boards():
    clock = SimulatedClock()
    new, old = NewSangaboard(clock), OldSangaboard(clock)
    assert heard_by(new, "version\nlist_modules\nblocking_moves?\nfly\n") == [
        "Sangaboard Firmware v1.0.4",
        "Endstops: min soft",
        "--END--",
        "blocking_moves true",
        "Type 'help' for a list of commands.",
    ]
    assert heard_by(new, "blocking_moves false\nmrz 40000\nmoving?\nstop\n") == [
        "done.",
        "done.",
        "true",
        "Move aborted",
    ]
    assert new._goal == [0, 0, 40000 - 65536]  # as 16 bits hold it
    assert heard_by(old, "mrz 50\np?\nstop\n", after_s=1.0) == [
        "done.",
        "0 0 50",
        "Type 'help' for a list of commands.",
    ]
    assert heard_by(old, "mrz 1", after_s=0.9) == []
    assert heard_by(old, "mrz 1", after_s=1.1) == []
    assert old.moving  # half a line was a command after a second
    assert heard_by(new, "p?") == []


def wait_for(condition):
    """Return what `condition` returns, once that is true."""
    clock = WallClock()
    until_s = clock.now_s() + 2.0
    while not (value := condition()):
        assert clock.now_s() < until_s
        clock.wait_until_s(clock.now_s() + 0.002)
    return value
