"""The frames of a focus command's sweep kept as a stack: data from everyday work."""

from pathlib import Path
from typing import Self

from edge_af.errors import EdgeAfError
from edge_af.routines.sweep import COARSE, FINE, FINE_REACH
from edge_af.settings import FocusSettings
from edge_af.stack_writer import StackWriter
from hw.camera import Frame


class KeptSweep:
    """Writes the sweep of one focus command as an OME-TIFF, if there is one and it finds a focus.

    Used with `with`, around the command, and given to it. Whatever keeps it from writing stands in
    `note` and does no harm to the focus.
    """

    def __init__(self, path: Path, settings: FocusSettings) -> None:
        """Write to `path`. Raises UserError as StackWriter does."""
        reach = settings.sweep_reach_um / settings.depth_of_field_um
        slices = 2 * reach / COARSE + 2 * FINE_REACH / FINE
        self._writer = StackWriter(path, slices=round(slices), about={"made_by": "a sweep"})
        self._places_um: set[float] = set()
        self._fault: str | None = None

    @property
    def note(self) -> str | None:
        """Why there is no file, once the command has ended; None if there is one."""
        if self._writer.written:
            return None
        why = "there was no sweep" if not self._places_um else "the sweep found no focus"
        return f"{self._writer.path} was not written: {self._fault or why}"

    def keep(self, frame: Frame, place_um: float) -> None:
        """Write a frame, unless there is one of the same place."""
        if self._fault is None and place_um not in self._places_um:
            try:
                self._writer.keep(frame, place_um)
            except EdgeAfError as error:
                self._fault = str(error)
            self._places_um.add(place_um)

    def focus_at(self, focus_um: float) -> None:
        """Learn the stage position of the focus."""
        if self._fault is None:
            self._writer.focus_at(focus_um)

    def __enter__(self) -> Self:
        self._writer.__enter__()
        return self

    def __exit__(self, error_type: type[BaseException] | None, *error: object) -> None:
        try:
            self._writer.__exit__(error_type, *error)
        except EdgeAfError as failure:
            self._fault = str(failure)
