"""The page in a real browser, against the service on the virtual microscope."""

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edge_af.config import Config
from edge_af.journal import Journal
from edge_af.server.app import make_app
from edge_af.server.auth import Access, own_names
from edge_af.server.listening import Entrance, Listening
from edge_af.service.historian import keeping_history
from edge_af.service.station import Station

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright (pip)")
expect = playwright.expect

CHROMIUM = Path("/usr/bin/chromium")
TOKEN = "a-token-for-the-tests"
SLOW_MS = 30_000
FAR_UM = 120
NODE_MODULES = ("/usr/share/nodejs", "/usr/lib/node_modules", "/usr/local/lib/node_modules")
GRAVE = {"serious", "critical"}
BOTH = pytest.mark.parametrize("scheme", ["light", "dark"])

pytestmark = pytest.mark.skipif(
    not CHROMIUM.exists(), reason=f"there is no {CHROMIUM}: apt-get install chromium"
)


@dataclass
class Service:
    """A service that listens on a port of this machine, and when it was told to stop."""

    url: str
    station: Station
    stops_s: list[float] = field(default_factory=list)


@contextmanager
def apart(context):
    """Enter and leave a context on a thread of its own: playwright's loop runs on this one."""
    with ThreadPoolExecutor(1) as aside:
        entered = aside.submit(context.__enter__).result()
        try:
            yield entered
        finally:
            aside.submit(context.__exit__, None, None, None).result()


@contextmanager
def listening(station: Station, config: Config, journal: Journal, port: int = 0):
    """Serve the API and the page; return the service."""
    with ExitStack() as opened:
        line = opened.enter_context(socket.create_server(("127.0.0.1", port)))
        service = Service(f"http://127.0.0.1:{line.getsockname()[1]}/", station)

        def stop() -> None:
            service.stops_s.append(time.time())
            station.stop()

        entrance = Entrance(line, Access(TOKEN, own_names()), "the test's")
        app = make_app(station, config, journal)
        opened.enter_context(apart(Listening(app, [entrance], stop)))
        yield service


@pytest.fixture(scope="module")
def instrument(tmp_path_factory) -> Iterator[tuple[Station, Config, Journal]]:
    config = Config.model_validate(
        {
            "virtual": {"seed": 1},
            # Room for a move that lasts long enough to be stopped.
            "guard": {"untrusted_low_um": -400, "uncalibrated_budget_um": 1000},
            "focus": {"travel_budget_um": 1000},
            "state_folder": tmp_path_factory.mktemp("state"),
        }
    )
    with ExitStack() as opened:
        journal = opened.enter_context(Journal(config.state_folder, config.history))
        station = Station(lambda: config)
        opened.enter_context(keeping_history(station, journal))
        opened.enter_context(station)
        yield station, config, journal


@pytest.fixture(scope="module")
def service(instrument) -> Iterator[Service]:
    with listening(*instrument) as service:
        yield service


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@dataclass
class Watched:
    """What a page asked for, and what it complained of."""

    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@pytest.fixture
def visit(browser, service) -> Iterator[Callable]:
    """Open the page and wait until it is connected; its complaints fail the test."""
    with ExitStack() as opened:
        watched = Watched()

        def visit(url: str = service.url, *, token: bool = True, **look):
            context = browser.new_context(**look)
            opened.callback(context.close)
            if token:
                context.add_init_script(f"sessionStorage.setItem('edge-af token', '{TOKEN}')")
            page = context.new_page()
            page.on("request", lambda request: watched.requests.append(request.url))
            page.on("pageerror", lambda error: watched.complaints.append(str(error)))
            page.on("console", lambda said: note(watched, said))
            page.goto(url)
            if token:
                expect(page.locator("#link")).to_have_text("Connected", timeout=SLOW_MS)
                expect(page.locator("#focus")).to_be_enabled(timeout=SLOW_MS)
            return page

        visit.watched = watched
        yield visit
    assert watched.complaints == []


def note(watched: Watched, said) -> None:
    if said.type in ("error", "warning"):
        watched.complaints.append(said.text)


