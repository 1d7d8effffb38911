"""Preview and events: for many, for slow ones, and for nobody."""

import io
import json
import re
import socket
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest
from PIL import Image
from services import api, service, with_token

FOCUSES = 8
CLIENTS = 200
ONLOOKERS = Path(__file__).parents[1] / "onlookers.py"
UNIT = Path(__file__).parents[2] / "systemd/edge-af.service"


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("streams")
    with (
        api(folder, preview_clients=2, event_clients=2, preview_width_px=320) as (
            station,
            settings,
            url,
        ),
        with_token(settings, url) as client,
    ):
        yield station, settings, client


def parts(answer: httpx.Response):
    """Yield headers and content of each part of an MJPEG stream."""
    text = b""
    for chunk in answer.iter_raw():
        text += chunk
        while b"\r\n\r\n" in text:
            head, _, rest = text.partition(b"\r\n\r\n")
            first, *lines = head.strip().decode("ascii").split("\r\n")
            assert first == "--frame"
            headers = dict(line.split(": ", 1) for line in lines)
            length = int(headers["Content-Length"])
            if len(rest) < length + 2:
                break
            yield headers, rest[:length]
            text = rest[length + 2 :]


def soon(is_so) -> bool:
    until_s = time.monotonic() + 20
    while not is_so():
        if time.monotonic() > until_s:
            return False
        time.sleep(0.05)
    return True


def test_preview_frames_say_what_they_show(served):
    station, _, client = served
    with client.stream("GET", "/api/v1/preview") as answer:
        assert answer.headers["content-type"] == "multipart/x-mixed-replace; boundary=frame"
        seen = []
        for headers, body in parts(answer):
            about = json.loads(headers["X-Picture"])
            seen.append(about["number"])
            assert Image.open(io.BytesIO(body)).size == (320, 240)
            assert (about["width_px"], about["height_px"]) == (640, 480)
            if len(seen) == 4:
                break
    assert seen == sorted(set(seen))
    # Nobody looks any more: the camera is left alone.
    assert soon(lambda: station.status().frames_per_s == 0)


def test_who_is_one_too_many_is_told_and_a_place_comes_free(served):
    _, _, client = served
    for path in ("/api/v1/preview", "/api/v1/events"):
        with client.stream("GET", path) as one, client.stream("GET", path) as two:
            assert (one.status_code, two.status_code) == (200, 200)
            refused = client.get(path)
            assert refused.status_code == 503
            assert refused.json()["cure"]

        def is_free(path: str = path) -> bool:
            with client.stream("GET", path) as answer:
                return answer.status_code == 200

        assert soon(is_free)


def test_a_client_that_reads_nothing_misses_frames_and_holds_up_nobody(served):
    _, settings, client = served
    request = (
        "GET /api/v1/preview HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: {client.headers['authorization']}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", settings.server.port)) as asleep:
        asleep.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        asleep.sendall(request.encode())
        with client.stream("GET", "/api/v1/preview") as answer:
            stream = parts(answer)
            for _ in range(5):
                next(stream)
        assert client.get("/api/v1/status").status_code == 200


def test_events_begin_with_the_status_and_tell_of_moves(served):
    station, _, client = served
    with client.stream("GET", "/api/v1/events") as answer:
        lines = answer.iter_lines()
        assert next(lines) == "event: status"
        assert json.loads(next(lines).removeprefix("data: "))["state"]
        job = station.move_by(-0.5)
        for line in lines:
            if line.startswith("data: "):
                told = json.loads(line.removeprefix("data: "))
                if told.get("id") == job.id and told["state"] == "done":
                    break


def test_the_end_of_the_service_ends_the_streams(tmp_path):
    with ExitStack() as left_open:
        with api(tmp_path) as (_, settings, url):
            client = left_open.enter_context(with_token(settings, url))
            answers = [
                left_open.enter_context(client.stream("GET", f"/api/v1/{name}"))
                for name in ("events", "preview")
            ]
        for answer in answers:
            with suppress(httpx.RemoteProtocolError):  # cut off is an end too
                for _ in answer.iter_raw():
                    pass


def test_metrics_count_what_ended(served):
    station, _, client = served
    before = moves_done(client)
    station.wait(station.move_by(-0.5).id, 30)
    assert soon(lambda: moves_done(client) == before + 1)
    assert 'edge_af_state{edge_af_state="idle"} 1.0' in client.get("/metrics").text


def moves_done(client: httpx.Client) -> float:
    name = 'edge_af_jobs_total{kind="move",state="done"} '
    lines = client.get("/metrics").text.splitlines()
    return sum(float(line.removeprefix(name)) for line in lines if line.startswith(name))


@pytest.mark.slow
def test_two_hundred_clients_and_a_focus(tmp_path, record_property, capsys):
    """The ratio is for a reader: how busy this machine is besides is no fault of the service."""
    with service(tmp_path) as running, running.connect() as microscope:
        microscope.focus()  # warms up
        alone_s = [focused(microscope) for _ in range(FOCUSES)]
        command = [sys.executable, str(ONLOOKERS), str(running.socket), str(CLIENTS)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen(command, text=True, **pipes) as crowd:
            assert crowd.stdout.readline()
            crowded_s = [focused(microscope) for _ in range(FOCUSES)]
            peak_kb = int(re.findall(r"VmHWM:\s+(\d+)", running.about())[0])
            crowd.communicate(timeout=60)
        fault = microscope.status().fault
    ratio = statistics.median(crowded_s) / statistics.median(alone_s)
    record_property("ratio", ratio)
    with capsys.disabled():
        print(f"\n{CLIENTS} clients: a focus takes {ratio:.2f} times as long; {peak_kb} kB at most")
    assert crowd.returncode == 0
    assert fault is None
    (most_mb,) = re.findall(r"^MemoryMax=(\d+)M$", UNIT.read_text(), re.MULTILINE)
    assert peak_kb < int(most_mb) * 1024


def focused(microscope) -> float:
    microscope.move_by(-3.0)
    began_s = time.monotonic()
    microscope.focus()
    return time.monotonic() - began_s
