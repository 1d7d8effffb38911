"""One board at the end of a serial line that speaks in lines of ASCII text."""

import errno
import re
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final, NoReturn, Self

from hw.clock import Clock
from hw.stage import StageFault

if TYPE_CHECKING:
    import serial

MAX_LINE_CHARS: Final = 512
_USB_ID: Final = re.compile(r"([0-9a-fA-F]{4}):([0-9a-fA-F]{4})")
_WAKE_S: Final = 0.05  # how soon a reader notices that its time is up or the line was closed


class LineError(StageFault):
    """The serial line could not be opened, or failed."""


class LineSilent(LineError):
    """No complete line came in time; the line itself may still work."""


class LineGarbled(LineError):
    """What came was no line of text; the next line may be one again."""


class LineLost(LineError):
    """The line is closed, because it was unplugged or by `close`."""


class SerialLine:
    """A serial port, for one request and reply after the other; connects on `open` or enter.

    One thread reads at a time: a second one waits for it. Any thread may send meanwhile, and what
    two threads send is not mixed within a line. A lost line is closed; `open` opens it again.
    """

    def __init__(
        self, port: str, *, baud: int = 115200, clock: Clock, timeout_s: float = 2.0
    ) -> None:
        """Prepare a line to `port`: a path, or a USB `VID:PID` in hex, looked up at each `open`.

        `clock` must run in real time. A reply, and the sending of a line, may take `timeout_s`.
        """
        self.port = port
        self._baud = baud
        self._clock = clock
        self._timeout_s = timeout_s
        self._serial: serial.Serial | None = None
        self._received = bytearray()
        self._reading = threading.RLock()
        self._writing = threading.RLock()  # re-entrant: a signal handler may send a stop

    @property
    def connected(self) -> bool:
        """Whether the port is open, as far as known: a loss shows at the next use."""
        return self._serial is not None

    def open(self) -> None:
        """Open the port for this process alone; does nothing if it is open.

        Raises LineError if the port is missing, in use or not allowed.
        """
        try:
            import serial
        except ImportError:
            raise LineError(
                "a serial stage needs pyserial, which is not installed; "
                "pip install pyserial, or apt install python3-serial"
            ) from None
        with self._reading, self._writing:
            if self._serial is not None:
                return
            path = find_port(self.port)
            try:
                self._serial = serial.Serial(
                    path,
                    self._baud,
                    timeout=_WAKE_S,
                    write_timeout=self._timeout_s,
                    exclusive=True,
                )
            except (OSError, ValueError) as error:  # SerialException is an OSError
                raise LineError(f"cannot open the serial port {path}: {_reason(error)}") from error
            self._received.clear()

    def close(self) -> None:
        """Close the port; whoever waits for a line gets LineLost. Callable from any thread."""
        port, self._serial = self._serial, None
        if port is None:
            return
        with suppress(Exception):  # whatever pyserial says of a port that is gone
            port.cancel_read()
        with self._reading, self._writing, suppress(OSError):
            port.close()

    def send_line(self, text: str) -> None:
        """Send `text`, which is ASCII, and a line feed. Raises LineError, or LineLost."""
        self._send(text.encode("ascii") + b"\n")

    def send_byte(self, code: int) -> None:
        """Send one byte, 0 to 255, and no line feed. Raises LineError, or LineLost."""
        self._send(bytes([code]))

    def read_line(self, timeout_s: float | None = None) -> str:
        """Wait for one whole line and return it without its line end.

        Raises LineSilent if it takes longer than `timeout_s`, where a part that has come is kept
        for the next call, LineGarbled if it is not printable ASCII of at most `MAX_LINE_CHARS`,
        and LineLost if the line is closed or unplugged.
        """
        timeout_s = self._timeout_s if timeout_s is None else timeout_s
        deadline_s = self._clock.now_s() + timeout_s
        with self._reading:
            while (end := self._received.find(b"\n")) < 0:
                if len(self._received) > MAX_LINE_CHARS:
                    self._received.clear()
                    raise LineGarbled(
                        f"{self.port} sent over {MAX_LINE_CHARS} characters without a line end; "
                        f"{self._wrong_speed}"
                    )
                if self._clock.now_s() >= deadline_s:
                    part = bytes(self._received)
                    came = f"only {part!r}" if part else "nothing"
                    raise LineSilent(
                        f"{self.port} sent {came} within {timeout_s:g} s; check that the board has "
                        "power and runs the firmware that was set"
                    )
                self._receive()
            line = bytes(self._received[:end]).rstrip(b"\r")
            del self._received[: end + 1]
        if len(line) > MAX_LINE_CHARS or not all(32 <= code < 127 or code == 9 for code in line):
            raise LineGarbled(
                f"{self.port} sent {line[:40]!r}, which is no text; {self._wrong_speed}"
            )
        return line.decode("ascii")

    def discard_input(self) -> None:
        """Forget what has come and was not read. Raises LineLost."""
        with self._reading:
            self._received.clear()
            port = self._open_port()
            try:
                port.reset_input_buffer()
            except Exception as error:  # termios.error is none of pyserial's
                self._lose(error)

    def _send(self, data: bytes) -> None:
        import serial

        with self._writing:
            port = self._open_port()
            try:
                port.write(data)
            except serial.SerialTimeoutException as error:
                raise LineError(
                    f"{self.port} took no data for {self._timeout_s:g} s; check the cable"
                ) from error
            except OSError as error:
                self._lose(error)

    def _receive(self) -> None:
        port = self._open_port()
        try:
            data = port.read(1)
            self._received += data + (port.read(port.in_waiting) if data else b"")
        except (OSError, TypeError) as error:  # in_waiting: bare OSError; TypeError: closed
            self._lose(error)

    def _open_port(self) -> "serial.Serial":
        port = self._serial
        if port is None:
            raise LineLost(f"the line to {self.port} is closed; connect the stage first")
        return port

    def _lose(self, error: Exception) -> NoReturn:
        self.close()
        raise LineLost(
            f"the line to {self.port} was lost ({error}); check the cable and connect again"
        ) from error

    @property
    def _wrong_speed(self) -> str:
        return f"check that the board talks at {self._baud} baud, and the cable"

    def __enter__(self) -> Self:
        self.open()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def find_port(port: str) -> str:
    """Return the path of `port`, which is a path already or a USB `VID:PID` in hex.

    Raises LineError if no port, or more than one, has that USB identity.
    """
    from serial.tools import list_ports

    match = _USB_ID.fullmatch(port)
    if match is None:
        return port
    vid, pid = (int(number, 16) for number in match.groups())
    all_ports = list(list_ports.comports())
    paths = [found.device for found in all_ports if (found.vid, found.pid) == (vid, pid)]
    if len(paths) == 1:
        return str(paths[0])
    if paths:
        raise LineError(
            f"{len(paths)} serial ports have the USB identity {port}: {', '.join(sorted(paths))}; "
            "name one by its path under /dev/serial/by-id/"
        )
    here = ", ".join(f"{found.device} ({found.hwid})" for found in all_ports) or "none"
    raise LineError(
        f"no serial port has the USB identity {port}; serial ports here: {here}. Plug the board in"
    )


def _reason(error: Exception) -> str:
    match getattr(error, "errno", None):
        case errno.ENOENT:
            return "it does not exist; plug the board in, or correct the port's name"
        case errno.EACCES | errno.EPERM:
            return "not allowed; sudo usermod -aG dialout $USER, then log in again"
        case errno.EAGAIN | errno.EBUSY:
            return "another program uses it; close that first"
        case _:
            return f"{error}; check the port's name"
