"""Seamless random textures, the raw material of procedural specimens. All lengths in pixels."""

import numpy as np
from numpy.typing import NDArray

from hw.virtual.fourier import rfft2

Map = NDArray[np.float32]


def _frequencies(shape_px: tuple[int, int]) -> tuple[Map, Map]:
    fy = np.fft.fftfreq(shape_px[0]).astype(np.float32)[:, None]
    fx = np.fft.rfftfreq(shape_px[1]).astype(np.float32)[None, :]
    return fy, fx


def _filtered(rng: np.random.Generator, shape_px: tuple[int, int], gain: Map) -> Map:
    white = rng.standard_normal(shape_px, dtype=np.float32)
    spectrum = rfft2(white) * gain
    spectrum[0, 0] = 0
    noise = np.fft.irfft2(spectrum, s=shape_px)
    return np.asarray(noise / noise.std(), np.float32)


def smooth_noise(rng: np.random.Generator, shape_px: tuple[int, int], scale_px: float) -> Map:
    """Return unit-variance noise, white blurred by a Gaussian of standard deviation `scale_px`."""
    fy, fx = _frequencies(shape_px)
    return _filtered(rng, shape_px, np.exp(-2 * (np.pi * scale_px) ** 2 * (fy**2 + fx**2)))


def fractal_noise(
    rng: np.random.Generator, shape_px: tuple[int, int], slope: float, scale_px: float
) -> Map:
    """Return unit-variance noise whose amplitude falls as f^-slope beyond 1 / `scale_px`."""
    fy, fx = _frequencies(shape_px)
    return _filtered(rng, shape_px, (1 + (fy**2 + fx**2) * scale_px**2) ** np.float32(-slope / 2))


def fibre_noise(
    rng: np.random.Generator,
    shape_px: tuple[int, int],
    angle_rad: float,
    length_px: float,
    width_px: float,
) -> Map:
    """Return unit-variance noise drawn out along `angle_rad`."""
    fy, fx = _frequencies(shape_px)
    along = fx * np.cos(angle_rad) + fy * np.sin(angle_rad)
    across = -fx * np.sin(angle_rad) + fy * np.cos(angle_rad)
    gain = np.exp(-2 * np.pi**2 * ((along * length_px) ** 2 + (across * width_px) ** 2))
    return _filtered(rng, shape_px, gain.astype(np.float32))


def softened(values: Map, sigma_px: float) -> Map:
    """Return `values` blurred by a Gaussian, over the edges as if they went on."""
    fy, fx = _frequencies((values.shape[0], values.shape[1]))
    gain = np.exp(-2 * (np.pi * sigma_px) ** 2 * (fy**2 + fx**2))
    blurred = np.fft.irfft2(rfft2(values) * gain, s=values.shape)
    return np.maximum(0, blurred, dtype=np.float32)


def soft_step(values: Map, softness: float) -> Map:
    """Return 0 to 1 as `values` pass zero over about `softness`."""
    return np.asarray(0.5 + 0.5 * np.tanh(values / np.float32(softness)), np.float32)


def stamp(target: Map, patch: Map, centre_px: tuple[float, float]) -> None:
    """Lay `patch` over `target` where it is denser, wrapping round the edges."""
    top, left = (round(c - s / 2) for c, s in zip(centre_px, patch.shape, strict=True))
    rows = np.arange(top, top + patch.shape[0]) % target.shape[0]
    columns = np.arange(left, left + patch.shape[1]) % target.shape[1]
    where = np.ix_(rows, columns)
    target[where] = np.maximum(target[where], patch)


def ellipse_radius(
    semi_axes_px: tuple[float, float], angle_rad: float, wobble: tuple[float, float]
) -> Map:
    """Return the normalised radius (1 on the outline) of a wobbly ellipse, as a patch.

    `wobble` is the relative amplitude and the phase of a threefold deformation.
    """
    half = int(np.ceil(max(semi_axes_px) * (1.3 + wobble[0]))) + 1
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(np.float32)
    u = (x * np.cos(angle_rad) + y * np.sin(angle_rad)) / semi_axes_px[0]
    v = (-x * np.sin(angle_rad) + y * np.cos(angle_rad)) / semi_axes_px[1]
    outline = 1 + wobble[0] * np.cos(3 * np.arctan2(v, u) + wobble[1])
    return np.asarray(np.hypot(u, v) / outline, np.float32)
