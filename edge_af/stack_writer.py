"""A focal stack written as OME-TIFF, slice by slice, whole or not at all."""

import math
import os
import shutil
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

from edge_af.errors import EdgeAfError, UserError
from edge_af.ome_xml import Kept, ome_xml
from hw.camera import Frame

SUFFIXES = (".ome.tif", ".ome.tiff")

_CLASSIC_BYTES = 4_000_000_000
"""Beyond 4 GiB a TIFF must be a BigTIFF, which ImageJ reads by Bio-Formats only."""

_MARGIN = 1.05
_UM_PER_CM = 10_000


class StackWriteError(EdgeAfError):
    """The stack could not be written; nothing is left under its name."""


class StackWriter:
    """Writes the frames that it is given (`edge_af.routines.sweep.Keeper`) into one OME-TIFF.

    Used with `with`. The file appears under its name when the block ends well and the focus is
    known; until then, and if the power fails, there is only a `.part` beside it. z is the place
    less the focus; the counted stage positions stand in an annotation. Frames taken again at one
    place make up further images of the file. Pixels are not compressed.
    """

    def __init__(self, path: Path, *, slices: int, about: Mapping[str, str] | None = None) -> None:
        """Write to `path`; `slices` is about how many frames will come, `about` goes along.

        Raises UserError for a name that is taken, or does not say that it is an OME-TIFF.
        """
        if not path.name.lower().endswith(SUFFIXES):
            raise UserError(
                f"{path} will be an OME-TIFF: give it a name that ends in {SUFFIXES[0]}"
            )
        if path.exists():
            raise UserError(f"{path} exists already: choose another name, or remove it first")
        if not path.parent.is_dir():
            raise UserError(f"the folder {path.parent} does not exist: make it first")
        self.path = path
        self.written = False
        self._part = path.with_name(f".{path.name}.{os.getpid()}.part")
        self._slices = slices
        self._about = dict(about or {})
        self._began = datetime.now(UTC)
        self._kept: list[Kept] = []
        self._focus_um = math.nan
        self._shape: tuple[int, ...] = ()
        self._um_per_px = math.nan
        self._tiff: Any = None
        self._open = ExitStack()

    def keep(self, frame: Frame, place_um: float) -> None:
        """Write a frame. Raises StackWriteError if the disk is full, or it differs in size."""
        if not self._kept:
            self._begin(frame)
        if frame.pixels.shape != self._shape or frame.um_per_px != self._um_per_px:
            raise StackWriteError(
                f"frame {len(self._kept) + 1} is {frame.pixels.shape} at {frame.um_per_px:g} "
                f"um/px, the first was {self._shape} at {self._um_per_px:g} um/px: a stack needs "
                "frames of one size, leave the camera's settings as they are"
            )
        per_cm = _UM_PER_CM / frame.um_per_px
        try:
            self._tiff.write(
                frame.pixels,
                photometric="rgb",
                metadata=None,
                contiguous=False,
                resolution=(per_cm, per_cm),
                resolutionunit="CENTIMETER",
                # Replaced at the end by what is then known of all of them.
                description=None if self._kept else "OME-XML follows",
            )
        except (OSError, ValueError) as error:  # the latter for more than a TIFF can hold
            raise self._failed(error) from error
        self._kept.append(Kept(place_um, frame.exposure_start_s))

    def focus_at(self, focus_um: float) -> None:
        """Learn the stage position of the focus, from which z is counted."""
        self._focus_um = focus_um

    def _begin(self, frame: Frame) -> None:
        self._shape, self._um_per_px = frame.pixels.shape, frame.um_per_px
        needed = _MARGIN * self._slices * frame.pixels.nbytes
        free = shutil.disk_usage(self.path.parent).free
        if needed > free:
            raise StackWriteError(
                f"{self.path} would take {needed / 1e6:,.0f} MB and its disk has "
                f"{free / 1e6:,.0f} MB left: free some, or take fewer slices"
            )
        try:
            file = self._open.enter_context(self._part.open("x+b"))
            self._open.callback(self._close_tiff)
            import tifffile  # not before: the service has it in memory from then on

            self._tiff = tifffile.TiffWriter(file, bigtiff=needed > _CLASSIC_BYTES)
        except OSError as error:
            raise self._failed(error) from error

    def _close_tiff(self) -> None:
        # After a failed write there may be nothing that it could still write.
        with suppress(OSError):
            if self._tiff is not None:
                self._tiff.close()

    def _finish(self) -> None:
        height_px, width_px, _ = self._shape
        text = ome_xml(
            self._kept,
            self._focus_um,
            name=self.path.name[: self.path.name.lower().rindex(".ome.")],
            size_px=(width_px, height_px),
            um_per_px=self._um_per_px,
            began=self._began,
            about=self._about,
        )
        try:
            self._tiff.close()
            self._open.close()
            import tifffile

            tifffile.tiffcomment(self._part, text)
            with self._part.open("rb") as file:
                os.fsync(file.fileno())
            self._part.replace(self.path)
        except OSError as error:
            raise self._failed(error) from error
        self.written = True

    def _failed(self, error: OSError | ValueError) -> StackWriteError:
        reason = error.strerror if isinstance(error, OSError) else None
        return StackWriteError(
            f"cannot write {self.path} ({reason or error}): nothing of it is left; free "
            "some space, or write elsewhere"
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error_type: type[BaseException] | None, *error: object) -> None:
        try:
            if error_type is None and self._kept and math.isfinite(self._focus_um):
                self._finish()
        finally:
            with suppress(OSError):  # of what is thrown away
                self._open.close()
            self._part.unlink(missing_ok=True)
