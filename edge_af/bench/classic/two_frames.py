"""Depth from defocus: what two frames a known way apart say by their difference in blur."""

import math

import numpy as np
from numpy.typing import NDArray

from edge_af.bench.classic.curve import SharpnessCurve
from edge_af.bench.classic.rig import Rig
from edge_af.routines.ports import Attempt
from hw.camera import Frame

_APART = 4.0
_NEAR = 1.5
"""In depths of field: how far the two frames are apart, and from where on a fit takes over."""

_MOST_PAIRS = 4
_LOWEST_PER_UM = 0.008
"""Slower waves lie in the picture's shading."""

_BLUR = 0.3
"""Waves are compared up to where a point's disc of blur spans this share of one: the first zero of
its transform lies at 0.6."""

_COARSE_UM = 12.0
"""What is taken for the defocus before anything is known of it."""


def two_frame_difference(rig: Rig) -> Attempt:
    """Compare the spectra of two frames, one above the other, for distance and side of the focus.

    Both show the same specimen, so that their ratio is that of their blurs alone (Pentland, A new
    sense for depth of field, IEEE PAMI 9, 1987, 523). Repeated from where it leads, until near;
    there three frames and a parabola find the top.
    """
    start_um, desk, stage = rig.stage.position_um, rig.desk, rig.stage
    depth_um = desk.settings.depth_of_field_um
    apart_um = _APART * depth_um
    expected_um = _COARSE_UM
    rig.engage()
    for _ in range(_MOST_PAIRS):
        here_um = stage.position_um
        lower = desk.view.frame()
        stage.move_to_um(stage.reachable.clip(here_um + apart_um))
        moved_um = stage.position_um - here_um
        upper = desk.view.frame()
        defocus_um = pair_defocus_um(
            lower, upper, moved_um, rig.numerical_aperture, max(expected_um, apart_um)
        )
        if defocus_um is None:
            return desk.give_up(start_um, "the two frames hold nothing to compare")
        stage.move_to_um(rig.stage.reachable.clip(here_um - defocus_um))
        if abs(defocus_um) <= apart_um:
            break
        expected_um = max(abs(defocus_um) / 2, apart_um)
    return _topped(rig, depth_um)


def _topped(rig: Rig, depth_um: float) -> Attempt:
    curve = SharpnessCurve(rig.desk)
    curve.at(rig.stage.position_um)
    for _ in range(6):
        best_um = curve.best_um
        if best_um == min(curve.seen):
            curve.at(best_um - _NEAR * depth_um)
        elif best_um == max(curve.seen):
            curve.at(best_um + _NEAR * depth_um)
        if curve.best_um not in (min(curve.seen), max(curve.seen)):
            break
    rig.stage.move_to_um(curve.top_um())
    return Attempt(True)


def pair_defocus_um(
    lower: Frame,
    upper: Frame,
    apart_um: float,
    numerical_aperture: float,
    farthest_um: float,
) -> float | None:
    """Return the defocus of `lower`, `apart_um` below `upper`; None if no wave is in both.

    A point z out of focus is a disc of radius R = |z| tan a, with sin a the aperture; as long as it
    is small against a wave of frequency f, its transform is 1 - (pi R f)^2 / 2, or near enough
    exp(-(pi R f)^2 / 2). So the log ratio of the two powers is
    (pi f tan a)^2 (z_upper^2 - z_lower^2), with z_upper = z_lower + apart_um. `farthest_um` is how
    far from focus the frames may be: it bounds the waves that are compared.
    """
    slope = numerical_aperture / math.sqrt(1 - numerical_aperture**2)
    highest_per_um = _BLUR / (farthest_um * slope)
    f_per_um, power_lower = _power(lower)
    _, power_upper = _power(upper)
    used = (f_per_um >= _LOWEST_PER_UM) & (f_per_um <= max(highest_per_um, 2 * _LOWEST_PER_UM))
    weight = (power_lower * power_upper)[used]
    if weight.size == 0 or not weight.sum() > 0:
        return None
    x = (math.pi * slope * f_per_um[used]) ** 2
    y = np.log(power_lower[used] / power_upper[used])
    root = np.sqrt(weight)
    squares_um2 = float((root * x * y).sum() / (root * x * x).sum())
    return (squares_um2 / apart_um - apart_um) / 2


def _power(frame: Frame) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return spatial frequencies in 1/um and the power of the green channel at them."""
    green = frame.pixels[:, :, 1].astype(np.float64)
    height_px, width_px = green.shape
    taper = np.hanning(height_px)[:, None] * np.hanning(width_px)[None, :]
    level = float((green * taper).sum() / taper.sum())
    transform = np.fft.rfft2((green / level - 1) * taper)
    fy = np.fft.fftfreq(height_px, frame.um_per_px)[:, None]
    fx = np.fft.rfftfreq(width_px, frame.um_per_px)[None, :]
    return np.hypot(fy, fx), np.abs(transform) ** 2 + 1e-12
