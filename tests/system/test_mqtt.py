"""The microscope in a fleet, over a real broker."""

import asyncio
import json
import logging
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest
from broker import Broker, Lab, require_mosquitto
from checkout import ROOT

from edge_af.config import read_config
from edge_af.instrument import State
from edge_af.mqtt import Fleet
from edge_af.mqtt_settings import MqttSettings
from edge_af.server.loops import LoopThread, held
from edge_af.service.station import Station

NAME = "scope-1"
RETRY_S = 0.05


class Journal:
    """What the service logs, read from top to bottom."""

    def __init__(self, caplog: pytest.LogCaptureFixture) -> None:
        self._caplog = caplog
        self._read = 0

    def wait_for(self, pattern: str) -> None:
        """Read on to the line that fits, once there is one."""
        for _ in range(600):
            for number, line in enumerate(self._caplog.messages[self._read :]):
                if re.search(pattern, line):
                    self._read += number + 1
                    return
            time.sleep(0.05)
        raise AssertionError(self._caplog.text)


@pytest.fixture
def journal(caplog: pytest.LogCaptureFixture) -> Journal:
    caplog.set_level(logging.INFO, "edge_af")
    return Journal(caplog)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    require_mosquitto()
    with Broker(tmp_path) as broker:
        yield broker


@pytest.fixture
def lab(broker: Broker) -> Iterator[Lab]:
    with Lab(broker, NAME) as lab:
        yield lab


def settings_in(folder: Path, more: str = "") -> Path:
    """A virtual microscope with room for a move of seconds."""
    path = folder / "config.toml"
    path.write_text(
        f'''state_folder = "{folder}/state"
        [virtual]
        [guard]
        untrusted_low_um = -400
        untrusted_high_um = 400
        uncalibrated_budget_um = 1000
        {more}'''
    )
    return path


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    settings = settings_in(tmp_path_factory.mktemp("station"))
    with Station(lambda: read_config(settings)) as station:
        with station.subscribe() as news:
            while station.status().state is State.STARTING:
                news.get(0.1)
        yield station


def far_um(station: Station) -> float:
    """A distance that takes seconds to move."""
    position_um = station.status().position_um
    assert position_um is not None
    return 250.0 if position_um < 0 else -250.0


@contextmanager
def running(broker: Broker, station: Station, **settings: object) -> Iterator[None]:
    table = {"host": "127.0.0.1", "port": broker.port, "name": NAME} | settings
    fleet = Fleet(MqttSettings.model_validate(table), station, RETRY_S)

    @asynccontextmanager
    async def reporting() -> AsyncIterator[None]:
        task = asyncio.create_task(fleet.run())
        yield
        task.cancel()
        await asyncio.wait([task])

    with LoopThread("mqtt") as loop, held(loop, reporting()):
        yield


@pytest.fixture
def serving(broker: Broker, station: Station, lab: Lab) -> Iterator[None]:
    with running(broker, station):
        lab.online()
        yield


@pytest.mark.usefixtures("serving")
def test_commands_are_carried_out_and_answered(lab: Lab, station: Station):
    lab.send(id="f", command="focus")
    focused = lab.job("f")
    assert (focused["state"], focused["kind"]) == ("done", "focus")
    assert focused["result"]["outcome"] == "focused"

    lab.send(id="m", command="move", by_um=-4.0)
    moved = lab.job("m")["result"]
    assert moved["end_um"] - moved["start_um"] == pytest.approx(-4.0, abs=0.2)
    position_um = lab.wait_for(
        "status", lambda status: status["position_um"] == pytest.approx(moved["end_um"])
    )["position_um"]
    assert position_um == pytest.approx(station.status().position_um)

    lab.send(id="t", command="track", on=True)
    assert lab.answer("t") == {"id": "t", "job": None, "error": None}
    lab.wait_for("status", lambda status: status["tracking"])
    lab.send(command="stop")
    assert lab.answer(None)["error"] is None
    assert not station.status().tracking


