"""The faults that can happen to camera, motor, line and model."""

from collections.abc import Mapping
from dataclasses import dataclass

from edge_af.bench.faults.faulty import (
    Exposure,
    LineFault,
    frozen,
    lost,
    painted,
    shifted,
    stalled,
    torn,
)

_HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault: which part fails, and how. `needs_person` says that none can recover."""

    exposure: Exposure | None = None
    line: LineFault | None = None
    missed_steps: float = 0.0
    slow_s: float = 0.0
    damages_model: bool = False
    needs_person: bool = False


KINDS: Mapping[str, Kind] = {
    "camera stalled": Kind(exposure=stalled),
    "camera lost and back": Kind(exposure=lost),
    "black frames": Kind(exposure=painted(0)),
    "white frames": Kind(exposure=painted(255)),
    "torn frames": Kind(exposure=torn),
    "frozen timestamps": Kind(exposure=frozen),
    "clock step ahead": Kind(exposure=shifted(_HOUR_S)),
    "clock step back": Kind(exposure=shifted(-_HOUR_S)),
    "serial silence": Kind(line=LineFault("the board does not answer", True, silence_s=2.0)),
    "serial garbage": Kind(line=LineFault("the board sent what is no answer", True)),
    "serial unplugged": Kind(line=LineFault("the port is gone", True)),
    "grbl alarm": Kind(
        line=LineFault("the board is in ALARM:3; home it, or unlock it", False, lasts=True),
        needs_person=True,
    ),
    "missed steps": Kind(missed_steps=0.1),
    "stage stuck": Kind(missed_steps=1.0),
    "slow inference": Kind(slow_s=5.0),
    "corrupt model on reload": Kind(damages_model=True),
}
