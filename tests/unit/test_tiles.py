import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge_af.errors import ModelError
from edge_af.tiles import SAME_PITCH, content, contents, cut, require_fit
from hw.camera import Frame

MODEL_UM_PER_PX, TILE_PX = 0.35, 128


def frame_of(pixels, um_per_px=MODEL_UM_PER_PX):
    return Frame(pixels, 0.0, 0.01, um_per_px)


def grey(levels):
    rounded = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return np.repeat(rounded[:, :, None], 3, axis=2)


def noise(seed=0, shape=(480, 640), mean=130.0, sigma=3.0):
    levels = np.random.default_rng(seed).normal(mean, sigma, (*shape, 3))
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)


def blob(radius_px=12.0, depth=0.4, soft_px=1.5):
    """A dark disc on clear glass, its edge `soft_px` wide."""
    y, x = np.mgrid[:TILE_PX, :TILE_PX] - TILE_PX / 2
    disc = 0.5 - 0.5 * np.tanh((np.hypot(y, x) - radius_px) / soft_px)
    return grey(180 * (1 - depth * disc))


# Content


@pytest.mark.parametrize("level", [5, 40, 128, 220])
def test_a_flat_tile_holds_nothing(level):
    assert content(np.full((TILE_PX, TILE_PX, 3), level, np.uint8)) == pytest.approx(0, abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(angle=st.floats(0, 2 * np.pi), steepness=st.floats(0, 0.5))
def test_a_sloping_background_is_no_content(angle, steepness):
    y, x = np.mgrid[-1 : 1 : TILE_PX * 1j, -1 : 1 : TILE_PX * 1j]
    slope = 120 * np.exp(steepness * (np.cos(angle) * x + np.sin(angle) * y))
    assert content(grey(slope)) < 0.004
    assert content(blob()) > 0.05


def test_noise_alone_averages_out():
    sigma, mean = 4.0, 130.0
    expected = sigma / (mean + 1) / np.sqrt(8 * 8 * 3)
    assert content(noise(shape=(TILE_PX, TILE_PX))) < 0.003
    tile = noise(shape=(TILE_PX, TILE_PX), mean=mean, sigma=sigma)
    assert content(tile) == pytest.approx(expected, rel=0.15)


def test_noise_hides_neither_an_object_nor_its_absence():
    rng = np.random.default_rng(1)
    noisy = np.clip(blob() + rng.normal(0, 4, (TILE_PX, TILE_PX, 3)), 0, 255).astype(np.uint8)
    assert content(noisy) == pytest.approx(content(blob()), rel=0.1)


def test_a_far_defocused_object_still_counts():
    near, far = content(blob(soft_px=1)), content(blob(soft_px=15, depth=0.25))
    assert near > far > 10 * content(noise(shape=(TILE_PX, TILE_PX)))


@pytest.mark.parametrize("extreme", [0, 255])
@pytest.mark.parametrize(("share", "counts"), [(0.15, True), (0.25, False)])
def test_a_saturated_tile_holds_nothing(extreme, share, counts):
    tile = blob()
    tile[: round(share * TILE_PX)] = extreme
    assert (content(tile) > 0) is counts


# Cutting


def test_a_frame_at_the_models_pitch_is_cut_as_it_is():
    pixels = noise(1)
    tiles = cut(frame_of(pixels), MODEL_UM_PER_PX, TILE_PX, most=100)
    assert len(tiles) == 4 * 5
    for tile in tiles:
        top, left = tile.corner_px
        assert np.array_equal(tile.pixels, pixels[top : top + TILE_PX, left : left + TILE_PX])
        assert tile.content == pytest.approx(content(tile.pixels), rel=1e-9)
    tops, lefts = ({tile.corner_px[axis] for tile in tiles} for axis in (0, 1))
    assert tops == {0, 117, 235, 352}  # 480 = 352 + 128
    assert lefts == {0, 128, 256, 384, 512}


def test_the_fullest_tiles_come_first_and_no_more_than_asked():
    pixels = noise(1, mean=180)
    pixels[117:245, 256:384] = blob()
    tiles = cut(frame_of(pixels), MODEL_UM_PER_PX, TILE_PX, most=4)
    assert len(tiles) == 4
    assert tiles[0].corner_px == (117, 256)
    contents = [tile.content for tile in tiles]
    assert contents == sorted(contents, reverse=True)


@pytest.mark.parametrize("um_per_px", [0.2, 0.286, 0.33, 0.4])
def test_a_grating_keeps_its_period_in_um(um_per_px):
    period_um = 5.0
    x_um = np.arange(900) * um_per_px
    pixels = grey(np.tile(120 + 60 * np.cos(2 * np.pi * x_um / period_um), (700, 1)))
    tile = cut(frame_of(pixels, um_per_px), MODEL_UM_PER_PX, TILE_PX, most=1)[0]
    row = tile.pixels[64, :, 1].astype(float)
    spectrum = np.abs(np.fft.rfft((row - row.mean()) * np.hanning(TILE_PX), 1 << 14))
    period_px = (1 << 14) / spectrum.argmax()
    assert period_px * MODEL_UM_PER_PX == pytest.approx(period_um, rel=0.01)


def test_fine_detail_is_averaged_not_aliased():
    # One pixel on, one off, at 0.2 um/px: gone at 0.35 um/px.
    pixels = grey(np.tile(np.where(np.arange(640) % 2, 200, 60), (480, 1)))
    tile = cut(frame_of(pixels, 0.2), MODEL_UM_PER_PX, TILE_PX, most=1)[0]
    assert tile.pixels.std() < 10
    assert tile.pixels.mean() == pytest.approx(130, abs=2)


@pytest.mark.parametrize(
    "um_per_px", [0.35 * (1 - 0.9 * SAME_PITCH), 0.35 * (1 + 0.9 * SAME_PITCH)]
)
def test_nearly_the_same_pitch_is_taken_as_the_same(um_per_px):
    pixels = noise(1)
    tiles = cut(frame_of(pixels, um_per_px), MODEL_UM_PER_PX, TILE_PX, most=1)
    top, left = tiles[0].corner_px
    assert np.array_equal(tiles[0].pixels, pixels[top : top + TILE_PX, left : left + TILE_PX])


@settings(max_examples=60, deadline=None)
@given(
    height_px=st.integers(40, 400),
    width_px=st.integers(40, 400),
    um_per_px=st.floats(0.15, 0.6),
)
def test_a_frame_is_cut_into_whole_tiles_or_refused(height_px, width_px, um_per_px):
    frame = frame_of(np.full((height_px, width_px, 3), 99, np.uint8), um_per_px)
    try:
        require_fit(um_per_px, (height_px, width_px), (MODEL_UM_PER_PX, TILE_PX))
    except ModelError:
        with pytest.raises(ModelError):
            cut(frame, MODEL_UM_PER_PX, TILE_PX, most=3)
        return
    tiles = cut(frame, MODEL_UM_PER_PX, TILE_PX, most=3)
    assert 1 <= len(tiles) <= 3
    assert all(tile.pixels.shape == (TILE_PX, TILE_PX, 3) for tile in tiles)


@given(st.integers(TILE_PX, 700), st.integers(TILE_PX, 700))
@settings(max_examples=40, deadline=None)
def test_tiles_reach_the_edges_and_leave_little_out(height_px, width_px):
    tiles = cut(frame_of(np.zeros((height_px, width_px, 3), np.uint8)), 0.35, TILE_PX, most=100)
    for axis, extent_px in enumerate((height_px, width_px)):
        corners = sorted({tile.corner_px[axis] for tile in tiles})
        assert abs(corners[0] + corners[-1] + TILE_PX - extent_px) <= 1
        apart = np.diff(corners)
        assert len(corners) == np.floor(extent_px / TILE_PX + 0.5)
        assert all((apart >= 0.5 * TILE_PX - 1) & (apart <= 1.5 * TILE_PX + 1))


@pytest.mark.parametrize(
    ("size_px", "um_per_px", "fits"),
    [
        (128, 0.35, True),
        (127, 0.35, False),
        (127, 0.356, False),  # counts as the same pitch, and so is not enlarged
        (128, 0.345, True),
        (256, 0.175, True),
        (255, 0.174, False),
        (103, 0.4375, True),
    ],
)
def test_the_smallest_frame_is_one_tile(size_px, um_per_px, fits):
    frame = frame_of(np.full((size_px, size_px, 3), 99, np.uint8), um_per_px)
    if fits:
        assert len(cut(frame, MODEL_UM_PER_PX, TILE_PX, most=9)) == 1
    else:
        with pytest.raises(ModelError, match="smaller"):
            cut(frame, MODEL_UM_PER_PX, TILE_PX, most=9)


def test_too_coarse_a_camera_is_refused_with_both_numbers():
    with pytest.raises(ModelError, match=r"0\.5 um.*at most 0\.4375 um.*magnification"):
        cut(frame_of(noise(), 0.5), MODEL_UM_PER_PX, TILE_PX, most=1)


def test_too_small_a_frame_is_refused_with_both_numbers():
    small = frame_of(noise(shape=(100, 300)), 0.3)
    with pytest.raises(ModelError, match=r"300 x 100 px at 0\.3 um/px.*128 px at 0\.35 um/px"):
        cut(small, MODEL_UM_PER_PX, TILE_PX, most=1)


@pytest.mark.parametrize("apart_px", [24, 20], ids=["blocks in step", "blocks out of step"])
def test_all_tiles_of_a_picture_hold_what_each_holds_alone(apart_px):
    pixels = np.random.default_rng(5).integers(60, 200, (50, 70, 3)).astype(np.uint8)
    pixels[:20, apart_px : apart_px + 20] = 255  # one tile is white
    corners_px = [(top, left * apart_px) for top in (0, apart_px) for left in range(3)]
    held = contents(pixels, 20, corners_px)  # of each only 16 px, two blocks of 8, count
    for (top, left), seen in zip(corners_px, held, strict=True):
        tile = pixels[top : top + 20, left : left + 20].astype(float)
        blocks = [
            [tile[8 * i : 8 * i + 8, 8 * j : 8 * j + 8].mean() for j in (0, 1)] for i in (0, 1)
        ]
        # A plane through the logs of 2 x 2 blocks leaves their twist alone.
        (a, b), (c, d) = np.log(np.array(blocks) + 1)
        expected = 0.0 if (top, left) == (0, apart_px) else abs(a - b - c + d) / 4
        assert seen == pytest.approx(expected, abs=1e-12)
