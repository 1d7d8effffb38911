"""The routes that move or change something."""

from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from starlette.concurrency import run_in_threadpool

from edge_af.server.answers import (
    Calibrate,
    Collect,
    FocusAt,
    MoveBy,
    MoveTo,
    Reloaded,
    Stopped,
    Track,
    errors,
)
from edge_af.server.door import API
from edge_af.server.faults import TakenError
from edge_af.server.hub import Hub
from edge_af.service.models import Job, Status
from edge_af.service.station import Station

Wait = Annotated[
    Literal["true", "false"], Query(description="Whether the answer waits for the job's end.")
]
TimeoutS = Annotated[
    float, Query(ge=0, le=600, allow_inf_nan=False, description="How long to wait, in seconds.")
]
_RUNS: dict[int | str, dict[str, Any]] = {
    202: {"model": Job, "description": "The job, which still runs."}
}
_NOT_NOW = errors(401, 403, 405, 409, 413, 422)


def routes(station: Station, hub: Hub, stacks: Path) -> APIRouter:
    """Return the routes; stacks that are collected go to the folder `stacks`."""
    router = APIRouter(prefix=API, tags=["commands"])

    async def answer(job: Job, wait: str, timeout_s: float, response: Response) -> Job:
        if wait == "true":
            job = await hub.ended(job.id, timeout_s)
        response.status_code = 200 if job.ended else 202
        return job

    @router.post("/focus", responses=_RUNS | _NOT_NOW)
    async def focus(
        response: Response,
        at: FocusAt | None = None,
        wait: Wait = "true",
        timeout_s: TimeoutS = 60.0,
    ) -> Job:
        """Focus, and answer with the job when it has ended, whatever its end: see its `state`.

        202 if it still runs when the time is over; it goes on.
        """
        place = (at.x_um, at.y_um) if at else (None, None)
        job = await run_in_threadpool(station.focus, *place)
        return await answer(job, wait, timeout_s, response)

    @router.post("/move", responses=_RUNS | _NOT_NOW)
    async def move(
        response: Response,
        target: MoveTo | MoveBy,
        wait: Wait = "true",
        timeout_s: TimeoutS = 60.0,
    ) -> Job:
        """Move the stage, and answer as `focus` does."""
        if isinstance(target, MoveTo):
            job = await run_in_threadpool(station.move_to, target.to_um)
        else:
            job = await run_in_threadpool(station.move_by, target.by_um)
        return await answer(job, wait, timeout_s, response)

    @router.post("/home", responses=_RUNS | errors(401, 403, 405, 409, 413, 422))
    async def home(response: Response, wait: Wait = "true", timeout_s: TimeoutS = 60.0) -> Job:
        """Run to the end stop, after which the position is trusted; answer as `focus` does."""
        return await answer(await run_in_threadpool(station.home), wait, timeout_s, response)

    @router.post("/confirm", responses=errors(401, 403, 405, 409, 413))
    def confirm() -> Status:
        """Trust the counted position: a person has seen that the stage stands there."""
        station.confirm()
        return station.status()

    @router.post("/stop", responses=errors(401, 403, 405, 413))
    def stop() -> Stopped:
        """Stop the motor now, and whatever runs. Answered before anything else that waits."""
        station.stop()
        return Stopped()

    @router.post("/track", responses=_NOT_NOW)
    def track(wanted: Track) -> Status:
        """Hold the focus against drift, or no more."""
        station.track(wanted.on)
        return station.status()

    @router.post("/calibrate", status_code=202, responses=_NOT_NOW)
    def calibrate(wanted: Calibrate) -> Job:
        """Measure the axis. Between fields the job is `waiting`, until POST jobs/{id}/proceed."""
        return station.calibrate(wanted.fields)

    @router.post("/collect", status_code=202, responses=_NOT_NOW)
    def collect(wanted: Collect) -> Job:
        """Take a focal stack about the focus."""
        stacks.mkdir(parents=True, exist_ok=True)
        path = stacks / wanted.name
        if path.exists():
            raise TakenError(f"there is a {wanted.name} already; choose another name")
        return station.collect(wanted.range_um, wanted.step_um, path)

    @router.post("/reload", responses=_NOT_NOW)
    def reload() -> Reloaded:
        """Read settings and model anew; if they do not fit, the old ones stay."""
        reason = station.reload()
        return Reloaded(reloaded=reason is None, reason=reason)

    @router.get("/jobs", responses=errors(401, 403, 405, 413))
    def jobs() -> list[Job]:
        """The latest jobs, the newest first."""
        return station.jobs()

    @router.get("/jobs/{id}", responses=errors(401, 403, 404, 405, 413, 422))
    async def job(id: str, timeout_s: TimeoutS = 0.0) -> Job:
        """One job when it has ended, or as it is when the time is over."""
        return await hub.ended(id, timeout_s)

    @router.delete("/jobs/{id}", responses=errors(401, 403, 404, 405, 409, 413, 422))
    def cancel(id: str) -> Job:
        """End a job: the motor stops where it is."""
        return station.cancel(id)

    @router.post("/jobs/{id}/proceed", responses=errors(401, 403, 404, 405, 409, 413, 422))
    def proceed(id: str) -> Job:
        """Go on with a job that is `waiting`: what it asked for has been done."""
        return station.proceed(id)

    return router
