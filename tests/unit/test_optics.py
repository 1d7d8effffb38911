"""The optics against closed forms: Goodman, Introduction to Fourier Optics, ch. 5 to 7, and
Stokseth, J. Opt. Soc. Am. 59 (1969), for defocus."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.virtual.imaging import transmission
from hw.virtual.optics import (
    KERNEL_PX,
    Aberrations,
    Optics,
    OtfBank,
    kernel,
    kernel_to_otf,
    pupil_otf,
)
from hw.virtual.specimen import Specimen

NO_ABERRATIONS = Aberrations(spherical_waves=0, coma_waves=0)
PERFECT = Optics(focus_offsets_um=(0, 0, 0), aberrations=NO_ABERRATIONS)
LOW_NA = replace(PERFECT, numerical_aperture=0.1, um_per_px=2.0)
GREEN = 1
COLOURS = pytest.mark.parametrize("colour", [0, 1, 2])


def radius_per_um(optics, size_px):
    f_per_um = np.fft.fftfreq(size_px, 1 / size_px) / (KERNEL_PX * optics.um_per_px)
    return np.hypot(f_per_um[:, None], f_per_um[None, :])


def textbook(optics, colour, f_per_um):
    """The diffraction-limited OTF of a circular pupil (Goodman eq. 6-32)."""
    cutoff_per_um = 2 * optics.numerical_aperture / optics.wavelengths_um[colour]
    nu = np.clip(f_per_um / cutoff_per_um, 0, 1)
    return 2 / np.pi * (np.arccos(nu) - nu * np.sqrt(1 - nu**2))


def paraxial(optics, colour, f_per_um, defocus_um):
    """The OTF of a defocused circular pupil, by quadrature of its sheared overlap."""
    wavelength_um, na = optics.wavelengths_um[colour], optics.numerical_aperture
    w20_waves = defocus_um * na**2 / (2 * wavelength_um)
    shear = f_per_um * wavelength_um / na  # in pupil radii
    if shear >= 2:
        return 0.0
    steps = 4000
    reach = 1 - shear / 2
    x = (np.arange(steps) + 0.5) / steps * reach
    chord = np.sqrt(1 - (x + shear / 2) ** 2)
    return 4 / np.pi * reach * np.mean(chord * np.cos(4 * np.pi * w20_waves * shear * x))


def strehl(optics, colour, defocus_um=0.0):
    """The height of the PSF's centre over that of a perfect system of unit energy."""
    otf = pupil_otf(optics, colour, defocus_um, oversample=4)
    bin_per_um = 1 / (KERNEL_PX * optics.um_per_px)
    pupil_area = np.pi * (optics.numerical_aperture / optics.wavelengths_um[colour]) ** 2
    return float(otf.sum().real * bin_per_um**2 / pupil_area)


def first_null_per_um(curve, bin_per_um):
    below = int(np.argmax(curve < 0))
    assert below > 0
    above = below - 1
    return bin_per_um * (above + curve[above] / (curve[above] - curve[below]))


def random_specimen(shape_px=(128, 144), seed=2):
    absorbed = np.random.default_rng(seed).uniform(0, 0.8, (1, 3, *shape_px)).astype(np.float32)
    return Specimen(np.zeros(1), absorbed, "noise")


# In focus


@COLOURS
def test_in_focus_it_is_the_textbook_curve_in_every_direction(colour):
    otf = pupil_otf(PERFECT, colour, 0.0, oversample=4)
    expected = textbook(PERFECT, colour, radius_per_um(PERFECT, 4 * KERNEL_PX))
    assert np.abs(otf - expected).max() < 0.01
    assert otf[0, 0] == pytest.approx(1, abs=1e-6)


