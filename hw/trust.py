"""Whether a counted position can be believed, and what is left of the axis while it cannot."""

from typing import Final

from hw.path import Limit
from hw.stage import Range

UNTRUSTED_WINDOW: Final = Range(-50.0, 15.0)
"""Room left around the place where trust was lost, in um: the slide is taken to be upwards."""


class Trust:
    """The one-way rule for unhomed stages: without trust, moves stay near where it was lost."""

    def __init__(self, window: Range, trusted: bool) -> None:
        """Start with or without trust; `window` holds offsets. ValueError if 0 is not in it."""
        if not window.contains(0.0):
            raise ValueError(
                "the window for an untrusted position holds offsets from where it stands, so it "
                f"must contain 0 um; got {window.low_um:g} um to {window.high_um:g} um"
            )
        self._window = window
        self._lost_at_um: float | None = None
        self.reason = None if trusted else "it was not confirmed since the start"
        """Why the position is untrusted; None while it is trusted."""

    def anchor(self, here_um: float) -> None:
        """Before a first move: take `here_um` as where trust was lost, unless it was before."""
        if self._lost_at_um is None:
            self._lost_at_um = here_um

    def lose(self, reason: str, here_um: float) -> None:
        """Trust no more. Of several losses the first sets the window, lest it creep."""
        if self.reason is None:
            self._lost_at_um = here_um
        self.reason = reason

    def confirm(self) -> None:
        """Trust again."""
        self.reason = None

    def limits(self, here_um: float) -> list[Limit]:
        """Return the window around the place of loss, or nothing while there is trust."""
        if self.reason is None:
            return []
        lost_at_um = here_um if self._lost_at_um is None else self._lost_at_um
        window = Range(lost_at_um + self._window.low_um, lost_at_um + self._window.high_um)
        name = f"the window for an untrusted position ({self.reason})"
        return [Limit(name, window, "home the stage, or confirm where it stands")]
