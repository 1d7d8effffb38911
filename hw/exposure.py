"""How a Pi camera exposes: what libcamera reports of each frame, and what it is told to keep."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

STEADY_FRAMES = 8
"""Automatic exposure and white balance have settled once so many frames in a row agree."""
_STEADY = 0.02
_AS_ASKED = 0.05
"""Sensors round: an IMX219 has steps of 3 % in gain at 8x, and any sensor exposes whole rows."""
_ROWS_US = 100
_AE_STATE_SEARCHING = 1  # libcamera's AeStateSearching


@dataclass(frozen=True, slots=True)
class Exposure:
    """Exposure time, analogue gain, and the white balance's gains of red and blue against green.

    A monochrome sensor has no white balance: its `colour_gains` are None.
    """

    time_us: int
    gain: float
    colour_gains: tuple[float, float] | None

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> Self:
        """Return how a frame was exposed."""
        colour_gains = metadata.get("ColourGains")
        return cls(
            int(metadata["ExposureTime"]),
            float(metadata["AnalogueGain"]),
            None if colour_gains is None else (float(colour_gains[0]), float(colour_gains[1])),
        )

    def locked(self) -> dict[str, Any]:
        """Return the controls that keep every frame like this one."""
        controls: dict[str, Any] = {
            "AeEnable": False,
            "ExposureTime": self.time_us,
            "AnalogueGain": self.gain,
        }
        if self.colour_gains is not None:
            controls |= {"AwbEnable": False, "ColourGains": self.colour_gains}
        return controls

    def obeys(self, asked: "Exposure") -> bool:
        """Tell whether this is `asked`, as nearly as a sensor can."""
        return self._near(asked, _AS_ASKED)

    def _near(self, other: "Exposure", share: float) -> bool:
        if abs(self.time_us - other.time_us) > share * other.time_us + _ROWS_US:
            return False
        mine = (self.gain, *(self.colour_gains or ()))
        others = (other.gain, *(other.colour_gains or ()))
        return len(mine) == len(others) and all(
            abs(one - two) <= share * two for one, two in zip(mine, others, strict=True)
        )


def steady(exposures: Sequence[Exposure]) -> bool:
    """Tell whether the latest STEADY_FRAMES agree to 2 %."""
    latest = exposures[-STEADY_FRAMES:]
    return len(latest) == STEADY_FRAMES and all(
        exposure._near(latest[-1], _STEADY) for exposure in latest
    )


def searching(metadata: Mapping[str, Any]) -> bool:
    """Tell whether libcamera says that it still searches; older versions do not say."""
    return metadata.get("AeState") == _AE_STATE_SEARCHING