def shown(page) -> int:
    return int(page.locator("#picture").get_attribute("data-shown") or 0)


def wait_for_pictures(page, count: int) -> None:
    wanted, deadline_s = shown(page) + count, time.monotonic() + SLOW_MS / 1000
    while shown(page) < wanted:
        assert time.monotonic() < deadline_s, "the picture stands still"
        page.wait_for_timeout(50)


def test_the_page_shows_a_live_picture_and_asks_nobody_else(visit, service):
    page = visit()
    wait_for_pictures(page, 3)
    expect(page.locator("#overlay .tile").first).to_be_attached(timeout=SLOW_MS)
    expect(page.locator("#overlay")).to_contain_text(re.compile(r"\d+%"))
    expect(page.locator("#model")).not_to_be_empty()
    assert re.fullmatch(r"−?\d+\.\d\d", page.locator("#position").inner_text())
    assert {url for url in visit.watched.requests if not url.startswith(service.url)} == set()


@pytest.mark.slow
def test_a_held_preview_lets_go_of_the_camera(visit, service):
    page = visit()
    wait_for_pictures(page, 1)
    page.click("#pause")
    expect(page.locator(".stage")).to_have_attribute("data-stale", "")
    deadline_s = time.monotonic() + 20
    while service.station.status().frames_per_s > 0:
        assert time.monotonic() < deadline_s, "frames still flow"
        page.wait_for_timeout(200)
    page.click("#pause")
    wait_for_pictures(page, 1)


def test_focus_ends_in_focus(visit, service):
    page = visit()
    page.click("#focus")
    expect(page.locator("#message")).to_contain_text("In focus at", timeout=SLOW_MS)
    expect(page.locator("#state")).to_have_text("Idle")
    expect(page.locator("#believed")).to_contain_text("nine times in ten")
    expect(page.locator("#belief .curve")).to_be_attached()
    end_um = service.station.status().last.end_um
    assert page.locator("#position").inner_text().replace("−", "-") == f"{end_um:.2f}"
    # What was done is in the history, at once.
    expect(page.locator("#history .dot").last).to_be_attached()
    page.click("section:has(#history) summary")
    expect(page.locator("#entries tr").first).to_contain_text("focused")


def move_far(page, service) -> str:
    """Start a move that takes seconds; return its job once it moves."""
    here_um = service.station.status().position_um
    page.fill("#target", f"{here_um - FAR_UM:.1f}")
    page.click("#go-there")
    expect(page.locator("#state")).to_have_text("Moving")
    job = service.station.jobs()[0]
    assert job.kind == "move"
    deadline_s = time.monotonic() + 10
    while abs(service.station.status().position_um - here_um) < 2:
        assert time.monotonic() < deadline_s, "the stage does not move"
        time.sleep(0.01)
    return job.id


@pytest.mark.parametrize(
    "way",
    ["key", *(pytest.param(way, marks=pytest.mark.slow) for way in ("press", "screen reader"))],
)
def test_stop_in_a_move_stops_it(visit, service, way, record_property):
    page = visit()
    start_um = service.station.status().position_um
    id = move_far(page, service)
    before = len(service.stops_s)
    if way == "key":
        page.focus("#target")  # whatever has the focus
        page.keyboard.down("Escape")
    elif way == "press":
        page.hover("#stop")
        page.mouse.down()
    else:
        page.evaluate("document.getElementById('stop').click()")
    job = service.station.wait(id, 10)
    assert job.state == "stopped"
    expect(page.locator("#message")).to_have_text("Stopped.")
    expect(page.locator("#state")).to_have_text("Stopped")
    assert service.station.status().position_um > start_um - FAR_UM + 1, "it went all the way"
    (reached_s,) = service.stops_s[before:]
    stopped_ms = 1000 * (job.ended_at.timestamp() - reached_s)
    record_property("stopped_ms", round(stopped_ms, 1))
    print(f"stopped {stopped_ms:.1f} ms after the request reached the server ({way})")
    assert stopped_ms < 2000


