"""The station: one instrument, many threads that talk to it."""

import threading
import time
from contextlib import contextmanager

import pytest
from oracle import MODEL_FRAME_PX, Rig, Tampered
from stations import Bench, until

from edge_af.calibration import CalibrationError
from edge_af.errors import EdgeAfError, UserError
from edge_af.instrument import BusyError, State
from edge_af.model_file import read_model_file
from edge_af.service import condition, lookout, worker
from edge_af.service.events import Events
from edge_af.service.models import Event, Job, LogLine, Position, Status
from edge_af.service.station import NoJobError, Station
from edge_af.shipped import SHIPPED_MODEL
from edge_af.state_file import Place, boot_id, read_place, read_state, write_place
from hw.camera import CameraStalled
from hw.resumed import resumed
from hw.stage import StageFault
from hw.virtual.mechanics import Mechanics
from hw.virtual.stage import VirtualStage


@pytest.fixture
def bench(tmp_path, packed_model):
    return Bench(tmp_path / "state", packed_model)


@pytest.fixture
def station(bench):
    with bench.station() as station:
        yield station


@pytest.fixture
def seeing(tmp_path):
    """A bench whose model can see; the tiny one of the others answers at random."""
    return Bench(tmp_path / "state", SHIPPED_MODEL)


@contextmanager
def held(bench):
    """Hold each step of the motor back, until what is yielded is set; tells when one is due."""
    step, reached, let_go = bench.rig.scene.mechanics.step, threading.Event(), threading.Event()

    def slow(direction, time_s):
        reached.set()
        assert let_go.wait(20)
        step(direction, time_s)

    bench.rig.scene.mechanics.step = slow
    try:
        yield reached, let_go
    finally:
        let_go.set()
        bench.rig.scene.mechanics.step = step


def done(station, job, state="done"):
    job = station.wait(job.id, 30)
    assert job.state == state, job
    return job


# Commands


def test_a_focus_is_a_job_with_an_answer(seeing):
    with seeing.station() as station:
        job = done(station, station.focus())
        status = station.status()
        assert job.result["outcome"] == "focused"
        assert abs(seeing.rig.truth.defocus_um) < 1.0
        assert status.last.end_um == status.position_um == job.result["end_um"]
        assert (status.state, status.job, status.fault) == (State.IDLE, None, None)
        assert status.model == read_model_file(SHIPPED_MODEL).card.name
        assert station.jobs() == [job]
        picture = station.picture()
        assert picture.pixels.shape == (*MODEL_FRAME_PX, 3)
        assert picture.distribution.sum() == pytest.approx(1)
        assert all(0 < tile.confidence <= 1 for tile in picture.tiles)
        for left, top, width, height in (tile.box_px for tile in picture.tiles):
            assert 0 <= left <= MODEL_FRAME_PX[1] - width
            assert 0 <= top <= MODEL_FRAME_PX[0] - height
    assert station.status().state is State.OFF


def test_moves_are_absolute_or_relative(station, bench):
    start_um = bench.rig.start_um
    assert done(station, station.move_to(start_um + 5)).result["end_um"] == pytest.approx(
        start_um + 5
    )
    done(station, station.move_by(-2))
    assert station.status().position_um == pytest.approx(start_um + 3)


def test_a_move_out_of_the_limits_is_refused_and_no_fault(station, bench):
    job = done(station, station.move_by(500), "failed")
    assert "outside the" in job.error
    assert (station.status().state, station.status().fault) == (State.IDLE, None)
    assert bench.rig.moved_um == 0


@pytest.mark.parametrize(
    "bad",
    [
        lambda station, _: station.move_to(float("nan")),
        lambda station, _: station.focus(x_um=1.0),
        lambda station, _: station.calibrate(0),
        lambda station, folder: station.collect(1.0, 2.0, folder / "a.ome.tif"),
        lambda station, folder: station.collect(5.0, 1.0, folder / "a.png"),
    ],
)
def test_values_that_make_no_sense_are_refused_at_once(station, tmp_path, bad):
    with pytest.raises(UserError):
        bad(station, tmp_path)
    assert station.jobs() == []


def test_only_one_command_runs(station, bench):
    with held(bench) as (reached, _):
        first = station.move_by(5)
        assert reached.wait(20)
        assert station.status().state is State.MOVING
        assert station.status().job.id == first.id
        with pytest.raises(BusyError, match=f"a move command is under way \\(job {first.id}\\)"):
            station.focus()
        with pytest.raises(BusyError):
            station.reload()
        with pytest.raises(BusyError):
            station.confirm()
    done(station, first)


