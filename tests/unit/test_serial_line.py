import threading
from types import SimpleNamespace

import pytest
from firmware.pty_port import PtyPort
from serial.tools import list_ports

from hw.clock import WallClock
from hw.serial_line import (
    MAX_LINE_CHARS,
    LineError,
    LineGarbled,
    LineLost,
    LineSilent,
    SerialLine,
    find_port,
)
from hw.stage import StageFault

SPECIAL = {"nothing": b"", "noise": b"\xff\xfeok\r\n", "half": b"ha", "bell": b"a\ab\r\n"}


class Echo:
    """Greets, and sends every line back; `say NAME` says something special."""

    def reset(self, send):
        self._send, self._line = send, b""
        send(b"\r\nhello\r\n")

    def receive(self, code):
        self._line += bytes([code])
        if code == 10:
            line, self._line = self._line[:-1].decode(errors="ignore"), b""
            what = line.removeprefix("say ")
            long = b"x" * (MAX_LINE_CHARS + 1000)
            self._send(long if what == "long" else SPECIAL.get(what, f"{line}\r\n".encode()))

    def tick(self, now_s):
        pass


@pytest.fixture
def port(tmp_path):
    with PtyPort(Echo(), tmp_path) as port:
        yield port


@pytest.fixture
def line(port):
    with SerialLine(str(port.path), clock=WallClock(), timeout_s=0.5) as line:
        assert line.read_line() == ""
        assert line.read_line() == "hello"
        yield line


def test_lines_go_out_and_come_back_without_their_ends(line):
    for text in ("p?", "mr 1 -2 3", "", "x" * 200):
        line.send_line(text)
        assert line.read_line() == text


def test_realtime_bytes_are_sent_as_they_are(line, port):
    for code in (0x3F, 0x85, 0xFF):
        line.send_byte(code)
    line.send_line("")
    assert line.read_line() == "?"
    assert port.heard[-4:] == [0x3F, 0x85, 0xFF, 10]


@pytest.mark.parametrize(
    ("ask", "error", "text"),
    [
        ("say nothing", LineSilent, "nothing within 0.1 s"),
        ("say half", LineSilent, "only b'ha'"),
        ("say noise", LineGarbled, "115200 baud"),
        ("say bell", LineGarbled, "no text"),
        ("say long", LineGarbled, "without a line end"),
    ],
)
def test_what_is_no_line_is_an_error_that_says_what_came(line, ask, error, text):
    line.send_line(ask)
    with pytest.raises(error, match=text):
        line.read_line(0.1)
    assert line.connected


def test_a_line_that_comes_in_two_parts_is_whole(line):
    line.send_line("say half")
    with pytest.raises(LineSilent):
        line.read_line(0.05)
    line.send_line("lf")
    assert line.read_line() == "half"[:2] + "lf"


def test_discarded_input_does_not_come_back(line):
    line.send_line("say half")
    with pytest.raises(LineSilent):
        line.read_line(0.05)
    line.discard_input()
    line.send_line("fresh")
    assert line.read_line() == "fresh"


def test_every_opening_resets_the_board(line):
    for _ in range(3):
        line.close()
        line.open()
        assert [line.read_line(), line.read_line()] == ["", "hello"]


def test_another_baud_is_garbage(port):
    line = SerialLine(str(port.path), baud=57600, clock=WallClock(), timeout_s=0.2)
    with line, pytest.raises(LineError):
        line.read_line()


def test_a_port_is_opened_for_one_alone(line):
    with pytest.raises(LineError, match="another program"):
        SerialLine(line.port, clock=WallClock()).open()


def test_a_missing_port_is_named(tmp_path):
    with pytest.raises(LineError, match="does not exist"):
        SerialLine(str(tmp_path / "tty"), clock=WallClock()).open()


def test_what_is_no_port_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(LineError, match="cannot open"):
        SerialLine(str(tmp_path / "file"), clock=WallClock()).open()


@pytest.mark.parametrize("byte", range(1, 12))
def test_a_pulled_cable_is_a_loss_at_any_byte_and_can_be_put_back(line, port, byte):
    def converse():
        for _ in range(3):
            line.send_line("abcd")
            line.read_line()

    port.unplug_at_byte = byte
    with pytest.raises(LineLost, match="check the cable"):
        converse()
    assert not line.connected
    for use in (line.read_line, line.discard_input, lambda: line.send_line("x")):
        with pytest.raises(LineLost):
            use()
    with pytest.raises(LineError, match="does not exist"):
        line.open()
    port.plug_in()
    line.open()
    assert [line.read_line(), line.read_line()] == ["", "hello"]


def test_closing_wakes_whoever_waits(line):
    threading.Timer(0.1, line.close).start()
    with pytest.raises(LineLost):
        line.read_line(60)


def test_threads_do_not_mix_what_they_send_and_one_reads_at_a_time(line):
    def send(letter):
        for _ in range(20):
            line.send_line(letter * 30)

    senders = [threading.Thread(target=send, args=(letter,)) for letter in "abc"]
    received = []

    def read():
        for _ in range(30):
            received.append(line.read_line(5))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for thread in senders + readers:
        thread.start()
    for thread in senders + readers:
        thread.join()
    assert sorted(received) == sorted([letter * 30 for letter in "abc"] * 20)


def test_a_usb_identity_is_looked_up(monkeypatch):
    def plugged(*ports):
        found = [
            SimpleNamespace(device=device, vid=vid, pid=pid, hwid="USB")
            for device, vid, pid in ports
        ]
        monkeypatch.setattr(list_ports, "comports", lambda: found)

    plugged(("/dev/ttyACM0", 0x2341, 0x0043), ("/dev/ttyUSB0", 0x1A86, 0x7523))
    assert find_port("1a86:7523") == "/dev/ttyUSB0"
    assert find_port("1A86:7523") == "/dev/ttyUSB0"
    assert find_port("/dev/serial/by-id/usb-0043") == "/dev/serial/by-id/usb-0043"
    with pytest.raises(LineError, match=r"no serial port.*/dev/ttyACM0"):
        find_port("1a86:7524")
    plugged(("/dev/ttyUSB0", 0x1A86, 0x7523), ("/dev/ttyUSB1", 0x1A86, 0x7523))
    with pytest.raises(LineError, match=r"2 serial ports.*by-id"):
        find_port("1a86:7523")


def test_a_lost_line_is_a_fault_of_the_stage():
    assert issubclass(LineError, StageFault)
