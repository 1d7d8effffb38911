"""The routes that tell something and move nothing."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import AwareDatetime

from edge_af.journal import Journal
from edge_af.journal_file import Entry
from edge_af.journal_kinds import EntryKind
from edge_af.server.answers import Health, Model, errors
from edge_af.server.door import API
from edge_af.server.faults import NotFoundError, refused
from edge_af.server.hub import LOG_LINES, Hub
from edge_af.server.metrics import MEDIA_TYPE, Metrics
from edge_af.server.stream import Places, Preview, Stream, event_stream, jpeg
from edge_af.service.models import LogLine, Status
from edge_af.service.station import Station

_ENCODERS = 2
"""Frames that are encoded at a time; who asks for more waits."""
_COMMON = errors(401, 403, 405, 413)
_FULL = _COMMON | errors(503)


def routes(
    station: Station, hub: Hub, preview: Preview, event_places: Places, journal: Journal | None
) -> APIRouter:
    """Return the routes; without a journal there is no history."""
    router = APIRouter(prefix=API, tags=["reports"])
    encoders = ThreadPoolExecutor(_ENCODERS, thread_name_prefix="frame")

    @router.get("/status", responses=_COMMON, response_model=Status)
    async def status() -> Response:
        """How things stand."""
        # Many ask often: written here, it is not checked and copied once more on its way out.
        return Response(station.status().model_dump_json(), media_type="application/json")

    @router.get("/health", responses=_COMMON | _or_dead())
    def health(response: Response) -> Health:
        """200 while camera, motor thread and API answer, else 503."""
        alive = station.alive()
        response.status_code = 200 if alive else 503
        return Health(alive=alive)

    @router.get("/model", responses=_COMMON)
    def model() -> Model:
        """The model in use."""
        now = station.status()
        return Model(name=now.model, um_per_px=now.um_per_px, calibrated=now.calibrated)

    @router.get("/history", responses=_COMMON | errors(404, 422))
    def history(
        limit: Annotated[int, Query(ge=1, le=10_000)] = 200,
        since: AwareDatetime | None = None,
        kind: EntryKind | None = None,
    ) -> list[Entry]:
        """The latest entries, the oldest of them first."""
        if journal is None:
            raise NotFoundError("no history is kept; start the service with `edge-af run`")
        return journal.entries(since, limit, kind)

    @router.get("/logs", responses=_COMMON | errors(422))
    def logs(lines: Annotated[int, Query(ge=1, le=LOG_LINES)] = 100) -> list[LogLine]:
        """The latest lines of the log, the oldest of them first."""
        return list(hub.log)[-lines:]

    @router.get(
        "/frame",
        response_class=Response,
        responses=_FULL | errors(422) | _content("image/jpeg", "binary"),
    )
    async def frame(
        fresh: Annotated[bool, Query(description="Take one now, and not the latest.")] = False,
        width_px: Annotated[int | None, Query(ge=16, le=10_000)] = None,
    ) -> Response:
        """A frame as a JPEG, as wide as the camera's or `width_px`."""
        loop = asyncio.get_running_loop()
        body = await loop.run_in_executor(encoders, _frame, station, fresh, width_px)
        if body is None:
            return refused(503, "the camera gave no frame", "see the status for its fault")
        return Response(body, media_type="image/jpeg", headers={"cache-control": "no-store"})

    @router.get(
        "/preview",
        response_class=Response,
        responses=_FULL | _content(preview.MEDIA_TYPE.partition(";")[0], "binary"),
    )
    async def preview_stream() -> Response:
        """Frames as they come (MJPEG); a slow client misses some.

        Each part has a header X-Picture: JSON with the number of the frame, its size and um per
        pixel, and the tiles that the model looked at.
        """
        return Stream(preview.parts(), preview.MEDIA_TYPE, preview.places)

    @router.get(
        "/events", response_class=Response, responses=_FULL | _content("text/event-stream", None)
    )
    async def events() -> Response:
        """Server-sent events: status (first of all), job, belief, position and log."""
        return Stream(event_stream(hub, station), "text/event-stream", event_places)

    return router


def metrics_route(metrics: Metrics) -> APIRouter:
    """Return the route that Prometheus asks."""
    router = APIRouter(tags=["reports"])

    @router.get(
        "/metrics",
        response_class=Response,
        responses=_COMMON | _content(MEDIA_TYPE.partition(";")[0], None),
    )
    def prometheus() -> Response:
        """Figures for Prometheus."""
        return Response(metrics.text(), media_type=MEDIA_TYPE)

    return router


def _frame(station: Station, fresh: bool, width_px: int | None) -> bytes | None:
    picture = station.picture(fresh) or station.picture(fresh=True)
    return None if picture is None else jpeg(picture, width_px)


def _content(media_type: str, format: str | None) -> dict[int | str, dict[str, Any]]:
    schema = {"type": "string"} | ({"format": format} if format else {})
    return {200: {"content": {media_type: {"schema": schema}}}}


def _or_dead() -> dict[int | str, dict[str, Any]]:
    return {503: {"model": Health, "description": "Something does not answer."}}
