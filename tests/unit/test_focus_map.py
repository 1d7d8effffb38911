import numpy as np
import pytest

from edge_af.focus_map import MOST_FIELDS, FocusMap


def grid(pitch_um=500.0, side=4):
    places = np.arange(side) * pitch_um
    return [(float(x), float(y)) for y in places for x in places]


def plane_um(x_um, y_um):
    return 0.002 * x_um - 0.001 * y_um + 40.0


def mapped(fields, at_s=lambda number: 10.0 * number):
    made = FocusMap()
    for number, (x_um, y_um, focus_um) in enumerate(fields):
        made.add(x_um, y_um, focus_um, at_s(number))
    return made


def test_without_a_field_it_expects_nothing():
    assert FocusMap().expect(0, 0, 0) is None


def test_one_field_is_expected_to_be_like_the_next_and_less_so_far_away():
    made = mapped([(0, 0, 25.0)])
    here, far = made.expect(0, 0, 0), made.expect(5000, 0, 0)
    assert here.focus_um == far.focus_um == pytest.approx(25.0)
    assert here.sigma_um < 1.0
    assert far.sigma_um > 10.0


def test_a_tilted_slide_is_followed_beyond_its_fields():
    rng = np.random.default_rng(1)
    made = mapped([(x, y, plane_um(x, y) + rng.normal(0, 0.3)) for x, y in grid()])
    expected = made.expect(2500, 2500, 160)
    assert expected.focus_um == pytest.approx(plane_um(2500, 2500), abs=1.2)
    assert abs(expected.focus_um - plane_um(2500, 2500)) < 3 * expected.sigma_um


def test_it_is_the_least_squares_plane_where_there_is_plenty_to_go_by():
    # Independent truth: numpy's least squares; scatter below Huber's bound, all at one time.
    rng = np.random.default_rng(2)
    fields = [(x, y, plane_um(x, y) + rng.uniform(-0.3, 0.3)) for x, y in grid(side=6)]
    made = mapped(fields, at_s=lambda _: 0.0)
    table = np.array(fields)
    ones = np.column_stack([table[:, 0], table[:, 1], np.ones(len(table))])
    a, b, c = np.linalg.lstsq(ones, table[:, 2], rcond=None)[0]
    assert made.expect(1234, 777, 0).focus_um == pytest.approx(a * 1234 + b * 777 + c, abs=0.01)


def test_a_line_of_fields_says_nothing_of_the_tilt_across():
    made = mapped([(x, 0, 30 + 0.002 * x) for x in range(0, 3000, 300)])
    along, across = made.expect(3300, 0, 100), made.expect(3300, 3000, 100)
    assert along.focus_um == pytest.approx(36.6, abs=0.5)
    assert across.focus_um == pytest.approx(along.focus_um, abs=0.01)
    assert across.sigma_um > 5 * along.sigma_um


def test_one_field_that_lies_changes_little():
    fields = [(x, y, plane_um(x, y)) for x, y in grid()]
    fields[5] = (*fields[5][:2], fields[5][2] + 30.0)
    expected = mapped(fields).expect(800, 800, 160)
    assert expected.focus_um == pytest.approx(plane_um(800, 800), abs=0.4)


def test_another_slide_is_noticed_after_three_fields():
    fields = [(x, y, plane_um(x, y)) for x, y in grid()]
    fields += [(x, y, plane_um(x, y) - 60.0) for x, y in grid()[:3]]
    made = mapped(fields)
    assert len(made) == 3
    expected = made.expect(250, 0, 200)
    assert expected.focus_um == pytest.approx(plane_um(250, 0) - 60, abs=0.5)


def test_fields_of_long_ago_count_less():
    made = mapped([(0, 0, 10.0), (10, 0, 12.0)], at_s=lambda number: 3600.0 * number)
    assert made.expect(5, 0, 3600).focus_um == pytest.approx(12.0, abs=0.2)
    assert made.expect(5, 0, 7200).sigma_um > made.expect(5, 0, 3600).sigma_um


def test_it_keeps_no_more_than_it_may():
    made = mapped([(x, 0, 5.0) for x in range(3 * MOST_FIELDS)])
    assert len(made) == MOST_FIELDS
    made.clear()
    assert made.expect(0, 0, 0) is None
