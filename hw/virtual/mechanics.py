"""The hidden truth of a virtual stage: where its axis really is."""

import threading
from bisect import bisect_left, bisect_right
from typing import Final, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from hw.stage import Range

HISTORY_S: Final = 2.0
_PRUNE_ABOVE: Final = 4096


class MechanicsSettings(BaseModel):
    """How a virtual stage behaves; the defaults are the reference microscope's.

    Raises pydantic.ValidationError for an unknown name, or a value that is not finite or out of
    range.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    step_um: float = Field(default=0.1, gt=0)
    reversed: bool = False
    """Whether forward steps of the motor move the axis down."""
    top_speed_steps_per_s: float = Field(default=1000.0, gt=0)
    acceleration_steps_per_s2: float = Field(default=20_000.0, gt=0)
    backlash_um: float = Field(default=2.5, ge=0)
    play_um: float = Field(default=0.1, ge=0)
    """Full width of the random offset that every start and every reversal draws anew."""
    settle_s: float = Field(default=0.04, ge=0)
    """How long after the last step the axis counts as at rest."""
    ring_um: float = Field(default=0.3, ge=0)
    """Amplitude of the ring at its start; what is left of it after `settle_s` is 5 nm."""
    ring_hz: float = Field(default=200.0, gt=0)
    ring_decay_s: float = Field(default=0.01, gt=0)
    """Time in which the ring falls to 1/e."""
    drift_um_per_s: float = 0.05
    """Thermal drift at the start; its sign is its direction."""
    drift_decay_s: float = Field(default=120.0, gt=0)
    """Time in which the drift's speed falls to 1/e."""
    missed_step_probability: float = Field(default=0.0, ge=0, le=1)
    low_stop_um: float = -500.0
    high_stop_um: float = 500.0

    @model_validator(mode="after")
    def _stops_leave_travel(self) -> Self:
        if self.high_stop_um - self.low_stop_um < 4 * self.step_um:
            raise ValueError(
                f"the hard stops at {self.low_stop_um:g} um and {self.high_stop_um:g} um must be "
                f"at least four steps of {self.step_um:g} um apart, low before high"
            )
        return self

    @property
    def travel(self) -> Range:
        """Axis positions that touch neither hard stop: from one step inside to one step inside."""
        return Range(self.low_stop_um + self.step_um, self.high_stop_um - self.step_um)


