"""The microscope in a fleet: status, commands and results over an MQTT broker."""

import asyncio
import contextlib
import logging
import random
import ssl
import threading
from collections import deque
from collections.abc import Callable, Iterator

import aiomqtt
from aiomqtt import MqttError, ProtocolVersion, Will
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_af.errors import UserError
from edge_af.mqtt_commands import Answer
from edge_af.mqtt_orders import Orders
from edge_af.mqtt_settings import MqttSettings
from edge_af.mqtt_trouble import explained
from edge_af.service.events import Subscription
from edge_af.service.models import Event, Job
from edge_af.service.station import Station
from edge_af.together import heed_cancellation, together

OFFLINE = '{"state":"offline"}'
"""The status while the service does not run, or cannot be reached."""

_QOS = 1
_STATUS_EVERY_S = 1.0
_STATUS_AT_LEAST_S = 60.0
_KEEPALIVE_S = 15
"""The broker misses one that fell silent after one and a half of these."""
_PATIENCE_S = 5.0
_FIRST_RETRY_S, _LAST_RETRY_S = 1.0, 60.0
_LARGEST_COMMAND = 16_384
_MOST_ANSWERS = 200
_RESTLESS = {"uptime_s": 0.0, "temperature_c": None, "frames_per_s": 0.0}
"""What changes all the time; alone, it is told once a minute."""
_NEWS = frozenset({"status", "job", "position"})

_log = logging.getLogger(__name__)