@COLOURS
def test_in_the_cameras_band_half_the_pixel_pitch_is_enough(colour):
    size_px = 2 * KERNEL_PX
    seen = np.r_[0 : KERNEL_PX // 2, size_px - KERNEL_PX // 2 : size_px]
    otf = pupil_otf(PERFECT, colour, 0.0)[np.ix_(seen, seen)]
    expected = textbook(PERFECT, colour, radius_per_um(PERFECT, KERNEL_PX))
    assert np.abs(otf - expected).max() < 0.01


@COLOURS
@pytest.mark.parametrize("numerical_aperture", [0.3, 0.5, 0.75])
def test_the_cutoff_is_twice_na_over_wavelength(colour, numerical_aperture):
    optics = replace(PERFECT, numerical_aperture=numerical_aperture)
    cutoff_per_um = 2 * numerical_aperture / optics.wavelengths_um[colour]
    f_per_um = radius_per_um(optics, 4 * KERNEL_PX)
    otf = np.abs(pupil_otf(optics, colour, 0.0, oversample=4))
    bin_per_um = f_per_um[0, 1]
    assert otf[f_per_um > cutoff_per_um + bin_per_um].max() < 1e-5
    just_below = (f_per_um > 0.95 * cutoff_per_um) & (f_per_um < 0.96 * cutoff_per_um)
    assert otf[just_below].min() > 0.005  # the textbook says 0.010 to 0.013


@COLOURS
def test_the_kernel_adds_the_pixels_own_blur(colour):
    seen = np.fft.fft2(kernel(PERFECT, colour, 0.0))[0, : KERNEL_PX // 2]
    per_px = np.arange(KERNEL_PX // 2) / KERNEL_PX
    expected = textbook(PERFECT, colour, per_px / PERFECT.um_per_px) * np.sinc(per_px)
    assert np.abs(seen - expected).max() < 0.01


# Energy


@COLOURS
@pytest.mark.parametrize("defocus_um", [-12.5, -1.0, 0.0, 0.3, 8.0])
def test_blur_takes_no_light(colour, defocus_um):
    assert kernel(Optics(), colour, defocus_um).sum() == pytest.approx(1, abs=1e-5)


def test_defocus_keeps_the_mean_of_a_picture():
    specimen = random_specimen()
    bank = OtfBank(Optics(), specimen.shape_px)
    means = [
        transmission(specimen, bank, np.array([z_um])).mean(axis=(1, 2))
        for z_um in (-9.0, 0.0, 4.0)
    ]
    assert np.ptp(means, axis=0).max() < 1e-5


@COLOURS
def test_the_psf_of_unit_energy_is_as_high_as_its_pupil_is_large(colour):
    assert strehl(PERFECT, colour) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    ("name", "rms_per_peak"),
    [("spherical_waves", 5**-0.5), ("coma_waves", 8**-0.5), ("astigmatism_waves", 6**-0.5)],
)
@pytest.mark.parametrize("waves", [0.05, 0.12])
def test_small_aberrations_cost_what_marechal_says(name, rms_per_peak, waves):
    optics = replace(LOW_NA, aberrations=replace(NO_ABERRATIONS, **{name: waves}))
    expected = np.exp(-((2 * np.pi * waves * rms_per_peak) ** 2))
    assert strehl(optics, GREEN) / strehl(LOW_NA, GREEN) == pytest.approx(expected, abs=0.005)


# Out of focus


@pytest.mark.parametrize("defocus_um", [30.0, 108.0, -108.0, 250.0])
def test_a_low_aperture_defocuses_as_the_paraxial_integral(defocus_um):
    otf = pupil_otf(LOW_NA, GREEN, defocus_um)
    bin_per_um = 1 / (KERNEL_PX * LOW_NA.um_per_px)
    expected = [paraxial(LOW_NA, GREEN, k * bin_per_um, defocus_um) for k in range(KERNEL_PX)]
    assert np.abs(otf[0, :KERNEL_PX] - expected).max() < 0.01
    assert np.abs(otf[:KERNEL_PX, 0] - expected).max() < 0.01


def test_the_axis_first_goes_dark_at_two_wavelengths_over_na_squared():
    dark_um = 2 * LOW_NA.wavelengths_um[GREEN] / LOW_NA.numerical_aperture**2
    z_um = np.linspace(0.8, 1.2, 41) * dark_um
    heights = [strehl(LOW_NA, GREEN, float(z)) for z in z_um]
    assert z_um[np.argmin(heights)] == pytest.approx(dark_um, rel=0.01)
    assert min(heights) < 1e-3


@pytest.mark.parametrize("defocus_um", [200.0, 300.0, 400.0])
def test_the_first_null_of_a_large_defocus_is_where_geometry_puts_it(defocus_um):
    bin_per_um = 1 / (KERNEL_PX * LOW_NA.um_per_px)
    curve = pupil_otf(LOW_NA, GREEN, defocus_um)[0, : KERNEL_PX // 2].real
    null_per_um = first_null_per_um(curve, bin_per_um)
    # 2 J1(x) / x is first zero at x = 3.8317; Stokseth: x = a (1 - s / 2), s = 2 f / cutoff.
    na, wavelength_um = LOW_NA.numerical_aperture, LOW_NA.wavelengths_um[GREEN]
    s = null_per_um * wavelength_um / na
    geometric_per_um = 3.8317 / (2 * np.pi * defocus_um * na * (1 - s / 2))  # a = 2 pi f z NA
    assert null_per_um == pytest.approx(geometric_per_um, rel=0.03)
    exact = [paraxial(LOW_NA, GREEN, k * bin_per_um, defocus_um) for k in range(KERNEL_PX // 2)]
    assert null_per_um == pytest.approx(first_null_per_um(np.array(exact), bin_per_um), rel=0.01)


def test_a_high_aperture_blurs_to_the_cone_of_its_marginal_rays():
    # An evenly lit pupil sends the share (sin a / NA)^2 of the light within the angle a, and a ray
    # at a ends z tan(a) from the axis.
    z_um, na = 10.0, PERFECT.numerical_aperture
    at_um = np.fft.fftfreq(KERNEL_PX, 1 / KERNEL_PX) * PERFECT.um_per_px
    radius_um = np.hypot(at_um[:, None], at_um[None, :])
    psf = kernel(PERFECT, GREEN, z_um)
    for share in (0.3, 0.6, 0.9):
        reach_um = z_um * np.tan(np.arcsin(na * share**0.5))
        assert psf[radius_um < reach_um].sum() == pytest.approx(share, abs=0.03)
    assert psf[radius_um < 1.1 * z_um * np.tan(np.arcsin(na))].sum() > 0.98


# The side of focus


@settings(max_examples=15, deadline=None)
@given(z_um=st.floats(0.2, 12))
def test_a_symmetric_monochrome_system_cannot_tell_the_sides_apart(z_um):
    above, below = (kernel(PERFECT, GREEN, z) for z in (z_um, -z_um))
    assert np.abs(above - below).max() < 1e-5 * above.max()


def test_nor_can_its_pictures():
    specimen = random_specimen()
    bank = OtfBank(PERFECT, specimen.shape_px)
    above, below = (transmission(specimen, bank, np.array([z_um])) for z_um in (3.0, -3.0))
    assert np.abs(above - below).max() < 1e-5


@pytest.mark.parametrize(
    "optics",
    [
        replace(PERFECT, focus_offsets_um=(0.7, 0.0, -0.9)),
        replace(PERFECT, aberrations=replace(NO_ABERRATIONS, spherical_waves=0.12)),
    ],
    ids=["axial colour", "spherical aberration"],
)
def test_axial_colour_and_spherical_aberration_can(optics):
    specimen = random_specimen()
    bank = OtfBank(optics, specimen.shape_px)
    above, below = (transmission(specimen, bank, np.array([z_um])) for z_um in (2.0, -2.0))
    # Against how much the picture differs from one without detail.
    assert np.abs(above - below)[0].std() > 0.1 * above[0].std()


@COLOURS
def test_each_colour_is_sharpest_where_defocus_and_its_offset_cancel(colour):
    optics = Optics(aberrations=NO_ABERRATIONS)
    z_um = np.arange(-2, 2.01, 0.1)
    sharpest_um = z_um[np.argmax([strehl(optics, colour, float(z)) for z in z_um])]
    assert sharpest_um == pytest.approx((-0.7, 0.0, 0.9)[colour], abs=0.05)


def test_coma_leans_along_its_own_direction_only():
    along_x = replace(PERFECT, aberrations=replace(NO_ABERRATIONS, coma_waves=0.2))
    psf = kernel(along_x, GREEN, 0.0)
    mirrored_y = np.roll(psf[::-1], 1, axis=0)
    mirrored_x = np.roll(psf[:, ::-1], 1, axis=1)
    assert np.abs(psf - mirrored_y).max() < 1e-5 * psf.max()
    assert np.abs(psf - mirrored_x).max() > 0.05 * psf.max()


# The bank


def test_the_bank_convolves_with_the_kernel_of_the_nearest_lattice_point():
    bank = OtfBank(Optics(), (150, 201))
    psf = np.fft.irfft2(bank.otf(GREEN, 3.02), s=(150, 201))
    expected = np.zeros((150, 201))
    around = np.fft.fftfreq(KERNEL_PX, 1 / KERNEL_PX).astype(int)
    expected[np.ix_(around, around)] = kernel(Optics(), GREEN, 3.0)
    assert np.abs(psf - expected).max() < 1e-6


def test_the_bank_remembers():
    bank = OtfBank(Optics(), (128, 128), cached=2)
    first = bank.otf(0, 1.0)
    assert bank.otf(0, 1.0) is first
    assert bank.otf(0, 1.01) is first
    for z_um in (2.0, 3.0):
        bank.otf(0, z_um)
    again = bank.otf(0, 1.0)
    assert again is not first
    assert np.array_equal(again, first)


def test_a_kernel_as_large_as_the_frame_is_its_own_transform():
    psf = kernel(Optics(), GREEN, 2.0)
    assert np.abs(kernel_to_otf(psf, psf.shape) - np.fft.rfft2(psf)).max() < 1e-6


def test_a_frame_smaller_than_the_kernel_is_refused():
    with pytest.raises(ValueError, match=r"200 x 96 px.*128 px"):
        OtfBank(Optics(), (96, 200))


@pytest.mark.parametrize("numerical_aperture", [0.0, 1.0, -0.5, float("nan")])
def test_an_impossible_aperture_is_refused(numerical_aperture):
    with pytest.raises(ValueError, match="numerical aperture"):
        Optics(numerical_aperture=numerical_aperture)


@pytest.mark.parametrize("um_per_px", [0.0, -1.0, float("nan"), float("inf")])
def test_an_impossible_pitch_is_refused(um_per_px):
    with pytest.raises(ValueError, match="um_per_px"):
        Optics(um_per_px=um_per_px)


def test_fields_differ_and_a_seed_fixes_them():
    one, again, other = (
        Optics().in_another_field(np.random.default_rng(seed)) for seed in (1, 1, 2)
    )
    assert one == again
    assert one != other
