"""`edge-af run` as a process: what it does for whom it serves, and when it is told to end."""

import json
import os
import re
import signal
import socket
import threading
import time
from pathlib import Path

import httpx
import pytest
from services import api, service, wait_for, with_token

from edge_af.cli import main
from edge_af.client import Microscope, StillRunningError
from edge_af.service.models import Job

TOP_UM, LOW_UM = 50.0, -5.0
"""Within the reach of a stage that is not trusted, with the seed that is used here."""


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]):
    """Run a command line; return its exit code, standard output and standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        capsys.readouterr()
        code = main(arguments)
        return code, *capsys.readouterr()

    return run


@pytest.mark.slow  # half a minute of doing nothing
def test_idle_it_takes_little_of_the_machine(tmp_path: Path):
    with service(tmp_path) as running, running.connect() as microscope:
        for distance_um in (0.0, -4.0):
            microscope.move_by(distance_um)
            assert microscope.focus().outcome == "focused"
        folder = Path(f"/proc/{running.process.pid}")
        before_s = used_s(folder)
        time.sleep(30)
        assert used_s(folder) - before_s < 0.03 * 30
        (resident,) = re.findall(r"VmRSS:\s+(\d+) kB", running.about())
        assert int(resident) < 120 * 1024


def used_s(folder: Path) -> float:
    """Return how much of a processor a process has used."""
    user, system = (folder / "stat").read_text().rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


@pytest.mark.slow  # a calibration takes its time, and this is one and a half
def test_calibration_by_command_line_asks_for_each_field(tmp_path: Path, cli, monkeypatch):
    asked = []
    monkeypatch.setattr("edge_af.cli.calibrate._ask_for_next_field", asked.append)
    with service(tmp_path) as running, running.connect() as microscope:
        where = ("--service", str(running.socket))
        code, out, err = cli("calibrate", "--fields", "2", "--json", *where)
        assert (code, err) == (0, "")
        found = json.loads(out)["calibration"]
        assert asked == [1]
        assert found["step_um"]["value"] == pytest.approx(0.1, rel=0.1)
        assert microscope.status().calibrated

        def had_enough(_: int) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr("edge_af.cli.calibrate._ask_for_next_field", had_enough)
        assert cli("calibrate", "--fields", "2", *where)[0] == 130
        ended = wait_for(microscope, lambda now: now.job is None)
        assert ended.state == "stopped"
        assert microscope.jobs()[0].state == "cancelled"
        code, _, err = cli("calibrate", "--no-model", *where)
        assert code == 2
        assert "a service has its own settings" in err


def test_focus_by_client_and_command_line(tmp_path: Path, cli):
    with service(tmp_path) as running, running.connect() as microscope:
        answer = microscope.focus()
        assert answer.outcome == "focused"
        assert microscope.status().last == answer
        assert abs(microscope.status().position_um - answer.end_um) < 0.11

        where = ("--json", "--service", str(running.socket))

        def answered(*arguments: str) -> dict:
            code, out, err = cli(*arguments, *where)
            assert (code, err) == (0, "")
            return json.loads(out)

        assert answered("focus")["outcome"] == "focused"
        moved = answered("move", "--by", "-2")
        assert moved["end_um"] - moved["start_um"] == pytest.approx(-2, abs=0.051)
        assert answered("status")["state"] == "idle"
        assert answered("track", "on") == {"tracking": True}
        assert answered("stop") == {"stopped": True}
        assert not microscope.status().tracking
        assert cli("move", "-1000", *where)[0] == 1
        kinds = [entry["kind"] for entry in microscope.history()]
        assert kinds[:3] == ["start", "focus", "focus"]

        running.signal(signal.SIGTERM)
        assert running.process.wait(30) == 0
    assert "Traceback" not in running.log.read_text()
    assert not running.socket.exists()


def test_stop_in_mid_move_then_kill_in_mid_move(tmp_path: Path):
    with service(tmp_path) as running, running.connect() as microscope:
        job = stopped_in_mid_move(microscope)
        assert job.state == "stopped"
        assert microscope.status().state == "stopped"
        stopped_um = microscope.status().position_um
        assert LOW_UM + 1 < stopped_um < TOP_UM - 1

        microscope.confirm()
        assert microscope.status().trusted
        with pytest.raises(StillRunningError):
            microscope.move_to(LOW_UM if stopped_um > 20 else TOP_UM, timeout_s=0.0)
        wait_for(microscope, lambda now: now.state == "moving" or now.job is None)
        running.process.kill()
        running.process.wait()

    with service(tmp_path) as running, running.connect() as microscope:
        now = microscope.status()
        assert not now.trusted
        assert now.untrusted_reason
        assert microscope.focus().outcome in ("focused", "abstained")


def stopped_in_mid_move(microscope: Microscope) -> Job:
    """Stop a move from end to end; on a machine that has no time it may take several."""
    for target_um in (LOW_UM, TOP_UM) * 5:
        with pytest.raises(StillRunningError) as moving:
            microscope.move_to(target_um, timeout_s=0.0)
        wait_for(microscope, lambda now: now.state == "moving" or now.job is None)
        microscope.stop()
        job = microscope.wait(moving.value.job.id, 30)
        if job.state == "stopped":
            break
    return job


def test_reload_keeps_the_old_where_the_new_does_not_fit(tmp_path: Path):
    with service(tmp_path) as running, running.connect() as microscope:
        before = microscope.status().model
        config = tmp_path / "config.toml"
        good = config.read_text()
        (tmp_path / "bad.tflite").write_bytes(b"no model")
        config.write_text(f'model = "{tmp_path / "bad.tflite"}"\n{good}')
        running.signal(signal.SIGHUP)
        log_says(running.log, "stay")
        assert microscope.status().model == before
        config.write_text(good.replace("seed = 3", "seed = 3\nno_such = 1"))
        running.signal(signal.SIGHUP)
        log_says(running.log, "no_such")
        config.write_text(good)
        running.signal(signal.SIGHUP)
        log_says(running.log, "are in use")
        assert microscope.status().model == before
        assert microscope.move_by(-1.0)


def log_says(log: Path, what: str) -> None:
    until_s = time.monotonic() + 30
    while what not in log.read_text():
        assert time.monotonic() < until_s, log.read_text()
        time.sleep(0.05)


def test_systemd_is_told(tmp_path: Path):
    address = tmp_path / "notify"
    told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    told.settimeout(30)
    told.bind(str(address))
    with told:
        environment = {"NOTIFY_SOCKET": str(address), "WATCHDOG_USEC": "600000"}
        with service(tmp_path, environment=environment) as running:
            assert told.recv(200) == b"READY=1"
            assert {told.recv(200) for _ in range(2)} == {b"WATCHDOG=1"}
            running.signal(signal.SIGHUP)
            messages = [message_but_watchdog(told) for _ in range(2)]
            assert messages[0].startswith(b"RELOADING=1\nMONOTONIC_USEC=")
            assert messages[1] == b"READY=1"
            running.signal(signal.SIGTERM)
            assert message_but_watchdog(told) == b"STOPPING=1"


def message_but_watchdog(told: socket.socket) -> bytes:
    while (message := told.recv(200)) == b"WATCHDOG=1":
        pass
    return message


def test_the_second_sigterm_ends_it_at_once(tmp_path: Path):
    with service(tmp_path) as running:
        running.connect().close()
        running.signal(signal.SIGTERM)
        running.signal(signal.SIGTERM)
        # Which of the two it sees first is the kernel's choice; it ends, and not by an error.
        assert running.process.wait(30) in (0, -signal.SIGTERM)


def test_bad_settings_end_it_with_one_line(tmp_path: Path, cli):
    (tmp_path / "c.toml").write_text('[virtual]\n[server]\naddress = "scope"\n')
    code, _, err = cli("run", "--config", str(tmp_path / "c.toml"))
    assert code == 2
    assert "0.0.0.0 for the whole network" in err
    assert len(err.splitlines()) == 1


def test_stop_works_while_the_api_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The loop of the API is made to hang for real, as a bug in it would."""
    release = threading.Event()
    with api(tmp_path) as (station, settings, url), with_token(settings, url) as client:
        here_um = station.status().position_um
        target_um = LOW_UM if here_um > 20 else TOP_UM
        job = client.post("/api/v1/move", params={"wait": "false"}, json={"to_um": target_um})
        with monkeypatch.context() as patched:
            patched.setattr(station, "job", lambda _: release.wait(60))
            hanging = threading.Thread(target=ask_for_a_job, args=(settings, url))
            hanging.start()
            assert hangs(client)
            answer = client.post("/api/v1/stop", timeout=5)
            assert answer.json() == {"stopped": True}
            with httpx.Client(transport=httpx.HTTPTransport(uds=str(settings.server.socket))) as by:
                assert by.post("http://edge-af/api/v1/stop", timeout=5).status_code == 200
            release.set()
            hanging.join()
        assert station.wait(job.json()["id"], 30).state in ("stopped", "done")
        assert client.get("/api/v1/status").json()["state"] in ("stopped", "idle")


def hangs(client: httpx.Client) -> bool:
    for _ in range(100):
        try:
            client.get("/api/v1/status", timeout=0.5)
        except httpx.ReadTimeout:
            return True
    return False


def ask_for_a_job(settings, url: str) -> None:
    with with_token(settings, url) as client:
        client.get("/api/v1/jobs/any")
