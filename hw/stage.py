"""What a focus stage is to the rest of edge-af, and how it can fail."""

from dataclasses import dataclass
from typing import Protocol, Self, TypeGuard

from hw.errors import HardwareError


@dataclass(frozen=True, slots=True)
class Range:
    """A closed interval of stage positions, in um."""

    low_um: float
    high_um: float

    def __post_init__(self) -> None:
        if not self.low_um <= self.high_um:  # also catches NaN
            raise ValueError(
                f"a range must run from low to high, got {self.low_um} um to {self.high_um} um"
            )

    def contains(self, position_um: float) -> bool:
        """Tell whether `position_um` lies inside, ends included."""
        return self.low_um <= position_um <= self.high_um

    def clip(self, position_um: float) -> float:
        """Return the point of the range that is nearest to `position_um`."""
        return min(max(position_um, self.low_um), self.high_um)


class StageError(HardwareError):
    """The stage failed or refused."""


class StageStopped(StageError):
    """The move ended early because `stop` was called."""


class StageFault(StageError):
    """The stage or its line failed; where it stands may not be known."""


class LimitError(StageError, ValueError):
    """A move was refused before its first step, because of a limit."""


class Stage(Protocol):
    """One motorised focus axis. Connects on enter; on exit it stops and releases the motor."""

    @property
    def step_um(self) -> float:
        """Smallest move, in um."""
        ...

    @property
    def travel(self) -> Range:
        """Positions that the mechanics can reach."""
        ...

    @property
    def position_um(self) -> float:
        """Position counted from the steps actually sent, in um."""
        ...

    @property
    def settled_at_s(self) -> float:
        """When the stage is, or was, at rest after its last step, settling included."""
        ...

    def move_to_um(self, target_um: float) -> None:
        """Move to the step nearest to `target_um`; return at the last step.

        Raises StageStopped if `stop` is called meanwhile and StageFault if the hardware fails.
        """
        ...

    def stop(self) -> None:
        """Stop within one step period. Callable from any thread, at any time."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *error: object) -> None: ...


class StageDriver(Stage, Protocol):
    """A stage as its driver gives it: the guard wraps it, and nothing else moves it."""

    def take_doubt(self) -> str | None:
        """Return, once, why the axis may no longer stand where the count says; None if it does.

        For what happens between moves: a motor released, a board that was reset. A move that fails
        raises instead.
        """
        ...


class HomingStage(StageDriver, Protocol):
    """A stage with an end stop, by which it can find out where it stands."""

    def home(self, within_um: float) -> None:
        """Run to the end stop, at most `within_um` away; the count is then that of the end stop.

        Raises StageStopped on `stop`, and StageFault if the end stop is not found in that length.
        """
        ...


def can_home(driver: StageDriver) -> TypeGuard[HomingStage]:
    """Tell whether a driver has an end stop to home to.

    By its class: to ask the object, as `isinstance` does for protocols, would read its properties,
    and those of a stage that has failed may raise.
    """
    return callable(getattr(type(driver), "home", None))
