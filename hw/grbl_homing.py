"""Homing of a GRBL axis: a stage type of its own, for only some have an end stop."""

from typing import Final

from hw.clock import Clock
from hw.grbl import Grbl
from hw.grbl_board import BoardUpset
from hw.grbl_settings import GrblSettings
from hw.serial_line import SerialLine
from hw.stage import StageFault, StageStopped

_SEARCH: Final = 1.5  # HOMING_AXIS_SEARCH_SCALAR in limits.c: how far, in lengths of the travel
_PULL_OFF_S: Final = 30.0


def grbl_stage(settings: GrblSettings, clock: Clock, line: SerialLine | None = None) -> Grbl:
    """Return the stage that the settings describe: one that can home, or one that cannot."""
    return (HomingGrbl if settings.homing else Grbl)(settings, clock, line)


class HomingGrbl(Grbl):
    """A GRBL axis with an end stop. Unless built to home single axes, the board homes all."""

    def home(self, within_um: float) -> None:
        """Run to the end stop by `$H`; the position is then as the board's $23, $27 and $13x say.

        Raises StageStopped on `stop`, which kills the motor and leaves the position in doubt, and
        StageFault if the end stop is not found, or the board might run further than `within_um`.
        """
        with self._conversing:
            self._begin()
            with self._failures_remembered():
                self._find_disturbance()  # whatever it was, homing mends it
                seconds = self._time_to_home_s(within_um)
                letter = self._settings.axis.upper() if self._board.homes_single_axes else ""
                self._stops_by_reset = True
                try:
                    if not self._stopping:
                        self._board.ask(f"$H{letter}", seconds)
                except BoardUpset as upset:
                    if not self._stopping:
                        raise StageFault(f"homing failed: {upset}") from upset
                finally:
                    self._stops_by_reset = False
                if self._stopping:
                    self._faulted = True
                    self._doubt = "homing was stopped"
                    raise StageStopped("homing was stopped; home again before relying on positions")
                self._origin_steps = 0
                self._take_position()
                self._doubt = None

    def _time_to_home_s(self, within_um: float) -> float:
        axis = self._known_axis
        if not axis.homes:
            raise StageFault("homing is switched off in the board; send $22=1, or set homing off")
        reach_mm = _SEARCH * axis.travel_mm
        reach_um = reach_mm * axis.steps_per_mm * self.step_um
        if reach_um > within_um:
            number = 130 + "xyz".index(axis.letter)
            raise StageFault(
                f"the board may run {reach_um:g} um to find its end stop, and {within_um:g} um are "
                f"allowed; allow more, or lower its ${number} to the real travel"
            )
        seek = min(axis.homing_seek_mm_per_min, axis.max_rate_mm_per_min)
        return 2 * 60 * reach_mm / seek + _PULL_OFF_S
