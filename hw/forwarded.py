"""A stage driver around another that does as that one does, for those that change a part of it."""

from typing import Self

from hw.stage import Range, StageDriver


class ForwardedStage:
    """Hands everything on to the driver, and what that raises back."""

    def __init__(self, driver: StageDriver) -> None:
        self._driver = driver

    @property
    def step_um(self) -> float:
        """Smallest move, in um."""
        return self._driver.step_um

    @property
    def travel(self) -> Range:
        """Positions that the mechanics can reach."""
        return self._driver.travel

    @property
    def position_um(self) -> float:
        """Position counted from the steps actually sent, in um."""
        return self._driver.position_um

    @property
    def settled_at_s(self) -> float:
        """When the stage is, or was, at rest after its last step, settling included."""
        return self._driver.settled_at_s

    def move_to_um(self, target_um: float) -> None:
        """Move the driver."""
        self._driver.move_to_um(target_um)

    def stop(self) -> None:
        """Stop the driver."""
        self._driver.stop()

    def take_doubt(self) -> str | None:
        """Return the driver's doubt."""
        return self._driver.take_doubt()

    def __enter__(self) -> Self:
        self._driver.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self._driver.__exit__(*error)
