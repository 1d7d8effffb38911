"""What a specimen looks like through an objective: one transmission picture per defocus."""

import numpy as np
from numpy.typing import NDArray

from hw.virtual.optics import OtfBank
from hw.virtual.specimen import Specimen


def transmission(
    specimen: Specimen, bank: OtfBank, defocus_um: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return 3 x H x W, float32: the mean over `defocus_um` (one value, or several in motion).

    Each plane is blurred by the OTF of its own defocus, z - depth: the planes' absorptions add.
    Not clipped: a sharp edge may ring a little past 0 or 1.
    """
    height_px, width_px = specimen.shape_px
    picture = np.empty((3, height_px, width_px), np.float32)
    for colour in range(3):
        spectrum = np.zeros((height_px, width_px // 2 + 1), np.complex64)
        for plane, depth_um in enumerate(specimen.planes_um):
            otf = bank.otf(colour, float(defocus_um[0] - depth_um))
            for other_um in defocus_um[1:]:
                otf = otf + bank.otf(colour, float(other_um - depth_um))
            spectrum += specimen.spectra[plane, colour] * otf
        spectrum *= np.float32(-1 / len(defocus_um))
        picture[colour] = np.fft.irfft2(spectrum, s=(height_px, width_px))
    picture += 1
    return picture
