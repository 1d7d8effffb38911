"""Pictures taken in focus elsewhere (SVS, OME-TIFF, PNG, ...), to render specimens from."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from xml.etree import ElementTree

import tifffile

from edge_af.errors import UserError
from hw.images import read_header
from hw.ome import length_um

_MPP = re.compile(r"\bMPP\s*=\s*([0-9.]+)")
"""Micrometres per pixel, in the description of Aperio's SVS."""


@dataclass(frozen=True, slots=True)
class Texture:
    """One slide: its picture, the size of its pixels, and a name that goes with its bytes."""

    path: Path
    um_per_px: float
    name: str


def read_texture(path: Path, um_per_px: float | None = None) -> Texture:
    """Return a picture as a texture; `um_per_px` overrules what the file says.

    Raises ImageError if it is no picture, and UserError if its pixel size is not known.
    """
    header = read_header(path)
    found = um_per_px or _stated_um_per_px(path) or header.um_per_px
    if not found:
        raise UserError(f"{path} does not state its um per px: give it with --texture-um-per-px")
    digest = sha256(path.read_bytes()).hexdigest()[:8]
    return Texture(path.resolve(), found, f"{path.stem}-{digest}")


def digest_of(textures: Iterable[Texture]) -> str:
    """Return what tells a choice of textures from another."""
    told = " ".join(f"{one.name} {one.um_per_px:g}" for one in textures)
    return sha256(told.encode()).hexdigest()[:8]


def _stated_um_per_px(path: Path) -> float | None:
    if path.suffix.lower() not in (".svs", ".tif", ".tiff"):
        return None
    try:
        with tifffile.TiffFile(path) as file:
            if file.is_ome:
                pixels = ElementTree.fromstring(file.ome_metadata).find(".//{*}Pixels")
                return None if pixels is None else length_um(pixels, "PhysicalSizeX")
            stated = _MPP.search(file.pages[0].description)
            return float(stated[1]) if stated else None
    except (ValueError, ElementTree.ParseError, tifffile.TiffFileError):
        return None
