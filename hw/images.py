"""Reading image files as the RGB frames that a camera would have given."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hw.errors import HardwareError

# What Pillow logs or warns of is harmless, or is raised here as an error.
logging.getLogger("PIL").addHandler(logging.NullHandler())

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".tif", ".tiff")

_X_RESOLUTION, _RESOLUTION_UNIT = 282, 296  # TIFF 6.0, section 8
_UM_PER_RESOLUTION_UNIT = {2: 25_400.0, 3: 10_000.0}  # inch, centimetre
_COARSEST_UM_PER_PX = 20.0


class ImageError(HardwareError, ValueError):
    """An image file, or a set of them, that cannot be used; the message names it, and the cure."""


@dataclass(frozen=True, slots=True)
class ImageHeader:
    """What an image file says of itself; `um_per_px` is None if it says nothing credible."""

    width_px: int
    height_px: int
    um_per_px: float | None


def read_rgb(path: Path, page: int = 0) -> NDArray[np.uint8]:
    """Return one page of an image file as H x W x 3, uint8, RGB, read-only.

    Grey is repeated in the three colours and alpha is dropped, unblended. 16-bit samples are
    scaled by their full range, whatever part of it is used: the high byte is kept. Raises
    ImageError if the file is missing or damaged, or its samples have 32 bits.
    """
    with _opened(path, page) as image:
        # Pillow before 11 opens 16-bit grey PNG as "I"; that format has no 32-bit samples.
        if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
            grey = (np.asarray(image) >> 8).astype(np.uint8)
            pixels = np.repeat(grey[:, :, None], 3, axis=2)
        elif image.mode in ("I", "F"):
            raise ImageError(
                f"{path} has 32-bit samples, whose full scale is not known: save it with 8 or 16"
            )
        else:
            pixels = np.array(image.convert("RGB"))
    pixels.setflags(write=False)
    return pixels


def read_header(path: Path) -> ImageHeader:
    """Read the first page's size, and um per px from TIFF resolution tags, without its pixels.

    Resolutions coarser than 20 um/px are taken for a printer's or a screen's (72 dpi is
    353 um/px), not the specimen's. Raises ImageError as `read_rgb` does.
    """
    with _opened(path) as image:
        tags: dict[int, float] = dict(image.tag_v2) if hasattr(image, "tag_v2") else {}
        unit_um = _UM_PER_RESOLUTION_UNIT.get(int(tags.get(_RESOLUTION_UNIT, 0)))
        px_per_unit = float(tags.get(_X_RESOLUTION, 0))
        width_px, height_px = image.size
    um_per_px = unit_um / px_per_unit if unit_um and px_per_unit > 0 else None
    if um_per_px is not None and um_per_px > _COARSEST_UM_PER_PX:
        um_per_px = None
    return ImageHeader(width_px, height_px, um_per_px)


@contextmanager
def _opened(path: Path, page: int = 0) -> Iterator[Image.Image]:
    try:
        with warnings.catch_warnings(action="ignore"), Image.open(path) as image:
            image.seek(page)
            yield image
    except ImageError:
        raise
    except FileNotFoundError as error:
        raise ImageError(f"image {path} does not exist: check the path") from error
    except Exception as error:  # damage surfaces as nearly any exception of a decoder
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(
            f"image {path} cannot be read ({reason}): copy it again, or leave it out"
        ) from error
