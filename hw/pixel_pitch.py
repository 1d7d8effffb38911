"""From the pixels of a sensor to um in the specimen."""

from typing import NamedTuple

_OBLONG = 0.005
"""Width and height may disagree in scale by so much: hardware rounds crops to a few pixels."""


class Size(NamedTuple):
    """Width and height, in px."""

    width: int
    height: int


class Crop(NamedTuple):
    """Part of a sensor, in its native px, whatever its binning: left, top, width, height."""

    x: int
    y: int
    width: int
    height: int


def centred_crop(field: Crop, frame: Size) -> Crop:
    """Return the largest part of `field`, about its centre, with the shape of `frame`."""
    width = min(field.width, round(field.height * frame.width / frame.height))
    height = min(field.height, round(field.width * frame.height / frame.width))
    left = field.x + (field.width - width) // 2
    return Crop(left, field.y + (field.height - height) // 2, width, height)


def um_per_px(
    pitch_um: tuple[float, float], crop: Crop, frame: Size, magnification: float
) -> float:
    """Return the size of a pixel of the frame in the specimen plane, in um.

    `pitch_um` is from one native pixel to the next, across and down. A frame of N px shows
    `crop.width` native ones, however they were binned or scaled on the way, so the pitch behind a
    pixel of the frame is pitch * crop / N, and `magnification` times smaller in the specimen.
    Raises ValueError if pixels would be oblong by more than 0.5 %.
    """
    across_um = pitch_um[0] * crop.width / frame.width / magnification
    down_um = pitch_um[1] * crop.height / frame.height / magnification
    if abs(across_um - down_um) > _OBLONG * down_um:
        raise ValueError(
            f"a frame of {frame.width} x {frame.height} px from {crop.width} x {crop.height} px of "
            f"the sensor has pixels of {across_um:.4g} x {down_um:.4g} um: give crop and frame one "
            "shape"
        )
    return (across_um + down_um) / 2


def enlargement(field: Crop, mode: Size, crop: Crop, frame: Size) -> float:
    """Return how many pixels of the frame come from one that the sensor sends: above 1 is empty.

    The sensor sends its `field` as `mode` pixels: fewer, if it bins.
    """
    binning = field.width / mode.width
    sent = crop.width / binning
    return frame.width / sent
