"""Jobs over HTTP: requests that are answered later. docs/jobs.md has the whole of it."""

import time
from asyncio import to_thread
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from serving import invocations
from serving.errors import JobConflict, JobNotEnded
from serving.inference import served_as, served_soon
from serving.jobs.desk import Asked, Desk
from serving.jobs.job import LATEST, OPEN, Inline, Origin, State, Status, Stored, Wanted
from serving.jobs.told import path, told
from serving.lineup import Lineup, Served
from serving.metrics.declared import Route
from serving.rest import wire
from serving.rest.context import TRACE, EngineOf, answered_by, request_id
from serving.rest.prefer import prefers_async
from serving.tracing.trace import Trace

MOST_LISTED = 1000
LARGEST = 2**63 - 1
"""That a database has a place for."""
APPLIED = {"preference-applied": "respond-async"}
LATER = {"retry-after": "1"}
NEW_SECONDS = 2.0

router = APIRouter(prefix="/v1/models/{name}/jobs", tags=["Jobs"])


async def _open(request: Request) -> Callable[[], Desk]:
    """Opens the desk, which blocks the first time."""
    desk: Callable[[], Desk] = request.app.state.opening.desk
    return desk


OpenDesk = Annotated[Callable[[], Desk], Depends(_open)]


class Page(BaseModel):
    """Which jobs are listed. `before`: what the page before said under `next`."""

    state: State | None = None
    version: int | None = Field(None, ge=1, le=LARGEST)
    limit: int = Field(50, ge=1, le=MOST_LISTED)
    before: int | None = Field(None, ge=0, le=LARGEST)


class How(BaseModel):
    """`version`: `latest`, or the number of one that is served; the Production version of now if not given.
    `callback`: who is told of the end."""

    version: str | None = None
    callback: str | None = None


@router.post("", status_code=202, summary="Queue what /invocations takes, or a file")
async def submit(
    request: Request, name: str, engine: EngineOf, desk: OpenDesk, how: Annotated[How, Query()]
) -> Response:
    served = await _served(engine.lineup, name, how.version)
    answered_by(request, served)
    content = invocations.media_type_of(request.headers.get("content-type", "")), await _body(request)
    asked = Asked(content, how.version, request.headers.get("idempotency-key"), how.callback, _origin(request))
    status = await to_thread(lambda: desk().accept(served, asked))
    applied = APPLIED if prefers_async(request.headers.get("prefer", "").encode()) else {}
    return JSONResponse(told(status), 202, {"location": path(status), **applied})


@router.get("", summary="The newest jobs first")
async def listed(name: str, engine: EngineOf, desk: OpenDesk, page: Annotated[Page, Query()]) -> dict[str, Any]:
    engine.lineup.standing(name)
    wanted = Wanted(page.state, page.version, page.limit, page.before)
    found, more = await to_thread(lambda: desk().book.listed(name, wanted))
    return {"jobs": [told(each) for each in found], "next": more}


@router.get("/{job}", summary="How far a job is")
async def status(name: str, job: str, engine: EngineOf, desk: OpenDesk) -> Response:
    engine.lineup.standing(name)
    found = await to_thread(lambda: desk().book.status(name, job))
    return JSONResponse(told(found), headers=_later(found))


@router.get("/{job}/result", summary="What a job has predicted", responses={303: {"description": "It is on S3"}})
async def result(name: str, job: str, engine: EngineOf, desk: OpenDesk) -> Response:
    """MLflow's JSON answer; a large one, and a file, is at the address that 303 leads to."""
    engine.lineup.standing(name)
    found, kept = await to_thread(lambda: desk().book.result(name, job))
    match kept:
        case None:
            raise _without(found)
        case Inline():
            return Response(kept.content, media_type="application/json", headers=_named(found))
        case Stored():
            url = await to_thread(lambda: desk().shelf.url(kept.uri))
            about = {"url": url, "uri": kept.uri, "media_type": kept.media_type, "rows": kept.rows}
            return JSONResponse(about, 303, {"location": url, **_named(found)})


@router.delete("/{job}", summary="Cancel a job")
async def cancel(name: str, job: str, engine: EngineOf, desk: OpenDesk) -> dict[str, Any]:
    engine.lineup.standing(name)
    return told(await to_thread(lambda: desk().book.cancel(name, job)))


@router.post("/{job}/retry", status_code=202, summary="Queue a job again that did not succeed")
async def retry(name: str, job: str, engine: EngineOf, desk: OpenDesk) -> dict[str, Any]:
    engine.lineup.standing(name)
    return told(await to_thread(lambda: desk().book.retry(name, job)))


async def _served(lineup: Lineup, name: str, version: str | None) -> Served:
    if version is None or version == LATEST:
        return await served_soon(lineup, name)
    return served_as(lineup, name, version)


def _origin(request: Request) -> Origin:
    name = request_id(request.scope)
    trace: Trace | None = request.scope["state"].get(TRACE)
    return Origin(name) if trace is None else Origin(name, trace.traceparent, trace.state)


async def _body(request: Request) -> bytes:
    """Unpacked; as `/invocations` reads it."""
    headers, largest = dict(request.scope["headers"]), request.app.state.largest_body
    name = request_id(request.scope)
    return await wire.Asked(request.scope, request.receive, headers, name, largest, Route.OTHER_HTTP).body()


def _later(status: Status) -> dict[str, str]:
    """Not of a job that is new: it may well have ended before a second is over."""
    is_new = time.time() - status.accepted_ms / 1000 < NEW_SECONDS
    return LATER if status.state in OPEN and not is_new else {}


def _named(status: Status) -> dict[str, str]:
    """Which version has answered."""
    if status.version is None:
        return {}
    return {"x-model-name": status.model.encode().decode("latin-1"), "x-model-version": str(status.version)}


def _without(status: Status) -> JobConflict:
    if status.state in OPEN:
        return JobNotEnded(status.state)
    because = f" ({status.reason})" if status.reason else ""
    return JobConflict(f"the job has no result: it is {status.state}{because}")
