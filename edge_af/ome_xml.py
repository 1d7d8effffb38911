"""What an OME-TIFF says of its pages, by the OME 2016-06 schema."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from xml.etree.ElementTree import Element, SubElement, tostring

from edge_af.versions import version_of

_SCHEMA = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_UM = "µm"
_DIGITS = 6
"""Of z in um: below a picometre there is only rounding."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One page: the counted stage position, and when its exposure began."""

    place_um: float
    exposed_s: float


def ome_xml(
    pages: Sequence[Kept],
    focus_um: float,
    *,
    name: str,
    size_px: tuple[int, int],
    um_per_px: float,
    began: datetime,
    about: Mapping[str, str],
) -> str:
    """Return the XML, ASCII, for RGB pages of `size_px` (width, height) in the order given.

    One image for the first frame of every place, one for the second, and so on, each a z series
    by rising z. z is counted from `focus_um`. The map annotation keeps `focus_um`, all stage
    positions `stage_um` by page, and `about`.
    """
    root = Element(
        "OME",
        {
            "xmlns": _SCHEMA,
            "xmlns:xsi": _XSI,
            "xsi:schemaLocation": f"{_SCHEMA} {_SCHEMA}/ome.xsd",
            "Creator": f"edge-af {version_of('edge-af') or ''}".strip(),
        },
    )
    for number, series in enumerate(_series(pages)):
        image = SubElement(root, "Image", ID=f"Image:{number}", Name=_image_name(name, number))
        SubElement(image, "AcquisitionDate").text = began.strftime("%Y-%m-%dT%H:%M:%S")
        _pixels(image, number, pages, series, focus_um, size_px, um_per_px)
        SubElement(image, "AnnotationRef", ID="Annotation:0")
    notes = SubElement(
        SubElement(root, "StructuredAnnotations"),
        "MapAnnotation",
        ID="Annotation:0",
        Namespace="edge-af/stack",
    )
    values = SubElement(notes, "Value")
    positions = " ".join(repr(page.place_um) for page in pages)
    for key, value in {"focus_um": repr(focus_um), "stage_um": positions, **about}.items():
        SubElement(values, "M", K=key).text = value
    # In ASCII, for that is what a TIFF's description is by its standard.
    body: bytes = tostring(root, encoding="us-ascii", xml_declaration=False)
    return '<?xml version="1.0" encoding="UTF-8"?>' + body.decode()


def _image_name(name: str, number: int) -> str:
    return name if number == 0 else f"{name} frame {number + 1}"


def _series(pages: Sequence[Kept]) -> list[list[int]]:
    """Return the pages of each image, by rising position."""
    taken: dict[float, int] = defaultdict(int)
    series: dict[int, list[int]] = defaultdict(list)
    for number, page in enumerate(pages):
        series[taken[page.place_um]].append(number)
        taken[page.place_um] += 1
    return [sorted(series[turn], key=lambda number: pages[number].place_um) for turn in series]


def _pixels(
    image: Element,
    number: int,
    pages: Sequence[Kept],
    series: Sequence[int],
    focus_um: float,
    size_px: tuple[int, int],
    um_per_px: float,
) -> None:
    z_um = [round(pages[page].place_um - focus_um, _DIGITS) for page in series]
    lengths = {"X": um_per_px, "Y": um_per_px} | _even_spacing(z_um)
    pixels = SubElement(
        image,
        "Pixels",
        ID=f"Pixels:{number}",
        DimensionOrder="XYCZT",
        Type="uint8",
        Interleaved="true",
        SizeX=str(size_px[0]),
        SizeY=str(size_px[1]),
        SizeC="3",
        SizeZ=str(len(series)),
        SizeT="1",
    )
    for axis, length_um in lengths.items():
        pixels.set(f"PhysicalSize{axis}", repr(length_um))
        pixels.set(f"PhysicalSize{axis}Unit", _UM)
    SubElement(pixels, "Channel", ID=f"Channel:{number}:0", SamplesPerPixel="3")
    place = {"FirstC": "0", "FirstT": "0", "PlaneCount": "1"}
    for z, page in enumerate(series):
        SubElement(pixels, "TiffData", place | {"IFD": str(page), "FirstZ": str(z)})
    for z, page in enumerate(series):
        SubElement(
            pixels,
            "Plane",
            TheZ=str(z),
            TheC="0",
            TheT="0",
            DeltaT=repr(round(pages[page].exposed_s - pages[0].exposed_s, _DIGITS)),
            DeltaTUnit="s",
            PositionZ=repr(z_um[z]),
            PositionZUnit=_UM,
        )


def _even_spacing(z_um: Sequence[float]) -> dict[str, float]:
    gaps_um = [above - below for below, above in pairwise(z_um)]
    if not gaps_um or max(gaps_um) - min(gaps_um) > 10.0**-_DIGITS * len(z_um):
        return {}
    return {"Z": round((z_um[-1] - z_um[0]) / len(gaps_um), _DIGITS)}