def test_a_stack_is_collected(seeing, tmp_path):
    seeing.tables["focus"] = {"sweep_reach_um": 8.0, "travel_budget_um": 300}
    seeing.tables["guard"] = {"uncalibrated_budget_um": 300}
    with seeing.station() as station:
        job = done(station, station.collect(3.0, 1.0, tmp_path / "a.ome.tif"))
    assert job.result["file"] == str(tmp_path / "a.ome.tif")
    assert job.result["slices"] == 7
    assert (tmp_path / "a.ome.tif").exists()


def test_the_second_field_is_looked_for_where_the_map_expects_it(seeing):
    with seeing.station() as station:
        done(station, station.focus(0, 0))
        in_focus_um = station.status().position_um
        done(station, station.move_by(9))
        second = done(station, station.focus(50, 0))
        assert second.result["start_um"] == pytest.approx(in_focus_um + 9)
        assert second.result["end_um"] == pytest.approx(in_focus_um, abs=0.6)
        assert second.result["moves"] <= 4
        assert len(station._machine.map) == 2


# Stop


def test_a_stop_ends_the_move_under_way(station, bench):
    with held(bench) as (reached, let_go):
        job = station.move_by(10)
        assert reached.wait(20)
        station.stop()  # while the motor's thread is in its driver
        let_go.set()
        assert done(station, job, "stopped").result is None
    until(lambda: station.status().state is State.STOPPED)
    assert abs(bench.rig.moved_um) < 10
    done(station, station.move_by(1))
    assert station.status().state is State.IDLE


def test_a_stop_is_not_forgotten_by_a_command_that_is_only_beginning(station, bench):
    # The guard forgets stops at the start of a command; here it comes just before.
    begin = station._jobs.begin

    def stopped_meanwhile(id):
        begun = begin(id)
        station.stop()
        return begun

    station._jobs.begin = stopped_meanwhile
    job = done(station, station.move_by(5), "stopped")
    assert job.error == "stopped before it had moved"
    assert bench.rig.moved_um == 0


def test_a_cancelled_job_says_so_and_an_ended_one_stays(station, bench):
    with held(bench) as (reached, let_go):
        job = station.move_by(10)
        assert reached.wait(20)
        station.cancel(job.id)
        let_go.set()
        done(station, job, "cancelled")
    other = done(station, station.move_by(1))
    assert station.cancel(other.id).state == "done"
    with pytest.raises(NoJobError):
        station.cancel("other")


def test_a_stop_while_idle_is_shown(station):
    station.stop()
    until(lambda: station.status().state is State.STOPPED)


def test_leaving_ends_the_job_under_way(bench):
    with held(bench) as (reached, let_go), bench.station() as station:
        job = station.move_by(10)
        assert reached.wait(20)
        threading.Timer(0.05, let_go.set).start()
    assert station.job(job.id).state == "stopped"
    assert station.status().state is State.OFF


# Faults


def stalling(times):
    left = [times]

    def frame(camera, after_s, timeout_s):
        if left[0] > 0:
            left[0] -= 1
            raise CameraStalled("no frame within 2 s")
        return camera.frame(after_s, timeout_s)

    return frame


def test_a_stalled_camera_is_a_fault_with_a_way_out(seeing):
    with seeing.station() as station:
        camera = station._machine.setup.parts.camera._camera
        station._machine.setup.parts.camera._camera = Tampered(camera, stalling(1))
        job = done(station, station.focus(), "failed")
        fault = station.status().fault
        assert station.status().state is State.FAULT
        assert (fault.name, fault.cause) == ("camera-stalled", "no frame within 2 s")
        assert "cable" in fault.cure
        assert job.error == fault.cause
        done(station, station.focus())
        assert station.status().fault is None


def test_a_stage_that_fails_is_not_moved_on_unasked(station, bench):
    mechanics = bench.rig.scene.mechanics
    step = mechanics.step

    def breaks(*_):
        raise StageFault("no power")

    mechanics.step = breaks
    station.track(True)
    done(station, station.move_by(5), "failed")
    assert station.status().fault.name == "stage-failed"
    assert "no power" in station.status().untrusted_reason
    mechanics.step = step
    done(station, station.move_by(5))
    assert station.status().fault is None
    assert not station.status().trusted


