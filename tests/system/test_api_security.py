"""Over the network nothing moves without the token, nor by a foreign name or page."""

import os
import socket
import stat
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from services import api, free_port, with_token

from edge_af.errors import UserError
from edge_af.server.auth import Access, kept_token, own_names
from edge_af.server.listening import entrances
from edge_af.server.settings import ServerSettings

TOKEN = "a-token-of-no-one-in-particular"
MOVING = (
    ("POST", "/api/v1/focus", None),
    ("POST", "/api/v1/move", {"by_um": 1.0}),
    ("POST", "/api/v1/home", None),
    ("POST", "/api/v1/track", {"on": True}),
    ("POST", "/api/v1/calibrate", {}),
    ("POST", "/api/v1/collect", {"name": "a.ome.tif"}),
    ("POST", "/api/v1/stop", None),
    ("POST", "/api/v1/reload", None),
    ("POST", "/api/v1/confirm", None),
    ("DELETE", "/api/v1/jobs/1", None),
    ("POST", "/api/v1/jobs/1/proceed", None),
)
TELLING = tuple(
    ("GET", path, None)
    for path in (
        *(f"/api/v1/{name}" for name in ("status", "frame", "preview", "events", "history")),
        *("/api/v1/logs", "/api/v1/model", "/api/v1/jobs", "/api/v1/health", "/metrics"),
        "/api/v1/openapi.json",
    )
)


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    folder = tmp_path_factory.mktemp("security")
    with (
        api(folder, hosts=["scope.lab"]) as (station, settings, url),
        with_token(settings, url) as client,
    ):
        yield station, settings, client


def requests_refused(served, changed: dict[str, str | None], status: int):
    """Send every request with headers changed, and see that all are refused and nothing moves."""
    station, _, client = served
    before = station.status()
    headers = {**client.headers, **changed}
    headers = {name: value for name, value in headers.items() if value is not None}
    with httpx.Client(base_url=client.base_url) as bare:
        for method, path, body in MOVING + TELLING:
            answer = bare.request(method, path, json=body, headers=headers)
            assert answer.status_code == status, path
            assert answer.json().keys() == {"error", "cure"}
            assert answer.json()["cure"]
    after = station.status()
    assert station.jobs() == []
    assert (after.position_um, after.tracking) == (before.position_um, False)


@pytest.mark.parametrize(
    "authorization", [None, "", "Bearer", "Bearer wrong", f"Basic {TOKEN}", "Bearer é"]
)
def test_nothing_moves_without_the_token(served, authorization):
    changed = {"authorization": authorization}
    if authorization and not authorization.isascii():
        changed = {"authorization": authorization.encode()}
    requests_refused(served, changed, 401)


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost@evil.example"]
)
def test_nothing_moves_by_a_foreign_name(served, host):
    requests_refused(served, {"host": host}, 403)


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://127.0.0.1:1", "file://", ""]
)
def test_nothing_moves_for_a_foreign_page(served, origin):
    requests_refused(served, {"origin": origin}, 403)


def test_own_names_and_pages_may(served):
    _, settings, client = served
    port = settings.server.port
    for host in ("127.0.0.1", "localhost", "scope.lab", "SCOPE.LAB", *own_names(), "[::1]"):
        headers = {"host": f"{host}:{port}", "origin": f"http://{host}:{port}"}
        assert client.get("/api/v1/status", headers=headers).status_code == 200


def test_a_form_of_another_page_is_no_command(served):
    station, _, client = served
    answer = client.post(
        "/api/v1/move", content='{"by_um": 1}', headers={"content-type": "text/plain"}
    )
    assert answer.status_code == 422
    assert station.jobs() == []


def test_who_sends_too_much_is_refused(served):
    station, _, client = served
    much = b'{"by_um": 1, "x": "' + b"x" * 100_000 + b'"}'
    assert client.post("/api/v1/move", content=much).status_code == 413
    with suppress(httpx.TransportError):  # it hangs up
        unsaid = client.post("/api/v1/move", content=iter([much]))  # without saying how much
        assert unsaid.is_error
    assert station.jobs() == []


def test_the_page_needs_no_token_and_loads_nothing_from_elsewhere(served):
    _, _, client = served
    with httpx.Client(base_url=client.base_url) as bare:
        answer = bare.get("/")
        if answer.status_code == 404:
            pytest.skip("there is no page yet")
        assert answer.status_code == 200
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert bare.get("/", headers={"host": "evil.example"}).status_code == 403


def test_the_socket_is_for_owner_and_group(served):
    _, settings, _ = served
    about = settings.server.socket.stat()
    assert stat.S_ISSOCK(about.st_mode)
    assert stat.S_IMODE(about.st_mode) == 0o660


def test_on_the_socket_no_token_is_asked(served):
    _, settings, _ = served
    transport = httpx.HTTPTransport(uds=str(settings.server.socket))
    with httpx.Client(transport=transport, base_url="http://anything") as client:
        assert client.get("/api/v1/status").status_code == 200


def test_a_new_token_is_its_owners_alone(tmp_path: Path):
    path = tmp_path / "state" / "token"
    token = kept_token(path)
    assert len(token) >= 40
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert kept_token(path) == token


@pytest.mark.parametrize("kept", ["", "short", "x" * 15, "fünfzehn Zeichen sind es", "a\nb" * 9])
def test_a_token_that_is_easily_guessed_is_refused(tmp_path: Path, kept: str):
    (tmp_path / "token").write_text(kept)
    with pytest.raises(UserError, match="remove the file"):
        kept_token(tmp_path / "token")


@given(st.text(), st.text())
def test_any_name_is_judged_and_no_token_passes(host: str, token: str):
    access = Access(TOKEN, {"scope"})
    refusal = access.refuses_place({"host": host})
    assert refusal is None or refusal.status == 403
    refusal = access.refuses_person({"authorization": token})
    assert refusal is not None
    assert refusal.status == 401


def test_a_second_service_does_not_take_the_socket(tmp_path: Path):
    settings = ServerSettings(socket=tmp_path / "s")
    with entrances(settings, tmp_path):
        with pytest.raises(UserError, match="listens at"), entrances(settings, tmp_path):
            pass
        assert settings.socket.is_socket()
    assert not settings.socket.exists()


def test_what_a_killed_service_left_is_replaced(tmp_path: Path):
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(os.fspath(tmp_path / "s"))
    with entrances(ServerSettings(socket=tmp_path / "s"), tmp_path):
        assert (tmp_path / "s").is_socket()


def test_a_port_that_is_taken_is_told(tmp_path: Path):
    port = free_port()
    with (
        socket.create_server(("127.0.0.1", port)),
        pytest.raises(UserError, match="another program"),
        entrances(ServerSettings(socket=tmp_path / "s", port=port), tmp_path),
    ):
        pass
    assert not (tmp_path / "s").exists()
