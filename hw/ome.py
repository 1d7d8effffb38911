"""Where the pages of an OME-TIFF lie in z, by the OME 2016-06 schema."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import tifffile

from hw.images import ImageError

# What tifffile would log about a damaged file is raised here as an error.
logging.getLogger("tifffile").addHandler(logging.NullHandler())

_UM_PER_UNIT = {"nm": 1e-3, "um": 1.0, "µm": 1.0, "μm": 1.0, "mm": 1e3, "cm": 1e4, "m": 1e6}
"""Keyed by the micro sign (U+00B5) and by the Greek letter: both are in use."""


@dataclass(frozen=True, slots=True)
class OmePlane:
    """One page of a TIFF file, and its z."""

    z_um: float
    path: Path
    page: int


@dataclass(frozen=True, slots=True)
class OmeImage:
    """One z series; `um_per_px` is None if the file does not say."""

    name: str
    planes: tuple[OmePlane, ...]
    um_per_px: float | None


def read_ome(path: Path) -> list[OmeImage]:
    """Read the z series of an OME-TIFF, without their pixels.

    z is the planes' PositionZ or else counts up from 0 in steps of PhysicalSizeZ; um per px is
    PhysicalSizeX. A length without a unit is taken as um, one in a unit that is no length (such
    as "reference frame") as not given. Raises ImageError for a TIFF that is damaged, says no z,
    or has several channels or times.
    """
    try:
        with tifffile.TiffFile(path) as tiff:
            if not tiff.is_ome:
                raise ImageError(
                    f"{path} is a TIFF without OME metadata, so the z of its pages is not known: "
                    "save it as OME-TIFF, or one file a slice with a CSV (file,z_um)"
                )
            elements = ElementTree.fromstring(tiff.ome_metadata).findall("{*}Image")
            names = [element.get("Name", "") for element in elements]
            if len(set(names)) < len(names) or not all(names):
                names = [element.get("ID", "") for element in elements]
            series = list(tiff.series)
            if not elements or len(series) != len(elements):
                raise ImageError(
                    f"{path} describes {len(elements)} images but holds {len(series)}: "
                    "save it again as one complete OME-TIFF"
                )
            return [
                _image(path, name, element, pages)
                for name, element, pages in zip(names, elements, series, strict=True)
            ]
    except ImageError:
        raise
    except Exception as error:  # damage surfaces as nearly any exception of the parsers
        reason = " ".join(str(error).split()) or type(error).__name__
        raise ImageError(
            f"{path} cannot be read as OME-TIFF ({reason}): copy or save it again"
        ) from error


def _image(path: Path, name: str, element: ElementTree.Element, series: Any) -> OmeImage:
    pixels = element.find("{*}Pixels")
    pages = list(series.pages)
    if pixels is None or series.axes.replace("S", "") not in ("YX", "ZYX") or None in pages:
        raise ImageError(
            f"image {name!r} of {path} has axes {series.axes}: a focal stack needs one complete "
            "page a slice (Z, Y, X and RGB samples), without channels or times"
        )
    z_um = _z_um(pixels, len(pages))
    if z_um is None:
        raise ImageError(
            f"image {name!r} of {path} states no z in a unit of length: it needs PositionZ on "
            "every plane, or PhysicalSizeZ"
        )
    um_per_px = length_um(pixels, "PhysicalSizeX")
    planes = tuple(
        OmePlane(z, Path(page.parent.filehandle.path), int(page.index))
        for z, page in zip(z_um, pages, strict=True)
    )
    return OmeImage(name, planes, um_per_px if um_per_px and um_per_px > 0 else None)


def _z_um(pixels: ElementTree.Element, count: int) -> Sequence[float] | None:
    stated = {
        int(plane.get("TheZ", "-1")): length_um(plane, "PositionZ")
        for plane in pixels.findall("{*}Plane")
    }
    positions = [z for z in map(stated.get, range(count)) if z is not None]
    if len(positions) == count:
        return positions
    spacing_um = length_um(pixels, "PhysicalSizeZ")
    return [index * spacing_um for index in range(count)] if spacing_um else None


def length_um(element: ElementTree.Element, name: str) -> float | None:
    """Return an attribute of an element that is a length; None if it is not given as one."""
    um_per_unit = _UM_PER_UNIT.get(element.get(f"{name}Unit", "µm"))
    length = float(element.get(name, "nan"))
    return length * um_per_unit if um_per_unit and math.isfinite(length) else None
