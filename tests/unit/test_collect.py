"""Stacks collected from the virtual microscope, against its hidden truth."""

import json
import threading

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from oracle import Rig

from edge_af.cli import main
from edge_af.errors import UserError
from edge_af.instrument import Instrument, State
from edge_af.routines.collect import StackPlan, collect, focus_at_um, places_um
from edge_af.routines.sweep import sweep
from edge_af.settings import FocusSettings
from edge_af.stack_writer import StackWriter
from hw.stack import read_stacks
from hw.stage import Range, StageStopped

SETTINGS = FocusSettings(sweep_reach_um=10.0)
PLAN = StackPlan(4.0, 0.5)


class Kept:
    """What a keeper is given, and the true defocus at the middle of each exposure."""

    def __init__(self, rig):
        self._rig = rig
        self.places_um = []
        self.true_um = []
        self.frames = []
        self.focus_um = None

    def keep(self, frame, place_um):
        middle_s = (frame.exposure_start_s + frame.exposure_end_s) / 2
        self.places_um.append(place_um)
        self.true_um.append(float(self._rig.scene.defocus_um(middle_s)))
        self.frames.append(frame)

    def focus_at(self, focus_um):
        self.focus_um = focus_um


def silent(*_):
    pass


def collected(rig, plan=PLAN, settings=SETTINGS):
    kept = Kept(rig)
    with rig.desk(settings) as desk:
        collection = collect(desk, plan, kept, silent)
        position_um = rig.guard.position_um
    return collection, kept, position_um


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("start_um", [-6.0, 7.0])
def test_labels_are_the_true_defocus(seed, start_um):
    rig = Rig(seed=seed, kind="smear", defocus_um=start_um, drift_um_per_s=0.02)
    collection, kept, position_um = collected(rig)

    assert collection.attempt.found
    labels_um = np.array(kept.places_um) - collection.focus_um
    # A smear is thin; drift makes 0.1 um in the seconds that this takes, and play 0.05 um.
    assert np.abs(labels_um - kept.true_um).max() < 0.35
    assert kept.focus_um == collection.focus_um
    assert position_um == pytest.approx(collection.focus_um, abs=rig.guard.step_um / 2)


def test_slices_are_evenly_spaced_and_approached_upwards():
    collection, kept, _ = collected(Rig(), StackPlan(4.0, 0.5))

    assert kept.places_um == sorted(kept.places_um) == list(collection.places_um)
    assert np.diff(kept.places_um) == pytest.approx(np.full(16, 0.5))
    # Upwards without a backlash between: the axis follows the count all the way.
    assert np.diff(kept.true_um) == pytest.approx(np.full(16, 0.5), abs=0.15)


def test_the_pitch_is_whole_motor_steps_about_the_centre():
    rig = Rig(step_um=0.3)
    targets_um = places_um(StackPlan(2.0, 0.5), 6.0, rig.driver, Range(-100, 100))
    assert np.diff(targets_um) == pytest.approx(np.full(6, 0.6))
    assert targets_um[3] == 6.0


def test_several_frames_of_a_place_are_different_exposures():
    _, kept, _ = collected(Rig(), StackPlan(1.5, 0.5, frames=3))
    starts_s = [frame.exposure_start_s for frame in kept.frames]
    assert starts_s == sorted(set(starts_s))
    assert kept.places_um == sorted(kept.places_um)
    assert {kept.places_um.count(place) for place in kept.places_um} == {3}


def test_the_limits_cut_a_stack_short():
    rig = Rig(defocus_um=2.0, limits=Range(-14.0, 3.0))
    collection, kept, _ = collected(rig, StackPlan(6.0, 0.5))
    assert collection.attempt.found
    assert max(kept.places_um) <= rig.start_um + 3.0
    assert len(kept.places_um) < 25


def test_an_empty_field_makes_no_stack_and_the_stage_goes_back():
    rig = Rig(kind="empty")
    collection, kept, position_um = collected(rig)
    assert not collection.attempt.found
    assert collection.attempt.reason
    assert (kept.frames, kept.focus_um) == ([], None)
    assert position_um == pytest.approx(rig.start_um)


