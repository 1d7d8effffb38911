"""The HTTP API: from requests to the station and back."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI

from edge_af.config import Config
from edge_af.journal import Journal
from edge_af.server import commands, reports
from edge_af.server.door import API
from edge_af.server.faults import handle_errors
from edge_af.server.hub import Hub
from edge_af.server.metrics import Metrics
from edge_af.server.page_files import PageRoute
from edge_af.server.stream import Places, Preview
from edge_af.service.station import Station
from edge_af.versions import version_of

_PAGE = Path(__file__).with_name("page")


def make_app(station: Station, settings: Config, journal: Journal | None = None) -> FastAPI:
    """Return the application. It lets everyone in: put an `edge_af.server.door.Door` before it."""
    metrics = Metrics(station.status)
    hub = Hub(station, metrics.count)
    preview = Preview(station, settings.server)
    event_places = Places(settings.server.event_clients)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with hub.running():
            try:
                yield
            finally:
                preview.close()

    app = FastAPI(
        title="edge-af",
        summary="Focus a microscope from one frame.",
        version=version_of("edge-af") or "0",
        openapi_url=f"{API}/openapi.json",
        # These pages would fetch their scripts from elsewhere; no request leaves the machine.
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    routers = [
        # First what is asked most: routes are tried one by one.
        reports.routes(station, hub, preview, event_places, journal),
        commands.routes(station, hub, settings.state_folder / "stacks"),
        reports.metrics_route(metrics),
    ]
    for router in routers:
        app.include_router(router)
    handle_errors(app, [route for router in routers for route in router.routes])
    if _PAGE.is_dir():
        app.router.routes.append(PageRoute(_PAGE))
    return app
