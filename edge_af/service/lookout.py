"""What is looked at between jobs: to hold the focus, for who watches, and that the camera lives."""

import math
import time
from collections.abc import Callable

from edge_af.instrument import State
from edge_af.routines.tracked import Deed, Tracked
from edge_af.service.condition import Condition
from edge_af.service.machine import Machine
from edge_af.service.picture import Gallery
from hw.camera import CameraError
from hw.stage import StageStopped

_CHECK_EVERY_S = 30.0
_PREVIEW_PERIOD_S = 0.1
_PREVIEW_LOOK_EVERY_S = 0.5


class Lookout:
    """Takes frames when they are due. For the worker's thread, but for `track` and `tracking`."""

    def __init__(
        self,
        machine: Machine,
        condition: Condition,
        gallery: Gallery,
        say: Callable[[str, str], None],
    ) -> None:
        """`say` is called with a level and a line for the log."""
        self._machine = machine
        self._condition = condition
        self._gallery = gallery
        self._say = say
        self.tracking = False
        self._tracks_anew = False
        self._deed: Deed | None = None
        now_s = time.monotonic()
        self._look_s = self._shown_s = self._looked_s = now_s
        self._check_s = now_s + _CHECK_EVERY_S

    def track(self, on: bool) -> None:
        """Hold the focus, or no more. From any thread."""
        if on and not self.tracking:
            self._tracks_anew = True
            self._look_s = time.monotonic()
        self.tracking = on

    def moved(self) -> None:
        """Look soon, for a command has moved things."""
        self._machine.tracker.forget()
        self._look_s = time.monotonic()

    @property
    def due_s(self) -> float:
        """When there is something to look at next, on the monotonic clock."""
        if self._condition.fault is not None:
            return math.inf
        return min(
            self._check_s,
            self._look_s if self.tracking else math.inf,
            self._shown_s if self._gallery.watched else math.inf,
        )

    def do_due(self) -> None:
        """Look at what is due."""
        now_s = time.monotonic()
        if self._condition.fault is not None:
            return
        if self.tracking and now_s >= self._look_s:
            self._look()
        elif self._gallery.watched and now_s >= self._shown_s:
            self._show(now_s)
        elif now_s >= self._check_s:
            self.take_picture(look=False)
            self._machine.note_place()

    def take_picture(self, *, look: bool) -> None:
        """Take a frame, and let the model `look` at it; a failure is a fault."""
        self._check_s = time.monotonic() + _CHECK_EVERY_S
        if not self._machine.connected:
            return
        try:
            self._machine.take_frame(look=look)
        except Exception as error:
            self._condition.fail(error)

    def _show(self, now_s: float) -> None:
        self._shown_s = now_s + _PREVIEW_PERIOD_S
        look = now_s >= self._looked_s + _PREVIEW_LOOK_EVERY_S
        if look:
            self._looked_s = now_s
        self.take_picture(look=look)

    def _look(self) -> None:
        machine, condition = self._machine, self._condition
        assert machine.instrument is not None
        assert machine.setup is not None
        settings = machine.setup.config.track
        pause_s = settings.every_s
        if self._tracks_anew:
            self._tracks_anew, self._deed = False, None
            machine.tracker.forget()
        if condition.state is not State.TRACKING:
            condition.enter(State.TRACKING)
        try:
            tracked = machine.instrument.track(machine.tracker)
        except StageStopped:
            pass
        except Exception as error:
            condition.fail(error)
            # A camera comes back; a motor that failed is not driven on unasked.
            if not isinstance(error, CameraError):
                self.tracking = False
        else:
            pause_s = tracked.next_look_s(settings)
            self._note(tracked)
        self._look_s = time.monotonic() + pause_s
        self._check_s = time.monotonic() + _CHECK_EVERY_S
        machine.note_place()

    def _note(self, tracked: Tracked) -> None:
        if tracked.deed is not self._deed and tracked.reason:
            self._say("info", f"tracking: {tracked.deed}: {tracked.reason}")
        self._deed = tracked.deed
