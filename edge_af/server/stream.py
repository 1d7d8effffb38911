"""Answers that go on: the preview and the events."""

import asyncio
import io
import json
from collections.abc import AsyncGenerator, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from dataclasses import asdict

from PIL import Image
from starlette.responses import JSONResponse, Response
from starlette.types import Message, Receive, Scope, Send

from edge_af.server.answers import ErrorAnswer
from edge_af.server.hub import Hub
from edge_af.server.settings import ServerSettings
from edge_af.service.models import Event, Picture
from edge_af.service.station import Station

_QUALITY = 80
_PLACE_WITHIN_S = 5.0
"""For so long who is one too many waits for a place: told at once, many would ask all the time."""
_PATIENCE_S = 10.0
"""For so long a client may take nothing before it is let go, and its place is free."""
_EVENTS_EVERY_S = 0.1
"""A client gets its events in bunches, so that many of them are no load."""
_SIGN_OF_LIFE_S = 10.0


class Places:
    """So many clients at a time."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._free = asyncio.Semaphore(most)

    async def take(self) -> bool:
        """Take a place, and return True; False if none comes free in time."""
        try:
            async with asyncio.timeout(_PLACE_WITHIN_S):
                return await self._free.acquire()
        except TimeoutError:
            return False

    def leave(self) -> None:
        """Let the next one have the place."""
        self._free.release()


class Stream(Response):
    """An answer that goes on until its client leaves, or takes nothing any more."""

    def __init__(self, chunks: AsyncGenerator[bytes], media_type: str, places: Places) -> None:
        """Send what `chunks` yields, or 503 where all places stay taken."""
        super().__init__(media_type=media_type, headers={"cache-control": "no-store"})
        del self.headers["content-length"]
        self._chunks = chunks
        self._places = places

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream."""

        async def answer() -> None:
            if not await self._places.take():
                await _full(self._places)(scope, receive, send)
                return
            try:
                await self._send_all(send)
            finally:
                self._places.leave()

        await _first_of(answer(), _gone(receive))

    async def _send_all(self, send: Send) -> None:
        async def send_in_time(message: Message) -> None:
            async with asyncio.timeout(_PATIENCE_S):
                await send(message)

        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        with suppress(TimeoutError):
            await send_in_time(start)
            async with aclosing(self._chunks) as chunks:
                async for chunk in chunks:
                    await send_in_time(
                        {"type": "http.response.body", "body": chunk, "more_body": True}
                    )
            await send_in_time({"type": "http.response.body", "body": b""})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _first_of(*works: Coroutine[None, None, None]) -> None:
    """Return when one of them has ended, and end the others."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in ended:
        task.result()


def _full(places: Places) -> JSONResponse:
    answer = ErrorAnswer(
        error=f"{places.most} clients look on already, and no more may",
        cure="close one, or allow more in [server]",
    )
    return JSONResponse(answer.model_dump(), 503)


def jpeg(picture: Picture, width_px: int | None = None) -> bytes:
    """Return the frame of a picture as a JPEG, no wider than `width_px`."""
    image = Image.fromarray(picture.pixels)
    if width_px is not None and image.width > width_px:
        height_px = max(1, round(image.height * width_px / image.width))
        image = image.resize((width_px, height_px), Image.Resampling.BOX, reducing_gap=2.0)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()


class Preview:
    """The newest frame, encoded once for all who look; while nobody does, nothing is encoded."""

    MEDIA_TYPE = "multipart/x-mixed-replace; boundary=frame"

    def __init__(self, station: Station, settings: ServerSettings) -> None:
        self._station = station
        self._settings = settings
        self.places = Places(settings.preview_clients)
        self._encoder = ThreadPoolExecutor(1, thread_name_prefix="preview")
        self._filming: asyncio.Task[None] | None = None
        self._watchers = 0
        self._number = 0
        self._part = b""
        self._news = asyncio.Event()
        self._closed = False

    async def parts(self) -> AsyncGenerator[bytes]:
        """Yield frames as parts of an MJPEG stream; whoever is slow misses some."""
        self._watchers += 1
        if self._filming is None:
            self._filming = asyncio.create_task(self._film())
        try:
            seen = 0
            while True:
                while seen == self._number:
                    await self._news.wait()
                    if self._closed:
                        return
                seen, part = self._number, self._part
                yield part
        finally:
            self._watchers -= 1
            if not self._watchers:
                self._filming.cancel()
                self._filming, self._number = None, 0

    def close(self) -> None:
        """End all streams. On the loop."""
        self._closed = True
        self._news.set()

    async def _film(self) -> None:
        loop = asyncio.get_running_loop()
        shown = None
        with self._station.watch():
            while True:
                began_s = loop.time()
                picture = self._station.picture()
                if picture is not None and picture.number != shown:
                    shown = picture.number
                    self._part = await loop.run_in_executor(self._encoder, self._encoded, picture)
                    self._number += 1
                    self._news.set()
                    self._news = asyncio.Event()
                rest_s = 1.0 / self._settings.preview_fps - (loop.time() - began_s)
                await asyncio.sleep(max(0.0, rest_s))

    def _encoded(self, picture: Picture) -> bytes:
        body = jpeg(picture, self._settings.preview_width_px)
        height_px, width_px, _ = picture.pixels.shape
        about = {
            "number": picture.number,
            "um_per_px": picture.um_per_px,
            "width_px": width_px,
            "height_px": height_px,
            "tiles": [asdict(tile) for tile in picture.tiles],
            "abstained": picture.abstained,
        }
        head = (
            f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n"
            f"X-Picture: {json.dumps(about)}\r\n\r\n"
        )
        return head.encode("ascii") + body + b"\r\n"


async def event_stream(hub: Hub, station: Station) -> AsyncGenerator[bytes]:
    """Yield server-sent events, a status first."""
    with hub.subscribe() as subscription:
        yield _as_sse(Event(kind="status", data=station.status()))
        while not subscription.closed:
            await hub.news(_SIGN_OF_LIFE_S)
            await asyncio.sleep(_EVENTS_EVERY_S)
            bunch = []
            while (event := subscription.get(0)) is not None:
                bunch.append(_as_sse(event))
            yield b"".join(bunch) or b": alive\n\n"


def _as_sse(event: Event) -> bytes:
    return f"event: {event.kind}\ndata: {event.data.model_dump_json()}\n\n".encode()
