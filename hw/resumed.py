"""A stage whose count goes on from where it stood in an earlier run of the program."""

from typing import Self

from hw.forwarded import ForwardedStage
from hw.stage import HomingStage, StageDriver, can_home


class ResumedStage(ForwardedStage):
    """A driver with its count shifted by a constant, so that it begins at `at_um`.

    Only where the driver begins at 0, as those do that count by themselves: a board that has kept
    its own count knows better. That the axis still stands there is hoped, not known: the guard must
    not trust it for that.
    """

    def __init__(self, driver: StageDriver, at_um: float) -> None:
        """Wrap a driver that has not been entered; a place out of its travel is not taken."""
        super().__init__(driver)
        steps = round(at_um / driver.step_um)
        self._from_um = steps * driver.step_um if driver.travel.contains(at_um) else 0.0
        self._shift_um: float | None = None

    @property
    def position_um(self) -> float:
        """Position counted from the steps actually sent, in um."""
        return super().position_um + (self._shift_um or 0.0)

    def move_to_um(self, target_um: float) -> None:
        """Move as the driver does, and raise what it raises."""
        self._driver.move_to_um(target_um - (self._shift_um or 0.0))

    def __enter__(self) -> Self:
        super().__enter__()
        if self._shift_um is None:
            begins_anew = abs(self._driver.position_um) < self._driver.step_um / 2
            self._shift_um = self._from_um if begins_anew else 0.0
        return self


class ResumedHomingStage(ResumedStage):
    """One with an end stop: homing gives it the count that the settings say."""

    def __init__(self, driver: HomingStage, at_um: float) -> None:
        super().__init__(driver, at_um)
        self._homing = driver

    def home(self, within_um: float) -> None:
        """Home as the driver does, and raise what it raises."""
        self._homing.home(within_um)
        self._shift_um = 0.0


def resumed(driver: StageDriver, at_um: float) -> ResumedStage:
    """Return the driver with its count going on from `at_um`; one that can home still can."""
    if can_home(driver):
        return ResumedHomingStage(driver, at_um)
    return ResumedStage(driver, at_um)
