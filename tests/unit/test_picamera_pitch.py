"""um per px from a sensor's pitch, against what a rule on the specimen would show."""

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from hw.pixel_pitch import Crop, Size, centred_crop, enlargement, um_per_px

SIZES = st.builds(Size, st.integers(64, 5000), st.integers(64, 5000))


@given(
    pitch_um=st.floats(0.5, 10),
    magnification=st.floats(0.5, 200),
    across=st.integers(64, 5000),
    down=st.integers(64, 5000),
    scale=st.integers(1, 8),
)
def test_a_rule_in_the_specimen_measures_right(pitch_um, magnification, across, down, scale):
    """Marks `gap_um` apart fall on pixels of the frame that far apart, whatever is in between."""
    crop = Crop(10, 20, across * scale, down * scale)
    um = um_per_px((pitch_um, pitch_um), crop, Size(across, down), magnification)
    gap_um = 12.0
    on_sensor_um = gap_um * magnification
    native_px = on_sensor_um / pitch_um
    frame_px = native_px / scale
    assert frame_px * um == pytest.approx(gap_um)


@pytest.mark.parametrize(
    ("camera", "pitch_um", "field", "frame", "magnification", "expected_um"),
    [
        ("HQ camera, all of it, 20x", 1.55, (4056, 3040), (2028, 1520), 20, 0.155),
        ("Camera Module 3, middle, 4x", 1.4, (2304, 1296), (1152, 648), 4, 0.7),
        ("Global Shutter camera, 10x", 3.45, (1456, 1088), (728, 544), 10, 0.69),
    ],
)
def test_cameras_by_their_data_sheets(camera, pitch_um, field, frame, magnification, expected_um):  # noqa: ARG001
    crop = Crop(0, 0, *field)
    assert um_per_px((pitch_um, pitch_um), crop, Size(*frame), magnification) == pytest.approx(
        expected_um
    )


def test_oblong_pixels_are_refused():
    with pytest.raises(ValueError, match=r"one shape"):
        um_per_px((1.55, 1.55), Crop(0, 0, 4056, 3040), Size(1280, 720), 10)
    with pytest.raises(ValueError, match=r"0\.2 x 0\.155 um"):
        um_per_px((2.0, 1.55), Crop(0, 0, 1000, 1000), Size(1000, 1000), 10)


@given(field=SIZES, frame=SIZES)
def test_the_centred_crop_is_inside_in_the_middle_and_as_large_as_can_be(field, frame):
    assume(0.05 < (field.width / field.height) / (frame.width / frame.height) < 20)
    whole = Crop(16, 8, *field)
    crop = centred_crop(whole, frame)
    assert whole.x <= crop.x
    assert crop.x + crop.width <= whole.x + whole.width
    assert whole.y <= crop.y
    assert crop.y + crop.height <= whole.y + whole.height
    assert crop.width == whole.width or crop.height == whole.height
    assert abs((crop.x - whole.x) * 2 + crop.width - whole.width) <= 1
    assert abs((crop.y - whole.y) * 2 + crop.height - whole.height) <= 1
    # One shape, but for rounding to a native pixel.
    assert abs(crop.width * frame.height - crop.height * frame.width) <= max(frame) / 2 + 1


def test_enlargement_counts_what_the_sensor_sends():
    field, binned = Crop(0, 0, 4056, 3040), Size(2028, 1520)
    assert enlargement(field, binned, field, Size(1014, 760)) == pytest.approx(0.5)
    assert enlargement(field, binned, Crop(0, 0, 2028, 1520), Size(2028, 1520)) == pytest.approx(2)
    assert enlargement(field, Size(4056, 3040), field, Size(4056, 3040)) == pytest.approx(1)