def test_what_cannot_be_connected_is_tried_again(bench):
    read = bench.read

    def unreadable():
        raise UserError("there is no setting virtual.sede; did you mean seed?")

    bench.read = unreadable
    with Station(lambda: bench.read(), bench.parts) as station:
        until(lambda: station.status().state is State.FAULT)
        status = station.status()
        assert status.fault.name == "settings-unfit"
        assert (status.position_um, status.model) == (None, None)
        done(station, station.move_by(1), "failed")
        with pytest.raises(EdgeAfError, match="not connected"):
            station.confirm()
        assert "did you mean seed" in station.reload()
        bench.read = read
        done(station, station.move_by(1))
        assert station.status().fault is None


def test_a_bug_is_a_fault_too_and_the_worker_goes_on(station, bench):
    mechanics = bench.rig.scene.mechanics
    step, mechanics.step = mechanics.step, lambda *_: 1 / 0
    done(station, station.move_by(5), "failed")
    assert station.status().fault.name == "internal-error"
    assert "ZeroDivisionError" in station.status().fault.cause
    mechanics.step = step
    done(station, station.move_by(5))


def test_the_watchdog_is_told_of_a_driver_that_hangs(station, bench, monkeypatch):
    assert station.alive()
    monkeypatch.setattr(worker, "LATE_S", 0.2)
    with held(bench) as (reached, _):
        job = station.move_by(5)
        assert reached.wait(20)
        until(lambda: not station.alive())
    done(station, job)
    assert station.alive()


def test_who_asks_before_a_job_is_opened_does_not_wait_for_its_end(station):
    order, entered, go_on = [], threading.Event(), threading.Event()

    def block():
        entered.set()
        go_on.wait(20)

    asked = [threading.Thread(target=station._worker.ask, args=(block,))]
    asked[0].start()
    assert entered.wait(20)
    asked.append(threading.Thread(target=station._worker.ask, args=(lambda: order.append("ask"),)))
    asked[1].start()
    until(lambda: station._worker._errands)
    job = station.move_by(5)
    with station.subscribe() as news:
        go_on.set()
        for event in news:
            if event.kind == "job":
                order.append(event.data.state)
            if order[-1:] == ["done"]:
                break
    assert (order[0], order[-1]) == ("ask", "done")
    with held_open(station):
        for ask in (station.confirm, station.reload):
            with pytest.raises(BusyError, match="a move command is under way"):
                ask()
    for thread in asked:
        thread.join()
    assert station.job(job.id).ended


@contextmanager
def held_open(station):
    """Have a job that nobody begins."""
    job = station._jobs.open("move")
    yield
    station._jobs.close(job.id, "cancelled")


def test_the_end_of_a_job_and_the_state_after_it_are_one_piece_of_news(station):
    def matches(status):
        return (status.state in (State.IDLE, State.FAULT, State.STOPPED)) == (status.job is None)

    ended, strange = threading.Event(), []

    def poll():
        while not ended.is_set():
            status = station.status()
            queued = status.job is not None and status.job.state == "queued"
            if not queued and not matches(status):
                strange.append(status)

    poller = threading.Thread(target=poll)
    with station.subscribe() as news:
        poller.start()
        for _ in range(30):
            done(station, station.move_by(1))
            done(station, station.move_by(-1))
        ended.set()
        poller.join()
        told = [event.data for event in got(news) if event.kind == "status"]
    assert not strange
    assert told
    assert all(matches(status) for status in told)


# Tracking


def test_tracking_holds_and_a_command_pauses_it(seeing):
    seeing.tables["track"] = {"every_s": 0.05, "rest_s": 0}
    with seeing.station() as station:
        done(station, station.focus())
        station.track(True)
        until(lambda: station.status().state is State.TRACKING)
        done(station, station.move_by(1.5))
        assert station.status().tracking
        until(lambda: abs(seeing.rig.truth.defocus_um) < 1.0)
        station.stop()
        assert not station.status().tracking
        until(lambda: station.status().state is State.STOPPED)
        station.track(True)
        until(lambda: station.status().state is State.TRACKING)
        station.track(False)
        until(lambda: station.status().state is State.IDLE)


def test_tracking_ends_between_two_looks_too(seeing):
    seeing.tables["track"] = {"every_s": 3600}
    with seeing.station() as station:
        station.track(True)
        until(lambda: station.status().frames_per_s > 0)
        until(lambda: station._worker.lookout._look_s > time.monotonic() + 60)  # the look is over
        station.track(False)
        until(lambda: station.status().state is State.IDLE)