@pytest.mark.usefixtures("serving")
def test_a_stop_is_not_behind_the_command_that_runs(lab: Lab, station: Station):
    lab.send(id="long", command="move", by_um=far_um(station))
    lab.job("long", "running")
    lab.send(id="other", command="focus")
    assert re.search("move command is under way", lab.answer("other")["error"])

    lab.send(id=None, command="stop", anything="else")

    assert lab.job("long")["state"] == "stopped"
    assert lab.answer(None)["error"] is None
    lab.status("stopped")


@pytest.mark.usefixtures("serving")
def test_a_job_can_be_cancelled(lab: Lab, station: Station):
    lab.send(id="long", command="move", by_um=far_um(station))
    job = lab.job("long", "running")["id"]
    lab.send(id="c", command="cancel", job=job)
    assert lab.job("long")["state"] == "cancelled"

    lab.send(id="d", command="cancel", job="unknown")
    assert "there is no job unknown" in lab.answer("d")["error"]


@pytest.mark.usefixtures("serving")
def test_an_id_that_comes_again_runs_once(lab: Lab, station: Station):
    before = [job.id for job in station.jobs()]
    for _ in range(3):
        lab.send(id="once", command="move", by_um=-2.0)
    done = lab.job("once")
    lab.forget()
    lab.send(id="once", command="move", by_um=-2.0)
    assert lab.job("once") == done

    lab.send(id="once", command="move", by_um=2.0)
    refused = lab.wait_for("result", lambda answer: answer["error"])
    assert "the id once was used for another command" in refused["error"]
    assert [job.id for job in station.jobs()] == [done["id"], *before]


@pytest.mark.usefixtures("serving")
def test_nonsense_is_answered_and_harms_nothing(lab: Lab, station: Station):
    before = station.jobs()
    for payload in (b"focus", b"\xff", b"[]", b"{}", b"null", b'{"id": "x", "command": "fly"}'):
        lab.send(payload)
    lab.send(b"x" * 2_000_000)  # more than the broker may pass on
    lab.send(id="t", command="track", on=False)

    assert lab.answer("t")["error"] is None
    refused = [answer for answer in lab.heard("result") if answer["error"]]
    assert len(refused) == 6
    assert "there is no command 'fly'" in lab.answer("x")["error"]
    assert station.jobs() == before


def test_a_retained_command_moves_nothing(broker: Broker, lab: Lab, station: Station):
    before = station.jobs()
    lab.send(id="old", command="focus", retain=True)

    for _ in range(2):
        with running(broker, station):
            lab.online()
            lab.send(id="t", command="track", on=False)
            lab.answer("t")
        lab.status("offline")
        lab.forget()

    assert station.jobs() == before


def test_the_status_is_kept_for_those_who_come_later(broker: Broker, station: Station):
    with running(broker, station):
        with Lab(broker, NAME) as lab:
            lab.online()
        with Lab(broker, NAME) as lab:
            status = lab.online()
            assert status.keys() == json.loads(station.status().model_dump_json()).keys()

    with Lab(broker, NAME) as lab:
        lab.status("offline")
        assert len(lab.heard("status")) == 1


@pytest.mark.usefixtures("serving")
def test_the_status_comes_once_a_second_at_most(lab: Lab, station: Station):
    lab.forget()
    started_s = time.monotonic()
    lab.send(id="long", command="move", by_um=far_um(station))
    lab.job("long")
    elapsed_s = time.monotonic() - started_s

    assert 1 <= len(lab.heard("status")) <= elapsed_s + 2


@pytest.mark.usefixtures("serving")
def test_a_broker_that_starts_anew_gets_the_answers(broker: Broker, lab: Lab, station: Station):
    command = {"id": "long", "command": "move", "by_um": far_um(station) / 2}
    lab.send(**command)
    job = lab.job("long", "running")["id"]
    broker.stop()
    assert station.wait(job, 30).state == "done"
    ended_um = station.status().position_um
    lab.forget()
    broker.start()

    lab.online()
    lab.send(**command)  # the answer may have come while the lab was not there to hear it
    assert lab.job("long")["state"] == "done"
    assert station.status().position_um == ended_um
    lab.send(id="next", command="move", by_um=1.0)
    assert lab.job("next")["state"] == "done"