@pytest.mark.slow
def test_stop_does_not_wait_for_other_requests(visit, service):
    page = visit()
    # With the two of the page itself, all of the connections that a browser has for one server.
    page.evaluate(
        """async () => {
          window.held = [];
          for (let n = 0; n < 4; n += 1) {
            const { body } = await fetch("api/v1/events", {
              headers: { Authorization: `Bearer ${sessionStorage.getItem("edge-af token")}` },
            });
            held.push(body);
          }
        }"""
    )
    before = len(service.stops_s)
    with page.expect_response("**/api/v1/stop"):
        page.keyboard.press("Escape")
    assert len(service.stops_s) == before + 1


@pytest.mark.slow
def test_jogs_stay_within_reach(visit, service):
    page = visit()
    status = service.station.status()
    for button in page.locator("#jog button").all():
        to_um = status.position_um + float(button.get_attribute("data-um"))
        inside = status.reachable_low_um <= to_um <= status.reachable_high_um
        assert button.get_attribute("aria-disabled") == str(not inside).lower()
    page.click("#jog button[data-um='1']")
    expect(page.locator("#message")).to_contain_text("Moved to", timeout=SLOW_MS)
    assert service.station.status().position_um == pytest.approx(
        status.position_um + 1, abs=status.step_um
    )
    page.fill("#target", "1e6")
    page.click("#go-there")
    expect(page.locator("#message")).to_contain_text("Within reach is")
    expect(page.locator("#target")).to_have_attribute("aria-invalid", "true")


@pytest.mark.slow
def test_tracking_is_switched_on_and_off(visit, service):
    page = visit()
    page.click("#track")
    expect(page.locator("#track")).to_have_attribute("aria-checked", "true")
    expect(page.locator("#state")).to_have_text("Tracking")
    page.keyboard.press("Escape")
    expect(page.locator("#track")).to_have_attribute("aria-checked", "false")
    assert not service.station.status().tracking


@pytest.mark.slow
def test_a_calibration_plots_as_it_goes_and_can_be_cancelled(visit, service):
    page = visit()
    page.fill("#fields", "99")
    page.click("#calibrate-start")
    expect(page.locator("#fields")).to_have_attribute("aria-invalid", "true")
    page.fill("#fields", "2")
    page.press("#fields", "Enter")
    expect(page.locator("#step-measure")).to_have_attribute("aria-current", "step")
    expect(page.locator("#measuring")).to_contain_text("Field 1 of 2")
    expect(page.locator("#loops .dot").nth(2)).to_be_attached(timeout=SLOW_MS)
    page.click("#cancel")
    expect(page.locator("#verdict")).to_contain_text("nothing has changed", timeout=SLOW_MS)
    expect(page.locator("#again")).to_be_focused()
    assert service.station.jobs()[0].state == "cancelled"
    page.click("#again")
    expect(page.locator("#prepare")).to_be_visible()


@pytest.mark.slow
def test_the_token_is_asked_for_and_kept(visit):
    page = visit(token=False)
    expect(page.locator("#door")).to_be_visible()
    page.fill("#token", "a wrong one")
    page.keyboard.press("Enter")
    expect(page.locator("#door-why")).to_contain_text("not its token")
    page.fill("#token", TOKEN)
    page.keyboard.press("Enter")
    expect(page.locator("#door")).to_be_hidden()
    expect(page.locator("#link")).to_have_text("Connected")
    wait_for_pictures(page, 1)
    page.reload()
    expect(page.locator("#link")).to_have_text("Connected")
    expect(page.locator("#door")).to_be_hidden()
    refused = [text for text in visit.watched.complaints if "401" in text]
    visit.watched.complaints[:] = [text for text in visit.watched.complaints if "401" not in text]
    assert refused  # the browser's own note of each refusal


