"""All the checks, one after the other."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from edge_af.doctor import base, camera, gpio, health, model, serial_ports
from edge_af.doctor.finding import Finding, warn
from edge_af.doctor.system import System

Check = Callable[[], Iterable[Finding]]


def examine(
    system: System | None = None, *, model_file: Path | None = None, probe: bool = False
) -> Iterator[Finding]:
    """Yield what every check finds on `system`, this machine if it is None.

    `model_file` is the model to try, the one that ships if it is None. With `probe` the USB serial
    ports are opened and asked who they are, which resets most boards.
    """
    system = system or System()
    checks: dict[str, Check] = {
        "board": lambda: base.board(system),
        "system": lambda: base.operating_system(system),
        "kernel": lambda: base.kernel(system),
        "python": base.python,
        "groups": lambda: base.groups(system),
        "camera": lambda: camera.camera(system),
        "gpio": lambda: gpio.chip(system),
        "pins": lambda: gpio.libraries(system),
        "serial": lambda: serial_ports.serial_ports(system, probe),
        "model": lambda: model.model_and_runtime(model_file),
        "power": lambda: health.power(system),
        "temperature": lambda: health.temperature(system),
        "memory": lambda: health.memory(system),
        "disk": lambda: health.disk("disk", Path.cwd()),
        "clock": lambda: health.clock(system),
        "timing": health.timing,
    }
    for name, check in checks.items():
        yield from guarded(name, check)


def guarded(name: str, check: Check) -> Iterator[Finding]:
    """Yield what `check` finds; where it breaks, a warning under `name` with the reason."""
    try:
        yield from check()
    except Exception as error:  # a doctor does not fall ill: whatever it is becomes a finding
        yield warn(
            name,
            f"the check broke: {type(error).__name__}: {error}",
            "report this, with what `edge-af doctor --json` prints",
        )