def test_a_broker_that_comes_late_is_found(
    broker: Broker, station: Station, journal: Journal, caplog: pytest.LogCaptureFixture
):
    broker.stop()
    with running(broker, station):
        journal.wait_for(rf"no connection to 127.0.0.1:{broker.port}: .*refused")
        broker.start()
        with Lab(broker, NAME) as lab:
            lab.online()
    # Tried more than once, told once.
    assert len([line for line in caplog.messages if "no connection" in line]) == 1


@pytest.fixture
def killable(broker: Broker, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    server = f'[server]\nsocket = "{tmp_path}/socket"'
    mqtt = f'[mqtt]\nhost = "127.0.0.1"\nport = {broker.port}\nname = "{NAME}"'
    settings = settings_in(tmp_path, f"{server}\n{mqtt}")
    command = [
        sys.executable,
        "-c",
        "from edge_af.cli import main; main()",
        "run",
        "--config",
        settings,
    ]
    with subprocess.Popen(command, cwd=ROOT) as process:
        yield process
        process.kill()


def test_the_broker_tells_that_the_service_was_killed(lab: Lab, killable: subprocess.Popen[bytes]):
    lab.status("idle")
    lab.send(id="long", command="move", by_um=-250.0)
    lab.job("long", "running")

    killable.send_signal(signal.SIGKILL)

    assert lab.status("offline") == lab.heard("status")[-1]


def test_two_of_one_name_are_told(broker: Broker, lab: Lab, station: Station, journal: Journal):
    with running(broker, station):
        lab.online()
        with running(broker, station):
            journal.wait_for(
                "is lost .*another microscope may be called scope-1 too: see mqtt.name"
            )


def test_a_wrong_password_is_told(
    tmp_path: Path, station: Station, journal: Journal, caplog: pytest.LogCaptureFixture
):
    require_mosquitto()
    maker = shutil.which("mosquitto_passwd")
    if maker is None:
        pytest.skip("needs mosquitto_passwd, which comes with Debian's mosquitto")
    users, password = tmp_path / "users", tmp_path / "password"
    subprocess.run([maker, "-b", "-c", users, "scope", "sesame"], check=True, capture_output=True)
    password.write_text("open\n")

    with Broker(tmp_path, "allow_anonymous false", f"password_file {users}") as broker:
        with running(broker, station):
            journal.wait_for("wants a user: set mqtt.username and mqtt.password_file")
        named = {"username": "scope", "password_file": password}
        with running(broker, station, **named):
            journal.wait_for(f"refuses user scope: check .* and the password in {password}")
            password.write_text("sesame\n")
            journal.wait_for("connected to the MQTT broker")
        password.unlink()
        with running(broker, station, **named):
            journal.wait_for("cannot read mqtt.password_file: .*No such file")
    assert "sesame" not in caplog.text


def certificate(folder: Path) -> tuple[Path, Path]:
    """Make a certificate for localhost that is its own authority; and its key."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl to make a certificate: sudo apt-get install openssl")
    folder.mkdir()
    made, key = folder / "made.pem", folder / "key.pem"
    subprocess.run(
        [
            *(openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost", "-out", made, "-keyout", key),
        ],
        check=True,
        capture_output=True,
    )
    return made, key


def test_tls_trusts_the_authority_in_the_settings_alone(
    tmp_path: Path, station: Station, journal: Journal
):
    require_mosquitto()
    made, key = certificate(tmp_path / "broker")
    other, _ = certificate(tmp_path / "other")
    files = (f"certfile {made}", f"keyfile {key}", "allow_anonymous true")
    untrusted = "certificate of .* is not trusted .*: set mqtt.ca_file"

    with Broker(tmp_path, *files) as broker:
        trusted = {"host": "localhost", "tls": True, "ca_file": made}
        with running(broker, station, **trusted):
            journal.wait_for("connected to the MQTT broker localhost")
        with running(broker, station, **trusted | {"ca_file": other}):
            journal.wait_for(untrusted)
        with running(broker, station, **trusted | {"host": "127.0.0.1"}):
            journal.wait_for(untrusted)  # its name is localhost
        with running(broker, station, **trusted | {"ca_file": tmp_path / "none"}):
            journal.wait_for("cannot use mqtt.ca_file .*none: .*No such file")