class Fleet:
    """Reports to a broker (MQTT 5) and takes commands from it.

    Whatever happens to broker or network, the instrument goes on as it was: a command under way is
    not stopped, answers wait, and the connection is tried again. Give it an event loop of its own:
    there a stop waits for nothing else.
    """

    def __init__(
        self, settings: MqttSettings, station: Station, first_retry_s: float = _FIRST_RETRY_S
    ) -> None:
        self._settings = settings
        self._station = station
        self._first_retry_s = first_retry_s
        self._answers: deque[Answer] = deque(maxlen=_MOST_ANSWERS)
        self._answered = asyncio.Event()
        self._changed = asyncio.Event()
        self._orders = Orders(station, self._say)
        self._trouble: str | None = None

    async def run(self) -> None:
        """Serve until cancelled; the status is then "offline". Raises nothing else."""
        loop = asyncio.get_running_loop()
        with _heard(self._station.subscribe(), self._hear):
            retry_s = self._first_retry_s
            while True:
                since_s = loop.time()
                self._tell(await self._session())
                if loop.time() - since_s > _LAST_RETRY_S:
                    retry_s = self._first_retry_s
                # A fleet that comes back all at once would fell the broker that has just started.
                await asyncio.sleep(retry_s * random.uniform(0.5, 1.0))
                retry_s = min(2 * retry_s, _LAST_RETRY_S)

    async def _session(self) -> Exception:
        """Connect and serve; return what ended it."""
        try:
            async with contextlib.AsyncExitStack() as connection:
                client = self._client()
                await self._connect(client)
                connection.push_async_exit(client)
                await self._serve(client)
        except Exception as error:
            heed_cancellation()
            return error
        heed_cancellation()
        return MqttError("the broker ended the connection")

    async def _connect(self, client: aiomqtt.Client) -> None:
        connecting = asyncio.create_task(client.__aenter__())
        try:
            await asyncio.wait([connecting])
        except asyncio.CancelledError:
            # Cancelled, aiomqtt would leave the socket open; finished, it can be closed.
            await _hang_up(client, connecting)
            raise
        connecting.result()

    async def _serve(self, client: aiomqtt.Client) -> None:
        (code,) = await client.subscribe(self._settings.topic("command"), _QOS)
        if isinstance(code, ReasonCode) and code.is_failure:
            raise UserError(
                f"the broker does not let it subscribe to {self._settings.topic('command')} "
                f"({code}): allow that in its access list"
            )
        _log.info("connected to the MQTT broker %s", self._settings.host)
        self._trouble = None
        try:
            await together(
                self._take_commands(client), self._send_answers(client), self._send_status(client)
            )
        except asyncio.CancelledError:
            with contextlib.suppress(MqttError):
                status = self._settings.topic("status")
                await client.publish(status, OFFLINE, _QOS, retain=True, timeout=_PATIENCE_S / 2)
            raise

    async def _take_commands(self, client: aiomqtt.Client) -> None:
        async for message in client.messages:
            if message.retain:
                # It is of any age, and would be carried out anew with every connection.
                _log.warning("a retained command is ignored: clear it in the broker")
                continue
            self._orders.take(message.payload)

    async def _send_answers(self, client: aiomqtt.Client) -> None:
        while True:
            self._answered.clear()
            while self._answers:
                answer = self._answers[0]
                topic = self._settings.topic("result")
                await client.publish(topic, answer.model_dump_json(), _QOS)
                # Not before: if the connection breaks, it is sent with the next one.
                if self._answers[0] is answer:
                    self._answers.popleft()
            await self._answered.wait()

    async def _send_status(self, client: aiomqtt.Client) -> None:
        loop = asyncio.get_running_loop()
        told, due_s = None, 0.0
        while True:
            self._changed.clear()
            status = self._station.status()
            lasting = status.model_copy(update=_RESTLESS)
            if lasting != told or loop.time() >= due_s:
                told, due_s = lasting, loop.time() + _STATUS_AT_LEAST_S
                topic = self._settings.topic("status")
                await client.publish(topic, status.model_dump_json(), _QOS, retain=True)
            await asyncio.sleep(_STATUS_EVERY_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_STATUS_AT_LEAST_S):
                    await self._changed.wait()

    def _say(self, answer: Answer) -> None:
        self._answers.append(answer)
        self._answered.set()

    def _hear(self, event: Event) -> None:
        if isinstance(event.data, Job):
            self._orders.follow(event.data)
        if event.kind in _NEWS:
            self._changed.set()

    def _client(self) -> aiomqtt.Client:
        settings = self._settings
        limits = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        limits.MaximumPacketSize = _LARGEST_COMMAND
        return aiomqtt.Client(
            settings.host,
            settings.port_in_use,
            # Two that have the same name push each other out, and say so, instead of both moving.
            identifier=settings.client_id,
            protocol=ProtocolVersion.V5,
            # No session is kept: what was sent while nobody listened is not carried out later.
            properties=limits,
            username=settings.username,
            password=self._password(),
            tls_context=self._tls(),
            will=Will(settings.topic("status"), OFFLINE, _QOS, retain=True),
            keepalive=_KEEPALIVE_S,
            timeout=_PATIENCE_S,
        )

    def _password(self) -> str | None:
        path = self._settings.password_file
        if path is None:
            return None
        try:
            return path.read_text().rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"cannot read mqtt.password_file: {error}") from error

    def _tls(self) -> ssl.SSLContext | None:
        if not self._settings.tls:
            return None
        try:
            context = ssl.create_default_context(cafile=self._settings.ca_file)
        except OSError as error:
            raise UserError(f"cannot use mqtt.ca_file {self._settings.ca_file}: {error}") from error
        context.sslsocket_class = _ClosedOnFailure
        return context

    def _tell(self, error: Exception) -> None:
        """Log a trouble once, not with every try."""
        trouble = explained(error, self._settings)
        if trouble == self._trouble:
            return
        self._trouble = trouble
        expected = isinstance(error, MqttError | OSError | UserError)
        _log.warning("MQTT: %s; trying again", trouble, exc_info=None if expected else error)


class _ClosedOnFailure(ssl.SSLSocket):
    """A socket that paho need not close when the handshake fails, for it does not."""

    def do_handshake(self, block: bool = False) -> None:
        """Shake hands, or close and raise what went wrong."""
        try:
            super().do_handshake(block)
        except BaseException:
            self.close()
            raise


async def _hang_up(client: aiomqtt.Client, connecting: asyncio.Task[aiomqtt.Client]) -> None:
    with contextlib.suppress(Exception):
        await connecting
        await client.__aexit__(None, None, None)


@contextlib.contextmanager
def _heard(news: Subscription, hear: Callable[[Event], None]) -> Iterator[None]:
    """Call `hear` in the running loop with each event that comes from other threads."""
    loop = asyncio.get_running_loop()

    def listen() -> None:
        for event in news:
            loop.call_soon_threadsafe(hear, event)

    listener = threading.Thread(target=listen, name="mqtt-news", daemon=True)
    with news:
        listener.start()
        try:
            yield
        finally:
            news.close()
            listener.join()