def test_tracking_comes_back_with_the_camera(seeing, monkeypatch):
    monkeypatch.setattr(condition, "_RETRY_FIRST_S", 0.01)
    seeing.tables["track"] = {"every_s": 0.05}
    with seeing.station() as station:
        station._worker.condition._retry_after_s = 0.01
        station.track(True)
        until(lambda: station.status().state is State.TRACKING)
        watched = station._machine.setup.parts.camera
        watched._camera = Tampered(watched._camera, stalling(2))
        with station.subscribe() as news:
            until(
                lambda: any(e.kind == "log" and "camera-stalled" in e.data.text for e in got(news))
            )
        until(lambda: station.status().state is State.TRACKING)
        assert station.status().fault is None


def got(news):
    while (event := news.get(0)) is not None:
        yield event


# Pictures


def test_frames_flow_only_while_watched(station, monkeypatch):
    monkeypatch.setattr(lookout, "_PREVIEW_PERIOD_S", 0.01)
    before = station.picture().number
    assert not threading.Event().wait(0.3)
    assert station.picture().number == before
    with station.watch():
        until(lambda: station.picture().number > before + 3)
        assert station.status().frames_per_s > 0
    number = station.picture(fresh=True).number
    assert number > before + 3
    assert not threading.Event().wait(0.1)
    assert station.picture().number <= number + 1


# News


def test_events_tell_of_jobs_states_and_positions(seeing):
    with seeing.station() as station, station.subscribe() as news:
        job = done(station, station.focus())
        kinds = {}
        until(lambda: kinds.update((e.kind, e) for e in got(news)) or len(kinds) >= 4)
    assert kinds["job"].data == job
    assert isinstance(kinds["position"].data, Position)
    belief = kinds["belief"].data
    assert len(belief.position_um) == len(belief.density)
    assert belief.position_um == sorted(belief.position_um)
    best_um = belief.position_um[belief.density.index(max(belief.density))]
    assert best_um == pytest.approx(job.result["end_um"], abs=1.0)
    for event in kinds.values():
        assert Event.model_validate_json(event.model_dump_json()) == event


def test_a_slow_subscriber_misses_news_and_holds_up_nobody():
    events = Events()
    slow = events.subscribe()
    for number in range(10_000):
        events.publish(Event(kind="position", data=Position(position_um=number, trusted=True)))
        line = LogLine(at="2026-01-01T00:00:00Z", level="info", text=str(number))
        events.publish(Event(kind="log", data=line))
    waiting = list(got(slow))
    assert len(waiting) <= 256
    assert waiting[-1].data.text == "9999"
    assert [e.data.position_um for e in waiting if e.kind == "position"] == [9999]


def test_a_closed_subscription_ends_its_iteration():
    events = Events()
    subscription, ended = events.subscribe(), threading.Event()
    reader = threading.Thread(target=lambda: (list(subscription), ended.set()))
    reader.start()
    events.close()
    assert ended.wait(10)
    reader.join()
    assert list(events.subscribe()) == []


def test_the_models_are_json(station):
    status = station.status()
    assert Status.model_validate_json(status.model_dump_json()) == status
    job = done(station, station.move_by(1))
    assert Job.model_validate_json(job.model_dump_json()) == job


# Reload


def test_a_model_that_does_not_fit_leaves_the_old_one(seeing, packed_model, tmp_path):
    with seeing.station() as station:
        name = station.status().model
        seeing.tables["model"] = str(tmp_path / "absent.tflite")
        assert "no such file" in station.reload()
        assert station.status().model == name
        seeing.tables["model"] = str(packed_model)
        assert station.reload() is None
        assert station.status().model == "tiny"
        assert station.status().state is State.IDLE
        made = seeing.made
        # The hardware was neither left nor entered: its position is still trusted if it was.
        station.confirm()
        assert station.reload() is None
        assert station.status().trusted
        assert seeing.made == made + 1  # tried, and not taken


def test_other_hardware_is_connected_anew_or_not_at_all(bench, station):
    bench.tables["guard"] = {"backlash_um": 1.0}
    station.confirm()
    assert station.reload() is None
    assert not station.status().trusted
    sound, bench.camera = bench.camera, Tampered(bench.rig.camera, stalling(1))
    bench.tables["guard"] = {"backlash_um": 2.0}
    assert station.reload() == "no frame within 2 s"
    assert station._machine.setup.config.guard.backlash_um == 1.0
    assert station.status().state is State.IDLE
    bench.camera = sound
    done(station, station.move_by(1))


# Position


