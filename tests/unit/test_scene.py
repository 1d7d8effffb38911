"""Telling another specimen from the same one, on rendered fields."""

import numpy as np
import pytest

from edge_af.routines.scene import Scene
from hw.virtual.imaging import transmission
from hw.virtual.optics import Optics, OtfBank
from hw.virtual.procedural import draw_specimen
from hw.virtual.sensor import Sensor, SensorSettings

SHAPE_PX = (256, 384)
BANK = OtfBank(Optics(), SHAPE_PX)


def frame(kind, seed, z_um=0.0):
    specimen = draw_specimen(seed, kind, SHAPE_PX, Optics().um_per_px)
    sensor = Sensor(SensorSettings(), SHAPE_PX, seed=1)
    return sensor.expose(transmission(specimen, BANK, np.array([z_um])))


@pytest.mark.parametrize("kind", ["tissue", "smear", "sparse"])
def test_a_field_stays_the_same_through_focus_and_another_does_not(kind):
    scene = Scene()
    seen = [scene.is_another(frame(kind, 1, z_um)) for z_um in (-3.0, -1.0, 0.0, 1.0, 4.0)]
    assert seen == [False] * 5
    assert [scene.is_another(frame(kind, seed)) for seed in (2, 2, 3)] == [True, False, True]


def test_clear_glass_is_no_field():
    scene = Scene()
    assert not scene.is_another(frame("smear", 1))
    assert not scene.is_another(frame("empty", 2))
    assert not scene.is_another(frame("smear", 1))
    assert not scene.is_another(frame("empty", 3))
    assert scene.is_another(frame("smear", 4))


def test_a_frame_of_another_size_tells_nothing():
    scene = Scene()
    pixels = frame("smear", 1)
    assert not scene.is_another(pixels)
    assert not scene.is_another(frame("smear", 2)[:200])
