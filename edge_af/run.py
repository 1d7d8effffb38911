"""The service: the instrument, who talks to it, and what systemd is told."""

import asyncio
import logging
import signal
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from types import FrameType

from edge_af.config import read_config
from edge_af.errors import EdgeAfError
from edge_af.heap import give_back_freed_memory, keep_freed_memory
from edge_af.instrument import State
from edge_af.journal import Journal
from edge_af.mqtt_settings import MqttSettings
from edge_af.sd_notify import Notifier, watchdog_period_s
from edge_af.server.app import make_app
from edge_af.server.listening import Listening, entrances
from edge_af.server.loops import LoopThread, held
from edge_af.service.historian import keeping_history
from edge_af.service.station import Station

_CHECK_S = 5.0
"""How often it looks whether all of it still lives, where systemd does not ask for more."""

_SWITCH_S = 0.0005
"""So long a thread that computes may keep the one that moves waiting; Python's 5 ms, taken at each
of the hundreds of turns of a focus, would double its time beside many clients."""

_log = logging.getLogger(__name__)


def serve(path: Path) -> None:
    """Run the service by the settings in `path`, until SIGTERM or SIGINT.

    Then the motor is stopped; the second one ends the process at once. SIGHUP reads the settings
    again. Raises UserError.
    """
    keep_freed_memory()
    sys.setswitchinterval(_SWITCH_S)
    with _signals() as told, ExitStack() as service:
        config = read_config(path)
        systemd = Notifier()
        doors = service.enter_context(entrances(config.server, config.state_folder))
        journal = service.enter_context(Journal(config.state_folder, config.history))
        station = Station(lambda: read_config(path))
        service.enter_context(keeping_history(station, journal))
        service.enter_context(station)
        app = make_app(station, config, journal)
        listening = service.enter_context(Listening(app, doors, station.stop))
        if config.mqtt is not None:
            service.enter_context(_fleet(config.mqtt, station))
        for door in doors:
            _log.info("listening at %s", door.name)
        systemd.ready()
        _watch(station, listening, systemd, told)
        station.stop()
        systemd.stopping()


def _watch(
    station: Station, listening: Listening, systemd: Notifier, told: "SimpleQueue[int]"
) -> None:
    """Feed the watchdog, and do what signals ask, until one asks for the end.

    It waits for nothing but signals: neither a loop nor an instrument that hangs holds one up.
    """
    limit_s = watchdog_period_s()
    every_s = min(_CHECK_S, limit_s / 3) if limit_s else _CHECK_S
    lived = True
    while True:
        have_answered = listening.ask()
        signal_number = _next(told, every_s)
        lives = station.alive() and have_answered()
        if lives:
            systemd.alive()
            if station.status().state is State.IDLE:
                give_back_freed_memory()
        if lives != lived and signal_number is None:
            _log.log(*(_LIVES_AGAIN if lives else _HANGS))
            lived = lives
        if signal_number == signal.SIGHUP:
            reload = threading.Thread(target=_reload, args=(station, systemd), daemon=True)
            reload.start()
        elif signal_number is not None:
            _log.info("told to stop by %s", signal.Signals(signal_number).name)
            return


_LIVES_AGAIN = (logging.INFO, "camera, motor and API answer again")
_HANGS = (logging.ERROR, "camera, motor or API does not answer: the watchdog is not fed")


def _reload(station: Station, systemd: Notifier) -> None:
    systemd.reloading()
    try:
        reason = station.reload()
    except EdgeAfError as error:
        reason = str(error)
    if reason is None:
        _log.info("new settings and model are in use")
    else:
        _log.error("the old settings and model stay: %s", reason)
    systemd.ready()


@contextmanager
def _fleet(settings: MqttSettings, station: Station) -> Iterator[None]:
    from edge_af.mqtt import Fleet

    @asynccontextmanager
    async def reporting() -> AsyncIterator[None]:
        task = asyncio.create_task(Fleet(settings, station).run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    with LoopThread("mqtt") as loop, held(loop, reporting()):
        yield


def _next(told: "SimpleQueue[int]", within_s: float) -> int | None:
    try:
        return told.get(timeout=within_s)
    except Empty:
        return None


@contextmanager
def _signals() -> Iterator["SimpleQueue[int]"]:
    """Queue SIGHUP, and the first SIGTERM or SIGINT; the next of those ends the process at once."""
    told: SimpleQueue[int] = SimpleQueue()  # its put may interrupt its get

    def tell(number: int, _: FrameType | None) -> None:
        if number != signal.SIGHUP:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
        told.put(number)

    before = {
        number: signal.signal(number, tell)
        for number in (signal.SIGHUP, signal.SIGTERM, signal.SIGINT)
    }
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
