from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_af.sharpness import tenengrad
from hw.stack import read_stacks
from hw.virtual.imaging import transmission
from hw.virtual.microscope import MicroscopeSettings
from hw.virtual.optics import OtfBank
from hw.virtual.procedural import draw_specimen
from hw.virtual.sensor import Sensor

PADS = Path(__file__).parents[3] / "shared" / "data" / "stacks" / "pads"

FRAME_PX = (192, 192)
REFERENCE = MicroscopeSettings()


def stack_of(kind, seed, places_um):
    """What the reference camera sees of a field at each defocus."""
    specimen = draw_specimen(seed, kind, FRAME_PX)
    bank = OtfBank(REFERENCE.optics, FRAME_PX)
    sensor = Sensor(REFERENCE.sensor, FRAME_PX, seed)
    return [
        sensor.expose(transmission(specimen, bank, np.array([place_um]))) for place_um in places_um
    ]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("kind", "within_um"), [("smear", 0.5), ("tissue", 1.0)])
def test_is_highest_in_focus(kind, seed, within_um):
    """Sharpness weighs what is sharp, focus all detail: in a thick section they may part a bit."""
    places_um = np.arange(-3, 3.1, 0.25)
    curve = [tenengrad(frame) for frame in stack_of(kind, seed, places_um)]
    assert abs(places_um[np.argmax(curve)]) <= within_um


@pytest.mark.parametrize("kind", ["smear", "tissue"])
def test_falls_off_to_either_side(kind):
    places_um = np.array([-12.0, -6.0, -3.0, 0.0, 3.0, 6.0, 12.0])
    curve = [tenengrad(frame) for frame in stack_of(kind, 8, places_um)]
    assert (np.diff(curve)[:3] > 0).all()
    assert (np.diff(curve)[3:] < 0).all()


@settings(max_examples=20, deadline=None)
@given(share=st.floats(0.3, 1.0), seed=st.integers(0, 5))
def test_exposure_does_not_count(share, seed):
    rng = np.random.default_rng(seed)
    bright = rng.integers(80, 250, (64, 64, 3))
    dark = np.round(bright * share).astype(np.uint8)
    assert tenengrad(dark) == pytest.approx(tenengrad(bright.astype(np.uint8)), rel=0.01)


@pytest.mark.parametrize("turned", [False, True])
def test_a_ramp_has_the_gradient_that_sobel_gives_it(turned):
    ramp = np.repeat((10 + 2 * np.arange(50))[None, :], 40, axis=0)
    pixels = np.stack([ramp] * 3, axis=2).astype(np.uint8)
    # Sobel's weights sum to 4 over a distance of 2 px: 8 times the slope.
    expected = (8 * 2) ** 2 / ramp.mean() ** 2
    assert tenengrad(pixels.swapaxes(0, 1) if turned else pixels) == pytest.approx(expected)


@pytest.mark.parametrize("level", [0, 100, 255])
def test_an_even_frame_has_none(level):
    assert tenengrad(np.full((20, 30, 3), level, np.uint8)) == 0.0


def test_only_green_counts():
    rng = np.random.default_rng(1)
    pixels = np.full((32, 32, 3), 100, np.uint8)
    pixels[:, :, 0] = rng.integers(0, 256, (32, 32))
    pixels[:, :, 2] = rng.integers(0, 256, (32, 32))
    assert tenengrad(pixels) == 0.0


@pytest.mark.skipif(not PADS.is_dir(), reason="the recorded pads are not in ../shared/data")
def test_recorded_stacks_peak_at_their_label_0():
    stacks = read_stacks(PADS, um_per_px=0.35)
    assert len(stacks) == 2
    for stack in stacks:
        sharpest = max(stack.slices, key=lambda piece: tenengrad(piece.pixels()))
        assert sharpest.z_um == 0