@pytest.mark.slow
def test_a_lost_connection_is_told_and_comes_back(visit, instrument):
    with listening(*instrument) as first:
        page = visit(first.url)
        port = int(first.url.rsplit(":", 1)[1].strip("/"))
        wait_for_pictures(page, 1)
    expect(page.locator("#link")).to_have_text("Disconnected", timeout=SLOW_MS)
    expect(page.locator("#lost")).to_contain_text("connects again by itself")
    for control in ("#focus", "#track", "#go-there", "#calibrate-start", "#jog button"):
        expect(page.locator(control).first).to_be_disabled()
    expect(page.locator("#stop")).to_be_enabled()
    page.keyboard.press("Escape")
    expect(page.locator("#message")).to_contain_text("not confirmed", timeout=SLOW_MS)
    with listening(*instrument, port=port):
        expect(page.locator("#link")).to_have_text("Connected", timeout=SLOW_MS)
        expect(page.locator("#lost")).to_be_empty()
        expect(page.locator("#focus")).to_be_enabled()
        wait_for_pictures(page, 1)
    visit.watched.complaints.clear()  # the browser's own notes of each try


@pytest.mark.slow
@BOTH
@pytest.mark.parametrize("shape", ["desk", "phone"])
def test_it_fits_and_can_be_used(visit, scheme, shape, tmp_path):
    phone = shape == "phone"
    width, height = (390, 844) if phone else (1360, 900)
    page = visit(color_scheme=scheme, viewport={"width": width, "height": height}, has_touch=phone)
    wait_for_pictures(page, 1)
    page.screenshot(path=tmp_path / f"{shape}-{scheme}.png")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    buttons = [b for b in page.locator("main button, main summary").all() if b.is_visible()]
    assert len(buttons) > 10
    if phone:
        assert min(button.bounding_box()["height"] for button in buttons) >= 44
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    box = page.locator("#stop").bounding_box()
    assert box["y"] >= 0
    assert box["y"] + box["height"] <= height, "Stop is out of sight"


@pytest.mark.slow
@BOTH
def test_axe_finds_nothing_serious(visit, axe, scheme):
    page = visit(color_scheme=scheme)
    page.click("section:has(#history) summary")
    wait_for_pictures(page, 1)
    page.evaluate(axe)
    found = page.evaluate("axe.run()")["violations"]
    for one in found:
        print(one["impact"], one["id"], [node["html"][:200] for node in one["nodes"]])
    assert [one["id"] for one in found if one["impact"] in GRAVE] == []


@pytest.mark.slow
def test_it_can_be_done_by_keyboard_alone(visit):
    page = visit()
    reached = []
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.id || document.activeElement.tagName"))
    for control in ("stop", "focus", "track", "target", "go-there", "tiles", "pause", "fields"):
        assert control in reached
    assert reached.index("stop") < reached.index("focus")


@pytest.mark.slow
def test_a_position_is_trusted_once_a_person_confirms_it(visit, service):
    page = visit()
    expect(page.locator("#trust")).to_contain_text("Untrusted")
    expect(page.locator("#confirm")).to_be_hidden()  # not by a slip of the hand
    page.click("#doubt summary")
    page.click("#confirm")
    expect(page.locator("#trust")).to_have_text("Trusted")
    expect(page.locator("#doubt")).to_be_hidden()
    assert service.station.status().trusted


@pytest.fixture(scope="module")
def axe(tmp_path_factory) -> str:
    """The source of axe-core, from this machine or npm; it is no part of the repository."""
    for folder in (Path.home() / "node_modules", *map(Path, NODE_MODULES)):
        if (path := folder / "axe-core/axe.min.js").exists():
            return path.read_text()
    npm, folder = shutil.which("npm"), tmp_path_factory.mktemp("axe")
    if npm is None:
        pytest.skip("needs axe-core: npm install -g axe-core")
    try:
        command = [npm, "install", "--ignore-scripts", "--no-audit", "--no-fund", "axe-core@4"]
        subprocess.run([*command, "--prefix", folder], check=True, capture_output=True, timeout=60)
    except (subprocess.SubprocessError, OSError) as error:
        pytest.skip(f"axe-core cannot be had from npm: {error}")
    return (folder / "node_modules/axe-core/axe.min.js").read_text()
