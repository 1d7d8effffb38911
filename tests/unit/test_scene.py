"""Telling another specimen from the same one, on rendered fields."""

import numpy as np
import pytest

from edge_af.routines.scene import Scene, Seen
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
    through = [scene.look(frame(kind, 1, z_um)) for z_um in (-3.0, -1.0, 0.0, 1.0, 4.0)]
    assert through == [Seen.THE_SAME] * 5
    others = [scene.look(frame(kind, seed)) for seed in (2, 2, 3)]
    assert others == [Seen.ANOTHER, Seen.THE_SAME, Seen.ANOTHER]


def test_clear_glass_is_no_field_and_is_not_remembered():
    scene = Scene()
    seen = [
        scene.look(frame(kind, seed))
        for kind, seed in (("smear", 1), ("empty", 2), ("smear", 1), ("empty", 3), ("smear", 4))
    ]
    assert seen == [Seen.THE_SAME, Seen.NOTHING, Seen.THE_SAME, Seen.NOTHING, Seen.ANOTHER]


@pytest.mark.parametrize("z_um", [-11.0, 11.0])
def test_a_cell_far_out_of_focus_is_something(z_um):
    seen = [Scene().look(frame("sparse", seed, z_um)) for seed in range(6)]
    assert seen == [Seen.THE_SAME] * 6


def test_a_frame_of_another_size_tells_nothing():
    scene = Scene()
    scene.look(frame("smear", 1))
    assert scene.look(frame("smear", 2)[:200]) is Seen.THE_SAME
