"""NumPy's forward transforms in single precision.

With its usual norm NumPy multiplies by a whole number, which promotes single to double: three times
slower. Asked to divide by the size it does not; the scale is put right afterwards.
"""

import numpy as np
from numpy.typing import NDArray


def rfft2(picture: NDArray[np.float32]) -> NDArray[np.complex64]:
    """Return the transform of real pictures ... x H x W over the last two axes."""
    spectrum = np.fft.rfft2(picture, norm="forward")
    spectrum *= np.float32(picture.shape[-2] * picture.shape[-1])
    return np.asarray(spectrum, np.complex64)


def rfft(lines: NDArray[np.float32]) -> NDArray[np.complex64]:
    """Return the transform of real lines, along the last axis."""
    spectrum = np.fft.rfft(lines, norm="forward")
    spectrum *= np.float32(lines.shape[-1])
    return np.asarray(spectrum, np.complex64)


def fft(lines: NDArray[np.complex64], axis: int) -> NDArray[np.complex64]:
    """Return the transform along `axis`."""
    spectrum = np.fft.fft(lines, axis=axis, norm="forward")
    spectrum *= np.float32(lines.shape[axis])
    return np.asarray(spectrum, np.complex64)
