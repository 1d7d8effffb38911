"""The client against a real service in this process."""

import threading
from pathlib import Path

import pytest
from services import api, free_port, wait_for

from edge_af.client import (
    BusyError,
    CommandError,
    NoServiceError,
    RefusedError,
    StillRunningError,
    connect,
)
from edge_af.errors import UserError
from edge_af.service.models import Job, Status


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with api(tmp_path_factory.mktemp("client")) as found:
        yield found


@pytest.fixture
def microscope(served):
    _, settings, _ = served
    with connect(settings.server.socket) as microscope:
        wait_for(microscope, lambda now: now.job is None)
        yield microscope


def test_five_lines_focus_a_microscope(served):
    _, settings, _ = served
    with connect(settings.server.socket) as microscope:
        answer = microscope.focus()
    assert answer.outcome == "focused"


def test_the_network_takes_a_token(served):
    _, settings, url = served
    token = (settings.state_folder / "token").read_text().strip()
    with connect(url, token) as microscope:
        assert microscope.status().step_um == 0.1
    with pytest.raises(RefusedError, match="no token") as refused:
        connect(url)
    assert "Bearer" in refused.value.cure


def test_moves_are_counted(microscope):
    begun_um = microscope.status().position_um
    moved = microscope.move_by(-1.5)
    assert moved.start_um == pytest.approx(begun_um)
    assert moved.end_um == pytest.approx(begun_um - 1.5, abs=0.051)
    assert microscope.move_to(begun_um).end_um == pytest.approx(begun_um, abs=0.051)


def test_a_move_past_the_limits_says_which(microscope):
    with pytest.raises(CommandError, match="um") as failed:
        microscope.move_to(90_000.0)
    assert failed.value.job.state == "failed"


def test_nonsense_is_refused(microscope):
    with pytest.raises(RefusedError, match="less than or equal"):
        microscope.move_to(1e9)
    with pytest.raises(RefusedError, match="no job"):
        microscope.job("none")
    with pytest.raises(RefusedError, match="ome"):
        microscope.collect("../../etc/passwd")


def test_busy_stop_and_cancel(microscope):
    begun = microscope.calibrate()
    with pytest.raises(BusyError, match="stop"):
        microscope.move_by(1.0)
    microscope.stop()
    assert microscope.wait(begun.id, 30).state == "stopped"
    assert microscope.jobs()[0].id == begun.id
    begun = microscope.calibrate()
    microscope.cancel(begun.id)
    assert microscope.wait(begun.id, 30).state == "cancelled"


def test_patience_has_an_end(microscope):
    with pytest.raises(StillRunningError, match="still runs") as running:
        microscope.focus(timeout_s=0.0)
    assert microscope.wait(running.value.job.id, 30).ended


def test_events_begin_with_how_things_stand(microscope):
    events = microscope.events()
    assert isinstance(next(events).data, Status)
    mover = threading.Thread(target=microscope.move_by, args=(-0.5,))
    mover.start()
    ended = next(one.data for one in events if isinstance(one.data, Job) and one.data.ended)
    assert ended.kind == "move"
    mover.join()
    events.close()


def test_a_frame_is_a_jpeg(microscope):
    assert microscope.frame(fresh=True).startswith(b"\xff\xd8")


def test_who_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(NoServiceError, match=r"no service listens at .*nobody; start it"):
        connect(tmp_path / "nobody")
    with pytest.raises(NoServiceError, match="Connection refused"):
        connect(f"http://127.0.0.1:{free_port()}")
    with pytest.raises(UserError, match="http://HOST:PORT"):
        connect("ftp://scope")
