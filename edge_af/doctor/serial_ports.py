"""Serial ports, and which motor board answers on them."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from edge_af.doctor.finding import Finding, ok, warn
from edge_af.doctor.system import System
from hw.clock import WallClock
from hw.serial_line import LineError, LineGarbled, LineSilent, SerialLine

if TYPE_CHECKING:
    from serial.tools.list_ports_common import ListPortInfo

_BOOT_S = 3.0
"""An Arduino's boot loader takes up to two seconds after the reset that opening causes."""
_REPLY_S = 1.0
_MOST_LINES = 20
_SANGABOARDS = ("Sangaboard", "OpenFlexure Motor Board")


def serial_ports(system: System, probe: bool) -> Iterator[Finding]:
    """List the serial ports; with `probe`, ask who is at the USB ones.

    Opening a port resets most boards, and a motor under way would lose its place.
    """
    try:
        from serial.tools import list_ports
    except ImportError:
        yield warn(
            "serial",
            "pyserial is not installed; GRBL and Sangaboard need it",
            "pip install pyserial, or sudo apt install python3-serial",
        )
        return
    ports = sorted(list_ports.comports())
    if not ports:
        yield ok("serial", "no port; only a GRBL board or a Sangaboard needs one")
    for port in ports:
        yield port_finding(system, port, probe)


def port_finding(system: System, port: "ListPortInfo", probe: bool) -> Finding:
    """Say what one port is, and with `probe` what answers there if it is on USB."""
    if port.vid is None:
        # Never asked: a console, a modem or Bluetooth may listen there.
        return ok("serial", f"{port.device}: not on USB")
    found = f"{_lasting_name(system, port)}: {port.description}, {port.vid:04x}:{port.pid:04x}"
    if not os.access(port.device, os.R_OK | os.W_OK, effective_ids=True):
        cure = "sudo usermod -aG dialout $USER, then log out and in again"
        return warn("serial", f"{found}; this user may not open it", cure)
    if not probe:
        return ok("serial", f"{found}; what it is, --probe asks, which resets most boards")
    try:
        firmware = ask_firmware(port.device)
    except LineError as error:
        cure = "end what uses the port, or plug the board in again"
        return warn("serial", f"{found}; {error}", cure)
    if firmware is None:
        cure = "if it is to drive the motor, put GRBL 1.1 or the Sangaboard firmware on it"
        return warn("serial", f"{found}; no answer as of GRBL or a Sangaboard at 115200 baud", cure)
    return ok("serial", f"{found}; {firmware}")


def _lasting_name(system: System, port: "ListPortInfo") -> str:
    """Return the name that stays whatever else is plugged in, for the settings; if there is one."""
    device = Path(port.device).resolve()
    links = system.glob("/dev/serial/by-id/*")
    return next((str(link) for link in links if link.resolve() == device), port.device)


def ask_firmware(port: str) -> str | None:
    """Return the name and version that a GRBL board or Sangaboard gives, None if neither answers.

    Neither question moves a motor. Raises LineError if the port cannot be opened, or is lost.
    """
    with SerialLine(port, clock=WallClock()) as line:
        name = _hear(line, ("Grbl ", *_SANGABOARDS), _BOOT_S)
        # A board that opening did not reset says nothing of itself.
        for question, answers in (("version", _SANGABOARDS), ("$I", ("[VER:",))):
            if name is None:
                line.send_line(question)
                name = _hear(line, answers, _REPLY_S)
        return name


def _hear(line: SerialLine, starts: tuple[str, ...], silence_s: float) -> str | None:
    """Return the next line that begins with one of `starts`, None when nothing more comes."""
    for _ in range(_MOST_LINES):
        try:
            text = line.read_line(silence_s)
        except LineGarbled:
            continue  # what was cut by the reset
        except LineSilent:
            return None
        if text.startswith(starts):
            return text
    return None
