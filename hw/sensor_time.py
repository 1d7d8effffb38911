"""When a Pi camera exposed a frame, from the time stamp that libcamera gives it."""

from collections.abc import Mapping
from typing import Any

from hw.camera import CameraError

LATENESS_S = 0.001
"""By how much a stamp may come after the end of the first row's exposure."""


def exposed_s(
    metadata: Mapping[str, Any], now_s: float, clocks_s: tuple[float, float], readout_s: float
) -> tuple[float, float]:
    """Return when the first row began to collect light and when the last row ended, in s.

    The result is on the clock that reads `now_s`, read just before the operating system's
    monotonic and boot-time clocks, `clocks_s`.

    SensorTimestamp is when the kernel sees the sensor begin to send the frame (on a Pi 5,
    `cfe_sof_isr_handler`). A rolling shutter sends a row once it has been exposed: the stamp is the
    end of the first row's exposure, and the start lies ExposureTime before it, as picamera2 also
    counts (`Picamera2.wait_for_timestamp_`). Interrupts come late, never early, so another
    LATENESS_S is taken off: a frame may be called older than it is, not fresher. The last row
    follows the first within `readout_s`, and in any case before the frame is delivered.

    libcamera documents the stamp as of the boot-time clock, the kernel's drivers take the monotonic
    one (`ktime_get_ns`). They differ by the time spent suspended, so the wrong one would put the
    stamp ahead of now or further back than any queue is long: of the two, the smaller age is right.
    Raises CameraError if the stamp is ahead of both.
    """
    stamp_s = metadata["SensorTimestamp"] * 1e-9
    age_s = min((clock_s - stamp_s for clock_s in clocks_s if clock_s >= stamp_s), default=None)
    if age_s is None:
        raise CameraError(
            f"the camera stamps a frame {stamp_s - max(clocks_s):.3f} s ahead of the system's "
            "clocks: restart the Pi"
        )
    first_row_ended_s = now_s - age_s
    start_s = first_row_ended_s - metadata["ExposureTime"] * 1e-6 - LATENESS_S
    return start_s, min(first_row_ended_s + readout_s, now_s)
