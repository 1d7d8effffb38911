import numpy as np
import pytest

from hw.virtual.fourier import fft, rfft, rfft2

RNG = np.random.default_rng(1)
REAL = RNG.normal(size=(3, 40, 56)).astype(np.float32)
COMPLEX = (RNG.normal(size=(40, 56)) + 1j * RNG.normal(size=(40, 56))).astype(np.complex64)


@pytest.mark.parametrize(
    ("single", "double"),
    [
        (lambda: rfft2(REAL), lambda: np.fft.rfft2(REAL.astype(np.float64))),
        (lambda: rfft(REAL), lambda: np.fft.rfft(REAL.astype(np.float64))),
        (lambda: fft(COMPLEX, 0), lambda: np.fft.fft(COMPLEX.astype(np.complex128), axis=0)),
        (lambda: fft(COMPLEX, 1), lambda: np.fft.fft(COMPLEX.astype(np.complex128), axis=1)),
    ],
)
def test_single_precision_gives_what_double_does(single, double):
    spectrum = single()
    assert spectrum.dtype == np.complex64
    assert np.abs(spectrum - double()).max() < 1e-6 * np.abs(double()).max()
