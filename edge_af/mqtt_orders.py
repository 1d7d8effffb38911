"""Commands that come by MQTT are run once each, and answered."""

import logging
from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from edge_af.errors import EdgeAfError
from edge_af.mqtt_commands import (
    Answer,
    BadCommandError,
    Calibrate,
    Cancel,
    Command,
    Focus,
    Home,
    Move,
    Proceed,
    Stop,
    Track,
    read_command,
)
from edge_af.service.models import Job
from edge_af.service.station import Station
from hw.errors import HardwareError

_REMEMBERED = 1000
_log = logging.getLogger(__name__)


class _Order(NamedTuple):
    command: Command
    answer: Answer


class Orders:
    """Hands commands to the station and what becomes of them to `say`. For one thread.

    An id is good for one command: one that comes again with it, as MQTT and senders may do to be
    sure, is only answered again. The latest 1000 are remembered.
    """

    def __init__(self, station: Station, say: Callable[[Answer], None]) -> None:
        self._station = station
        self._say = say
        self._orders: OrderedDict[str, _Order] = OrderedDict()
        self._followed: dict[str, Answer] = {}
        """By the job's id: what was last said of it."""

    def take(self, payload: bytes) -> None:
        """Do what `payload` (JSON) says, or answer why not. Never raises."""
        try:
            command = read_command(payload)
        except BadCommandError as error:
            self._say(Answer(id=error.id, error=str(error)))
            return
        if isinstance(command, Stop):
            self._say(_tried(command.id, self._station.stop))
            return
        order = self._orders.get(command.id)
        if order is None:
            self._remember(command, self._given(command))
        elif order.command != command:
            used = f"the id {command.id} was used for another command: give each one its own"
            self._say(Answer(id=command.id, error=used))
            return
        self._say(self._orders[command.id].answer)

    def follow(self, job: Job) -> None:
        """Tell the sender if the state of a job that it asked for has changed."""
        told = self._followed.get(job.id)
        if told is None or told.job is None or told.job.state == job.state:
            return
        answer = told.model_copy(update={"job": job})
        self._followed[job.id] = answer
        if job.ended:
            del self._followed[job.id]
        if order := self._orders.get(answer.id or ""):
            self._orders[order.command.id] = order._replace(answer=answer)
        self._say(answer)

    def _given(self, command: Command) -> Answer:
        answer = _tried(command.id, lambda: _give(command, self._station))
        if answer.job is not None and not answer.job.ended:
            self._followed.setdefault(answer.job.id, answer)
        return answer

    def _remember(self, command: Command, answer: Answer) -> None:
        self._orders[command.id] = _Order(command, answer)
        if len(self._orders) > _REMEMBERED:
            self._orders.popitem(last=False)


def _tried(id: str | None, action: Callable[[], Job | None]) -> Answer:
    try:
        return Answer(id=id, job=action())
    except (EdgeAfError, HardwareError) as error:
        return Answer(id=id, error=str(error))
    except Exception as error:
        # Whatever is wrong in here, the next command may be a stop.
        _log.exception("the command %s failed", id)
        return Answer(id=id, error=f"{type(error).__name__} in edge-af; see its log")


def _give(command: Command, station: Station) -> Job | None:
    match command:
        case Focus():
            return station.focus(command.x_um, command.y_um)
        case Move(to_um=float(to_um)):
            return station.move_to(to_um)
        case Move(by_um=float(by_um)):
            return station.move_by(by_um)
        case Home():
            return station.home()
        case Track():
            station.track(command.on)
        case Calibrate():
            return station.calibrate(command.fields)
        case Proceed():
            return station.proceed(command.job)
        case Cancel():
            return station.cancel(command.job)
    return None