def test_a_sweep_can_be_kept():
    rig = Rig(kind="smear", defocus_um=4.0)
    kept = Kept(rig)
    with rig.desk(SETTINGS) as desk:
        assert sweep(desk, kept).found
    assert len(kept.frames) > 15
    labels_um = np.array(kept.places_um) - kept.focus_um
    assert np.abs(labels_um - kept.true_um)[1:].max() < 0.4


def test_the_instrument_refuses_a_stack_beyond_its_budget_and_can_be_stopped():
    rig = Rig()
    kept = Kept(rig)
    with Instrument(rig.camera, rig.guard, rig.clock, SETTINGS) as instrument:
        with pytest.raises(UserError, match="may travel 360 um"):
            instrument.collect(StackPlan(50.0, 1.0), kept, silent)
        assert instrument.state is State.IDLE

        seen = []

        def stop_at_the_fifth_slice(what, done, _):
            seen.append(instrument.state)
            if (what, done) == ("slices", 5):
                stopping = threading.Thread(target=instrument.stop)
                stopping.start()
                stopping.join()

        with pytest.raises(StageStopped):
            instrument.collect(StackPlan(4.0, 0.5), kept, stop_at_the_fifth_slice)
        assert set(seen) == {State.COLLECTING}
        assert instrument.state is State.STOPPED
        assert len(kept.frames) == 5
        assert kept.focus_um is None


@given(
    centre_um=st.floats(-2, 2),
    width_um=st.floats(0.6, 3.0),
    pitch_um=st.sampled_from([0.25, 0.5, 1.0, 1.6]),
    base=st.floats(0.0, 0.05),
)
def test_the_focus_of_a_gaussian_is_its_centre(centre_um, width_um, pitch_um, base):
    assume(pitch_um <= 2 * width_um)  # a coarser pitch may see but one place of the peak
    at_um = np.arange(-13, 13, pitch_um)
    curve = {um: base + float(np.exp(-(((um - centre_um) / width_um) ** 2))) for um in at_um}
    assert focus_at_um(curve) == pytest.approx(centre_um, abs=0.15 * pitch_um + 0.02)


def test_the_focus_of_an_uneven_curve_is_not_drawn_to_where_places_are_dense():
    at_um = np.concatenate([np.arange(-6, 0, 0.5), np.arange(0, 6, 0.05)])
    curve = {float(um): float(np.exp(-(um**2))) for um in at_um}
    assert focus_at_um(curve) == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((4.0, 0.0), "got 0 um"),
        ((4.0, 5.0), "got 5 um"),
        ((float("nan"), 0.5), "nan um"),
        ((4.0, 0.001), "more than 2000"),
        ((4.0, 0.5, 0), "at least 1 frame"),
    ],
)
def test_a_plan_that_makes_no_stack_is_refused(values, said):
    with pytest.raises(UserError, match=said):
        StackPlan(*values)


def test_what_is_collected_reads_back_with_its_labels(tmp_path):
    rig = Rig()
    path = tmp_path / "field.ome.tif"
    plan = StackPlan(2.0, 0.5)
    with (
        StackWriter(path, slices=plan.most_frames) as writer,
        Instrument(rig.camera, rig.guard, rig.clock, SETTINGS) as instrument,
    ):
        collection = instrument.collect(plan, writer, silent)
    (stack,) = read_stacks(path)
    expected_um = np.array(collection.places_um) - collection.focus_um
    assert [one.z_um for one in stack.slices] == pytest.approx(expected_um, abs=1e-6)


def test_the_command_collects_a_virtual_stack(tmp_path, capfd):
    path = tmp_path / "field.ome.tif"
    arguments = ["collect", "--virtual", "-o", str(path), "--range-um", "2", "--step-um", "1"]
    assert main([*arguments, "--json"]) == 0
    document = json.loads(capfd.readouterr().out)
    assert document["slices"] == 5
    assert document["file"] == str(path)
    assert len(read_stacks(path)[0].slices) == 5

    assert main(arguments) == 2
    assert "exists already" in capfd.readouterr().err
    absent = str(tmp_path / "absent.toml")
    assert main(["collect", "-o", str(tmp_path / "other.ome.tif"), "--config", absent]) == 2
    assert "describe your instrument" in capfd.readouterr().err
