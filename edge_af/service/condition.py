"""How the instrument stands, and what becomes of it when something fails."""

import time
from collections.abc import Callable

from edge_af.instrument import TRANSITIONS, State
from edge_af.service.faults import fault_of
from edge_af.service.machine import Machine
from edge_af.service.models import Fault

_RETRY_FIRST_S, _RETRY_MOST_S = 5.0, 60.0


class Condition:
    """State and fault of the machine, and the ways from one to the next.

    For the worker's thread; others may read the attributes.
    """

    def __init__(
        self, machine: Machine, tell: Callable[[], None], say: Callable[[str, str], None]
    ) -> None:
        """`tell` is called when state or fault has changed, `say` with a level and a line."""
        self._machine = machine
        self._tell = tell
        self._say = say
        self.state = State.OFF
        self.fault: Fault | None = None
        self.retry_s = time.monotonic()
        self._retry_after_s = _RETRY_FIRST_S

    @property
    def recovers_alone(self) -> bool:
        """Whether to connect again unasked, at `retry_s`: never where a motor may be at fault."""
        fault = self.fault
        if fault is None:
            return False
        return not self._machine.connected or fault.name.startswith("camera-")

    def connect(self) -> bool:
        """Connect if need be; on failure the fault says why."""
        if self._machine.connected and not self._machine.suspect and self.fault is None:
            return True
        if self.state is not State.OFF:
            self.enter(State.OFF)
        self.enter(State.STARTING)
        try:
            self._machine.connect()
        except Exception as error:  # whatever a driver or a library raises, the service stays
            self.fail(error)
            self._retry_after_s = min(2 * self._retry_after_s, _RETRY_MOST_S)
            return False
        self.fault = None
        self._retry_after_s = _RETRY_FIRST_S
        self.enter(State.IDLE)
        return True

    def reload(self) -> None:
        """Take settings and model into use as they are now, or raise why not."""
        try:
            self._machine.reload()
        except Exception as error:
            if not self._machine.connected:
                self.fail(error)
            raise
        self.fault = None
        if self.state in (State.FAULT, State.OFF):
            for state in (State.OFF, State.STARTING, State.IDLE):
                self.enter_if_allowed(state)

    def fail(self, error: Exception) -> None:
        """Take note of a fault."""
        fault = fault_of(error)
        if fault != self.fault:
            self._say("error", f"{fault.name}: {fault.cause}; {fault.cure}")
        self.fault = fault
        self._machine.suspect = True
        self.retry_s = time.monotonic() + self._retry_after_s
        self.enter_if_allowed(State.FAULT)

    def enter(self, state: State) -> None:
        """Go on to a state that may follow."""
        if state not in TRANSITIONS[self.state]:
            raise AssertionError(f"{state} cannot follow {self.state}")
        self.state = state
        self._tell()

    def enter_if_allowed(self, state: State) -> None:
        """Go on to a state, if it may follow."""
        if state in TRANSITIONS[self.state]:
            self.enter(state)
