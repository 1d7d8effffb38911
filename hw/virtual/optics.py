"""Scalar wave optics of an incoherent, aberrated objective: pupil -> PSF -> OTF.

The pupil phase is that of the reference microscope,
2 pi [ (z + offset) / lambda * sqrt(1 - (lambda f)^2) + W(rho, theta) ],
with W in waves of each colour (Goodman, Introduction to Fourier Optics, ch. 6). Positive z is
defocus as defined for the stage: stage position - focus position.
"""

import math
from dataclasses import dataclass, field, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hw.virtual.fourier import fft, rfft

KERNEL_PX = 128
"""Side of the PSF window in camera pixels. At 0.35 um/px it reaches +-22 um, which holds the blur
of NA 0.75 up to 19 um out of focus."""


@dataclass(frozen=True, slots=True)
class Aberrations:
    """Peak coefficients in waves, and the directions of coma and astigmatism."""

    spherical_waves: float = 0.12
    coma_waves: float = 0.05
    coma_angle_rad: float = 0.0
    astigmatism_waves: float = 0.0
    astigmatism_angle_rad: float = 0.0

    def waves(self, rho: NDArray[np.float64], theta: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the wavefront error in waves at normalised pupil radius and angle."""
        spherical = self.spherical_waves * (6 * rho**4 - 6 * rho**2 + 1)
        coma = self.coma_waves * (3 * rho**3 - 2 * rho) * np.cos(theta - self.coma_angle_rad)
        astigmatism = (
            self.astigmatism_waves * rho**2 * np.cos(2 * (theta - self.astigmatism_angle_rad))
        )
        return spherical + coma + astigmatism


@dataclass(frozen=True, slots=True)
class Optics:
    """An objective and the pixel pitch behind it; colours are red, green, blue."""

    numerical_aperture: float = 0.75
    magnification: float = 20.0
    um_per_px: float = 0.35
    wavelengths_um: tuple[float, ...] = (0.62, 0.54, 0.46)
    focus_offsets_um: tuple[float, ...] = (0.7, 0.0, -0.9)
    aberrations: Aberrations = field(default_factory=Aberrations)

    def __post_init__(self) -> None:
        if not 0 < self.numerical_aperture < 1:
            raise ValueError(
                f"numerical aperture in air must be between 0 and 1, got {self.numerical_aperture}"
            )
        if not 0 < self.um_per_px < float("inf"):
            raise ValueError(f"um_per_px must be positive, got {self.um_per_px} um/px")

    def in_another_field(self, rng: np.random.Generator) -> "Optics":
        """Return the same objective as another field sees it: aberrations vary over a specimen."""
        base = self.aberrations
        varied = replace(
            base,
            spherical_waves=base.spherical_waves + rng.normal(0, 0.02),
            coma_waves=base.coma_waves + rng.normal(0, 0.02),
            astigmatism_waves=base.astigmatism_waves + rng.normal(0, 0.03),
            astigmatism_angle_rad=rng.uniform(0, np.pi),
        )
        return replace(self, aberrations=varied)


@lru_cache(maxsize=16)
def _pupil(
    optics: Optics, colour: int, oversample: int
) -> tuple[NDArray[np.intp], NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Flat indices of the open pupil on the PSF's frequency grid; there: amplitude, obliquity
    factor and wavefront error in waves."""
    size_px = KERNEL_PX * oversample
    wavelength_um = optics.wavelengths_um[colour]
    f_per_um = np.fft.fftfreq(size_px, optics.um_per_px / oversample)
    radius_per_um = np.hypot(f_per_um[:, None], f_per_um[None, :])
    edge_per_um = optics.numerical_aperture / wavelength_um
    # A soft edge one bin wide: a hard one makes the disc's area jump with the grid.
    amplitude = np.clip((edge_per_um - radius_per_um) / f_per_um[1] + 0.5, 0.0, 1.0)
    open_at = np.flatnonzero(amplitude)
    radius_per_um = radius_per_um.ravel()[open_at]
    theta = np.arctan2(f_per_um[open_at // size_px], f_per_um[open_at % size_px])
    obliquity = np.sqrt(np.maximum(0.0, 1 - (wavelength_um * radius_per_um) ** 2))
    error_waves = optics.aberrations.waves(radius_per_um / edge_per_um, theta)
    return (
        open_at,
        amplitude.ravel()[open_at].astype(np.float32),
        obliquity.astype(np.float32),
        error_waves.astype(np.float32),
    )


def pupil_otf(
    optics: Optics, colour: int, defocus_um: float, oversample: int = 2
) -> NDArray[np.complex64]:
    """Return the objective's OTF, without the pixel, as its pupil's autocorrelation.

    Square array of KERNEL_PX * oversample in FFT order, spacing 1 / (KERNEL_PX * um_per_px)
    cycles/um, value 1 at zero frequency. `oversample` divides the pixel pitch: 2 keeps the
    band that the camera sees free of aliasing up to um_per_px = 0.75 wavelength / NA.
    """
    every = np.arange(KERNEL_PX * oversample)
    return _otf_at(every, _intensity(optics, colour, defocus_um, oversample))


def _intensity(
    optics: Optics, colour: int, defocus_um: float, oversample: int
) -> NDArray[np.float32]:
    """Return the objective's PSF, unscaled, on the oversampled grid in FFT order."""
    open_at, amplitude, obliquity, error_waves = _pupil(optics, colour, oversample)
    defocus_waves = (defocus_um + optics.focus_offsets_um[colour]) / optics.wavelengths_um[colour]
    phase = np.float32(2 * np.pi) * (np.float32(defocus_waves) * obliquity + error_waves)
    wave = np.empty(len(open_at), np.complex64)
    wave.real = amplitude * np.cos(phase)
    wave.imag = amplitude * np.sin(phase)
    pupil = np.zeros((KERNEL_PX * oversample, KERNEL_PX * oversample), np.complex64)
    pupil.reshape(-1)[open_at] = wave
    light = np.fft.ifft2(pupil)
    return np.asarray(light.real**2 + light.imag**2, np.float32)


def _otf_at(kept: NDArray[np.intp], intensity: NDArray[np.float32]) -> NDArray[np.complex64]:
    """Return rows and columns `kept` of the PSF's fft2, scaled to 1 at zero (the first kept)."""
    along_x = fft(intensity.astype(np.complex64), axis=1)[:, kept]
    otf = fft(along_x, axis=0)[kept]
    return np.asarray(otf / otf[0, 0], np.complex64)


def kernel(optics: Optics, colour: int, defocus_um: float) -> NDArray[np.float32]:
    """Return the PSF as the camera samples it, pixel included.

    KERNEL_PX x KERNEL_PX, float32, sum 1, centred on element [0, 0] (FFT order).
    """
    half = KERNEL_PX // 2
    # Finer for coarse pixels: the OTF reaches 2 NA / lambda, and must not fold into their band.
    reach_per_px = 2 * optics.numerical_aperture * optics.um_per_px / optics.wavelengths_um[colour]
    oversample = max(2, math.ceil(reach_per_px + 0.5))
    otf = _otf_at(np.r_[0:half, -half:0], _intensity(optics, colour, defocus_um, oversample))
    pixel = np.sinc(np.fft.fftfreq(KERNEL_PX)).astype(np.float32)
    return np.ascontiguousarray(
        np.fft.ifft2(otf * pixel[:, None] * pixel[None, :]).real, np.float32
    )


class OtfBank:
    """OTFs of one optical system on one frame size, cached on a lattice of defocus values."""

    LATTICE_UM = 0.05
    """Far below the depth of field (1 um at NA 0.75), so that a cached OTF is as good."""

    def __init__(
        self, optics: Optics, shape_px: tuple[int, int], cached: int = 96, kernels: int = 1024
    ) -> None:
        """`shape_px` is height, width; `cached` OTFs are kept, about 1.2 MB each at 640 x 480.

        So are `kernels`, which they are made of, 64 kB each; a sweep over 15 um in all colours
        meets 900. Raises ValueError if a PSF does not fit into the frame.
        """
        if min(shape_px) < KERNEL_PX:
            raise ValueError(
                f"a frame of {shape_px[1]} x {shape_px[0]} px is smaller than a point's image, "
                f"{KERNEL_PX} px: use a larger one"
            )
        self.optics = optics
        self.shape_px = shape_px

        # Functions, not methods: a cache that held `self` would keep itself alive in a cycle.
        @lru_cache(kernels)
        def kernel_at(colour: int, index: int) -> NDArray[np.float32]:
            return kernel(optics, colour, index * OtfBank.LATTICE_UM)

        @lru_cache(cached)
        def otf_at(colour: int, index: int) -> NDArray[np.complex64]:
            return kernel_to_otf(kernel_at(colour, index), shape_px)

        self._otf_at = otf_at

    def otf(self, colour: int, defocus_um: float) -> NDArray[np.complex64]:
        """Return the half-plane OTF (H x W/2+1, complex64) that multiplies an rfft2."""
        return self._otf_at(colour, round(defocus_um / self.LATTICE_UM))


@lru_cache(maxsize=1)
def shared_bank(optics: Optics, shape_px: tuple[int, int]) -> OtfBank:
    """Return a bank, the latest one again if it was for the same: for one field they share it."""
    return OtfBank(optics, shape_px)


def kernel_to_otf(small: NDArray[np.float32], shape_px: tuple[int, int]) -> NDArray[np.complex64]:
    """Return the rfft2 of a centred kernel laid into a frame of `shape_px`."""
    height_px, width_px = shape_px
    half = KERNEL_PX // 2
    rows = np.zeros((KERNEL_PX, width_px), np.float32)
    rows[:, :half] = small[:, :half]
    rows[:, -half:] = small[:, half:]
    along_x = rfft(rows)
    padded = np.zeros((height_px, along_x.shape[1]), np.complex64)
    padded[:half] = along_x[:half]
    padded[-half:] = along_x[half:]
    return fft(padded, axis=0)