def test_the_position_is_kept_at_the_end_and_marked_open_while_it_runs(bench, tmp_path):
    folder = tmp_path / "state"
    with bench.station() as station:
        assert not read_place(folder).closed
        station.confirm()
        done(station, station.move_by(4))
        place_um = station.status().position_um
        assert read_place(folder).position_um == pytest.approx(bench.rig.start_um)  # seldom
    place = read_place(folder)
    assert (place.position_um, place.trusted, place.closed) == (place_um, True, True)


def test_an_earlier_position_is_trusted_only_if_nothing_can_have_moved_it():
    place = Place(
        position_um=3, trusted=True, closed=True, boot=boot_id(), at="2026-01-01T00:00:00Z"
    )
    assert place.still_holds(keeps_place=True)
    assert not place.still_holds(keeps_place=False)
    for change in ({"trusted": False}, {"closed": False}, {"boot": "another"}):
        assert not place.model_copy(update=change).still_holds(keeps_place=True)


def test_a_damaged_place_is_no_place(tmp_path):
    assert read_place(tmp_path) is None
    (tmp_path / "position.json").write_text('{"position_um": ')
    assert read_place(tmp_path) is None


def test_a_count_goes_on_from_the_earlier_run(tmp_path, packed_model):
    rig = Rig(seed=3, kind="smear")
    mechanics = Mechanics(start_um=0.0)
    rig.driver, rig.start_um = VirtualStage(mechanics, rig.clock), 0.0
    bench = Bench(tmp_path, packed_model, rig)
    place = Place(position_um=7.04, trusted=True, closed=True, boot="", at="2026-01-01T00:00:00Z")
    write_place(tmp_path, place)
    with bench.station() as station:
        status = station.status()
        assert status.position_um == pytest.approx(7.0)
        assert "not confirmed since the start" in status.untrusted_reason
        done(station, station.move_to(9.0))
    assert mechanics.motor_um == pytest.approx(2.0)
    assert read_place(tmp_path).position_um == pytest.approx(9.0)


def test_a_board_that_kept_its_own_count_knows_better():
    rig = Rig(seed=3)
    stage = resumed(rig.driver, rig.start_um + 30)
    with stage:
        assert stage.position_um == rig.start_um


def test_a_state_folder_that_cannot_be_written_is_no_reason_not_to_work(tmp_path, packed_model):
    (tmp_path / "file").write_text("")
    bench = Bench(tmp_path / "file" / "below", packed_model)
    with bench.station() as station:
        # What it has learnt cannot be read either: that is a fault, for it may have been much.
        assert station.status().state in (State.IDLE, State.FAULT)


# Calibration


@pytest.mark.parametrize("goes_on", [True, False])
def test_a_job_that_waits_for_a_person_goes_on_or_is_stopped(station, goes_on):
    def between_fields(_, next_field):
        next_field(1)
        raise CalibrationError("far enough for this test")

    station._machine.calibrate = between_fields
    job = station.calibrate(2)
    until(lambda: station.job(job.id).state == "waiting")
    assert station.alive()
    if goes_on:
        station.proceed(job.id)
    else:
        station.stop()
    assert done(station, job, "failed" if goes_on else "stopped").ended
    done(station, station.move_by(1))


@pytest.mark.slow
def test_a_calibration_waits_for_the_slide_to_be_moved(tmp_path):
    rig = Rig(seed=3, kind="smear", defocus_um=4.0, frame_px=MODEL_FRAME_PX)
    bench = Bench(tmp_path, SHIPPED_MODEL, rig)
    with bench.station() as station:
        assert not station.status().calibrated
        job = station.calibrate(2)
        until(lambda: station.job(job.id).state == "waiting", 60)
        assert station.status().state is State.CALIBRATING
        waiting = station.job(job.id)
        assert (waiting.progress.done, waiting.progress.total) == (1, 2)
        assert "another field" in waiting.progress.what
        station.proceed(job.id)
        job = done(station, job)
        assert job.result["backlash_um"]["value"] == pytest.approx(2.5, abs=0.5)
        assert station.status().calibrated
        kept = read_state(tmp_path).calibration
        assert kept.backlash_um.value == job.result["backlash_um"]["value"]
        done(station, station.focus())
        with pytest.raises(UserError, match="does not wait"):
            station.proceed(job.id)
    assert rig.truth.crashes == 0


@pytest.mark.slow
def test_a_calibration_can_be_stopped_while_it_waits(seeing):
    with seeing.station() as station:
        job = station.calibrate(2)
        until(lambda: station.job(job.id).state == "waiting", 60)
        station.stop()
        done(station, job, "stopped")
        assert not station.status().calibrated
        done(station, station.move_by(1))