class Mechanics:
    """Turns steps into real motion: backlash, play, ring, drift, missed steps, hard stops.

    The motor drives the axis through a gap of `backlash_um`. The axis is pushed by the motor when
    this runs up and pulled when it runs down, so with the motor at m the axis lies in
    [m, m + backlash_um]: after a long enough run up the axis stands where the motor does. This is
    the play (backlash) operator of hysteresis. Same settings, seed and steps: same motion.

    Thread-safe. For the virtual microscope, tests and benchmarks; nothing that decides may read it.
    """

    def __init__(
        self,
        settings: MechanicsSettings | None = None,
        seed: int = 0,
        *,
        start_um: float = 0.0,
        start_s: float = 0.0,
        slack_um: float | None = None,
    ) -> None:
        """Put the motor at the step nearest to `start_um`, with thermal drift from `start_s` on.

        `slack_um`, in [0, backlash_um], is the gap to take up before the axis follows upwards;
        without it the seed draws one. Raises ValueError if it, or the start, is out of range.
        """
        self.settings = settings or MechanicsSettings()
        self._rng = np.random.default_rng(seed)
        self._start_s = start_s
        self._motor_steps = round(start_um / self.settings.step_um)
        backlash_um = self.settings.backlash_um
        drawn_um = float(self._rng.uniform(0.0, backlash_um))
        slack_um = drawn_um if slack_um is None else slack_um
        if not 0 <= slack_um <= backlash_um:
            raise ValueError(f"slack must lie in 0 to {backlash_um:g} um, got {slack_um:g} um")
        self._axis_um = self.motor_um + slack_um
        if not self._clear_of_stops(self._axis_um):
            raise ValueError(
                f"an axis at {self._axis_um:g} um (start {start_um:g} um) is not between the hard "
                f"stops at {self.settings.low_stop_um:g} um and {self.settings.high_stop_um:g} um"
            )
        self._play_um = self._draw_play_um()
        self._direction = 0
        self._pressing = False
        self._missed_steps = 0
        self._crash_times_s: list[float] = []
        # One entry for each step that moved the axis: when, where to, and which way (0: at rest).
        self._times_s = [float("-inf")]
        self._places_um = [self._axis_um + self._play_um]
        self._kicks = [0]
        self._lock = threading.Lock()

    @property
    def motor_um(self) -> float:
        """Where the motor really is, in um; a missed step makes it differ from the count."""
        return self._motor_steps * self.settings.step_um

    @property
    def slack_um(self) -> float:
        """The gap that a run upwards takes up before the axis follows, in um."""
        return self._axis_um - self.motor_um

    @property
    def missed_steps(self) -> int:
        """How many steps the missed-step fault has swallowed."""
        return self._missed_steps

    @property
    def crashes(self) -> int:
        """How often the axis was driven onto a hard stop."""
        return len(self._crash_times_s)

    @property
    def crash_times_s(self) -> tuple[float, ...]:
        """When each crash began, in s."""
        return tuple(self._crash_times_s)

    def step(self, direction: Literal[-1, 1], time_s: float) -> None:
        """Receive one step pulse at `time_s`, forward for 1. Raises ValueError if time runs back.

        A step that would bring the axis onto a hard stop is a crash: the motor stalls and the axis
        stays. Pushing on against the same stop is the same crash.
        """
        with self._lock:
            if time_s < self._times_s[-1]:
                raise ValueError(f"a step at {time_s} s comes before one at {self._times_s[-1]} s")
            settings = self.settings
            if settings.reversed:
                direction = -1 if direction == 1 else 1
            if self._rng.random() < settings.missed_step_probability:
                self._missed_steps += 1
                return
            motor_um = (self._motor_steps + direction) * settings.step_um
            axis_um = min(max(self._axis_um, motor_um), motor_um + settings.backlash_um)
            if axis_um != self._axis_um and not self._clear_of_stops(axis_um):
                if not self._pressing:
                    self._crash_times_s.append(time_s)
                self._pressing = True
                return
            self._pressing = False
            self._motor_steps += direction
            if axis_um != self._axis_um:
                self._move_axis(axis_um, direction, time_s)

    def position_um(self, times_s: ArrayLike) -> NDArray[np.float64]:
        """Return the true position of the axis at `times_s`, in um, float64, of the same shape.

        Times may reach back `HISTORY_S` from the last step. The ring is
        ring_um sin(2 pi ring_hz t) exp(-t / ring_decay_s), t since the last step that moved the
        axis; the drift is drift_um_per_s * drift_decay_s * (1 - exp(-t / drift_decay_s)), t since
        the start. It is the frame that drifts, so drift may carry the position past a hard stop.
        Raises ValueError for a time before the history.
        """
        times = np.asarray(times_s, dtype=np.float64)
        with self._lock:
            oldest_s = self._times_s[0]
            first = bisect_right(self._times_s, float(times.min(initial=np.inf))) - 1
            if first < 0:
                raise ValueError(
                    f"positions are kept from {oldest_s} s on, asked for {times.min()} s; "
                    "ask sooner after the exposure"
                )
            stepped_s = np.array(self._times_s[first:])
            places_um = np.array(self._places_um[first:])
            kicks = np.array(self._kicks[first:])
        settings = self.settings
        last = np.searchsorted(stepped_s, times, side="right") - 1
        # Capped, for the entry at rest lies infinitely far back.
        since_s = np.minimum(times - stepped_s[last], 100 * settings.ring_decay_s)
        ring_um = (
            settings.ring_um
            * kicks[last]
            * np.sin(2 * np.pi * settings.ring_hz * since_s)
            * np.exp(-since_s / settings.ring_decay_s)
        )
        running_s = np.maximum(times - self._start_s, 0.0)
        drift_um = (
            -settings.drift_um_per_s
            * settings.drift_decay_s
            * np.expm1(-running_s / settings.drift_decay_s)
        )
        inside_um = np.clip(places_um[last] + ring_um, settings.low_stop_um, settings.high_stop_um)
        return np.asarray(inside_um + drift_um)

    def moving(self, start_s: float, end_s: float) -> bool:
        """Tell whether steps moved the axis, or it had yet to settle, within [start_s, end_s]."""
        with self._lock:
            last_s = self._times_s[max(bisect_right(self._times_s, end_s) - 1, 0)]
            return last_s + self.settings.settle_s > start_s

    def _clear_of_stops(self, axis_um: float) -> bool:
        margin_um = 1e-6 * self.settings.step_um  # float noise is far less than this
        return (
            self.settings.low_stop_um + margin_um < axis_um
            and axis_um < self.settings.high_stop_um - margin_um
        )

    def _move_axis(self, axis_um: float, direction: int, time_s: float) -> None:
        from_rest = time_s - self._times_s[-1] > self.settings.settle_s
        if from_rest or direction != self._direction:
            self._play_um = self._draw_play_um()
        self._direction = direction
        self._axis_um = axis_um
        if len(self._times_s) >= _PRUNE_ABOVE:
            # The last entry before the window says where the axis was when the window began.
            stale = max(bisect_left(self._times_s, time_s - HISTORY_S) - 1, 0)
            for kept in (self._times_s, self._places_um, self._kicks):
                del kept[:stale]
        self._times_s.append(time_s)
        self._places_um.append(axis_um + self._play_um)
        self._kicks.append(direction)

    def _draw_play_um(self) -> float:
        return float(self._rng.uniform(-0.5, 0.5)) * self.settings.play_um
