"""What one look of tracking came to."""

from dataclasses import dataclass
from enum import StrEnum

from edge_af.settings import TrackSettings

_SOON_S = 1.0


class Deed(StrEnum):
    """What one look came to."""

    HELD = "held"
    CORRECTED = "corrected"
    CHECKED = "checked"
    """It went to where the picture is sharpest, to learn what the model reads there."""
    REFOCUSED = "refocused"
    BLIND = "blind"
    """The model abstained; the position is held."""
    HINDERED = "hindered"
    """It should have moved and could not; `reason` says why. The position is held."""


@dataclass(frozen=True, slots=True)
class Tracked:
    """What one look saw and did. `defocus_um` is as believed before the deed, None while blind.

    `soon` says that the next look should not wait as long as usual.
    """

    deed: Deed
    defocus_um: float | None = None
    reason: str = ""
    soon: bool = False

    def next_look_s(self, settings: TrackSettings) -> float:
        """Return the time to the next look."""
        return min(settings.every_s, _SOON_S) if self.soon else settings.every_s
