"""Down, up, down, up: a sweep in motion that weighs the JPEG of each frame."""

import io
from dataclasses import dataclass, field

import numpy as np
from PIL import Image

from edge_af.bench.classic.rig import Rig, SchedulingClock
from edge_af.routines.ports import Attempt
from edge_af.routines.sweep import middle_um, peak_um
from hw.camera import Camera, CameraStalled, Frame

_SPEED = 30.0
"""In depths of field a second: at 30 frames a second, one between frames."""

_JPEG_QUALITY = 75
_POLL_S = 1 / 120
_PATIENCE_S = 0.2
"""After the sweep: the last frames are still under way."""


def jpeg_sweep(rig: Rig) -> Attempt:
    """Sweep upwards through the span, streaming, and go to where the JPEG was largest.

    As OpenFlexure's fast autofocus: the size of a JPEG stands for sharpness; the second run down
    and up makes the gears lie as they did in the sweep. Knapper et al., Fast, high-precision
    autofocus on a motorised microscope (J. Microscopy 285, 2022, 29). The motor runs as slowly as
    the depth of field asks, and the top is the middle of the peak, not its highest frame.
    """
    start_um, span, stage = rig.stage.position_um, rig.span, rig.stage
    speed_um_per_s = _SPEED * rig.desk.settings.depth_of_field_um
    stage.move_to_um(span.low_um)
    with _Recording(rig.camera, rig.clock) as recording:
        path = stage.crawl(span.high_um, speed_um_per_s)
        rig.clock.wait_until_s(rig.clock.now_s() + _PATIENCE_S)
    rig.desk.view.frames += len(recording.sizes)
    times_s, places_um = np.array(path).T
    curve = {
        float(np.interp(time_s, times_s, places_um)): size
        for time_s, size in recording.sizes
        if times_s[0] <= time_s <= times_s[-1]
    }
    if len(curve) < 3 or peak_um(curve) in (min(curve), max(curve)):
        return rig.desk.give_up(start_um, "the largest frame was at an end of the sweep")
    stage.move_to_um(span.low_um)
    stage.move_to_um(middle_um(curve))
    return Attempt(True)


@dataclass
class _Recording:
    """Takes each frame as it arrives, whatever else is going on: middle of exposure, bytes."""

    camera: Camera
    clock: SchedulingClock
    sizes: list[tuple[float, float]] = field(default_factory=list)
    running: bool = False

    def __enter__(self) -> "_Recording":
        self.running = True
        self._poll()
        return self

    def __exit__(self, *error: object) -> None:
        self.running = False

    def _poll(self) -> None:
        if not self.running:
            return
        while (frame := self._arrived()) is not None:
            middle_s = (frame.exposure_start_s + frame.exposure_end_s) / 2
            self.sizes.append((middle_s, float(_jpeg_bytes(frame))))
        self.clock.at(self.clock.now_s() + _POLL_S, self._poll)

    def _arrived(self) -> Frame | None:
        try:
            return self.camera.frame(timeout_s=0.0)
        except CameraStalled:
            return None


def _jpeg_bytes(frame: Frame) -> int:
    """Return the size of the green channel's JPEG: each colour has a focus of its own."""
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(frame.pixels[:, :, 1])).save(
        buffer, "JPEG", quality=_JPEG_QUALITY
    )
    return buffer.tell()
