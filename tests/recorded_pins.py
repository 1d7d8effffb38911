"""Pins that write down what is done to them, and witnesses that read a motor's steps from that."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from hw.clock import Clock
from hw.pins import DirectPulses, PinError, Pull

ROUNDING_S = 1e-9


class Edge(NamedTuple):
    time_s: float
    pin: int
    level: bool


class RecordedPins:
    """Every level that an output was given, and when, on the clock of the test."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.edges: list[Edge] = []
        self.watchers: list[Callable[[Edge], None]] = []
        self.inputs: dict[int, Callable[[], bool]] = {}
        self.pulls: dict[int, Pull] = {}
        self.levels: dict[int, bool] = {}
        self.open = False
        self.broken: str | None = None
        self.slow_write_s: Callable[[], float] = lambda: 0.0

    def claim_outputs(self, levels: Mapping[int, bool]) -> None:
        self._usable()
        assert not set(levels) & set(self.levels), "claimed twice"
        for pin, level in levels.items():
            self.levels[pin] = not level  # so that the first level is an edge, too
            self._set(pin, level)

    def claim_input(self, pin: int, pull: Pull) -> None:
        self._usable()
        self.pulls[pin] = pull

    def write(self, levels: Mapping[int, bool]) -> None:
        self._usable()
        late_s = self.slow_write_s()
        if late_s:
            self.clock.wait_until_s(self.clock.now_s() + late_s)
        for pin, level in levels.items():
            assert pin in self.levels, f"GPIO {pin} is no output"
            self._set(pin, level)

    def read(self, pin: int) -> bool:
        self._usable()
        return self.inputs[pin]()

    def pulses(self, pin: int) -> DirectPulses:
        return DirectPulses(self, pin, self.clock)

    def _usable(self) -> None:
        assert self.open, "the lines are not open"
        if self.broken:
            raise PinError(self.broken)

    def _set(self, pin: int, level: bool) -> None:
        if self.levels[pin] != level:
            self.levels[pin] = level
            edge = Edge(self.clock.now_s(), pin, level)
            self.edges.append(edge)
            for watcher in self.watchers:
                watcher(edge)

    def __enter__(self):
        assert not self.open
        self.open = True
        return self

    def __exit__(self, *error: object) -> None:
        assert self.open
        self.open = False
        self.levels.clear()


class ChipMinima(NamedTuple):
    """From the data sheets, in s: STEP high and low, DIR set-up and hold, ENABLE to STEP."""

    high_s: float
    low_s: float
    setup_s: float
    hold_s: float
    wake_s: float


DATA_SHEETS = {
    "A4988": ChipMinima(1e-6, 1e-6, 0.2e-6, 0.2e-6, 1e-3),
    "DRV8825": ChipMinima(1.9e-6, 1.9e-6, 0.65e-6, 0.65e-6, 1.7e-3),
    "TMC2209": ChipMinima(0.1e-6, 0.1e-6, 0.02e-6, 0.02e-6, 0),
}


@dataclass
class ChipWitness:
    """A STEP/DIR driver: counts rising edges while enabled, and notes what it could misread."""

    step: int
    direction: int
    enable: int
    minima: ChipMinima
    count: int = 0
    counts: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    steps_s: list[float] = field(default_factory=list)
    levels: dict[int, bool] = field(default_factory=dict)
    since_s: dict[int, float] = field(default_factory=dict)

    def __call__(self, edge: Edge) -> None:
        now_s, pin, level = edge
        if pin == self.step:
            least_s = self.minima.low_s if level else self.minima.high_s
            self._check("STEP", now_s, pin, least_s)
            if level:
                self._rise(now_s)
        elif pin == self.direction and self.steps_s:
            self._at_least("DIR hold", now_s - self.steps_s[-1], self.minima.hold_s)
        self.levels[pin] = level
        self.since_s[pin] = now_s

    def _rise(self, now_s: float) -> None:
        if self.levels[self.enable]:
            self.faults.append(f"a step at {now_s} s, while disabled")
            return
        self._check("ENABLE", now_s, self.enable, self.minima.wake_s)
        self._check("DIR set-up", now_s, self.direction, self.minima.setup_s)
        self.count += 1 if self.levels[self.direction] else -1
        self.counts.append(self.count)
        self.steps_s.append(now_s)

    def _check(self, what: str, now_s: float, pin: int, least_s: float) -> None:
        self._at_least(what, now_s - self.since_s.get(pin, -math.inf), least_s)

    def _at_least(self, what: str, took_s: float, least_s: float) -> None:
        if took_s < least_s - ROUNDING_S:
            self.faults.append(f"{what}: {took_s} s, at least {least_s} s")


class RotorWitness:
    """A four-phase motor: the rotor follows the sum of its coils' fields, eight places a turn.

    What changes in one instant counts as one, for a rotor is slow. Fields that cancel, or jump by
    so much that the rotor may go either way, are a fault. Its count begins at the first field.
    """

    def __init__(self, coils: tuple[int, ...]) -> None:
        self.faults: list[str] = []
        self.counts: list[float] = []
        self._steps_s: list[float] = []
        self._coils = coils
        self._on: set[int] = set()
        self._changed_s: float | None = None
        self._start: float | None = None
        self._place = 0.0

    def __call__(self, edge: Edge) -> None:
        if edge.time_s != self._changed_s:
            self._follow()
        if edge.pin in self._coils:
            (self._on.add if edge.level else self._on.discard)(edge.pin)
            self._changed_s = edge.time_s

    @property
    def on(self) -> set[int]:
        return self._on

    @property
    def count(self) -> float:
        """Half steps from where the rotor was first held."""
        self._follow()
        return self._place - (self._start or 0.0)

    @property
    def steps_s(self) -> list[float]:
        """When the rotor was turned."""
        self._follow()
        return self._steps_s

    def _follow(self) -> None:
        at_s, self._changed_s = self._changed_s, None
        if at_s is None or not self._on:
            return
        angles = [math.pi / 2 * self._coils.index(pin) for pin in self._on]
        x, y = sum(map(math.cos, angles)), sum(map(math.sin, angles))
        if math.hypot(x, y) < 0.1:
            self.faults.append(f"at {at_s} s the fields cancel: {sorted(self._on)}")
            return
        place = math.atan2(y, x) / (math.pi / 4)
        if self._start is None:
            self._start = self._place = place
            return
        turned = place - self._place
        turned -= 8 * round(turned / 8)
        if abs(turned) > 3:
            self.faults.append(f"at {at_s} s the field jumps by {turned:g} half steps")
        if abs(turned) > 1e-9:
            self._place += turned
            self.counts.append(self._place - self._start)
            self._steps_s.append(at_s)
