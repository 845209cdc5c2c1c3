"""A worker's composition root: the only module that names lineup, engine, model loader and transports together."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi_offline import FastAPIOffline

from serving import __version__
from serving.access.guard import Guard
from serving.access.opening import guard_of
from serving.admission.rules import Rules
from serving.engine import Engine, Limits
from serving.following.hurry import Line
from serving.hosting.draining import drain
from serving.hosting.hosted import Hosts
from serving.jobs.opening import Opening
from serving.lag import Lag
from serving.lineup import Lineup
from serving.metrics.answers import Counts
from serving.metrics.following import Following
from serving.reporter import Reporter
from serving.request_log import RequestLog
from serving.rest import jobs as job_routes
from serving.rest import metrics, mlflow, oip, problems, webhook
from serving.rest.context import NameEveryAnswer
from serving.rest.front import Front
from serving.rest.openapi import OpenApi
from serving.rest.watched import Watched
from serving.runtimes import examples
from serving.settings import Settings
from serving.settling import settle
from serving.store.reads import Reads
from serving.tls.latest import Latest
from serving.tracing.opening import opened
from serving.trials.ledger import Writer
from serving.trust import Trust
from serving.watching.freshness import Freshness, limit
from serving.watching.watcher import Loading, Watcher


@dataclass(frozen=True)
class More:
    """What an app has beside predictions."""

    routers: tuple[APIRouter, ...] = ()
    opening: Opening | None = None
    """Of the desk that takes jobs."""
    guard: Guard | None = None
    """None: anybody may ask anything."""


NOTHING_MORE = More()


@dataclass(frozen=True)
class Beside:
    """What gRPC shares with the HTTP server beside it."""

    certificates: Latest | None = None
    lag: Lag | None = None
    ends: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    """What the HTTP server is to call, and to wait for, when it accepts nothing any more."""


def create(
    settings: Settings, hosts: Path, counted: Path | None = None, beside: Beside | None = None
) -> Front | Watched:
    """An app that answers with what is posted in the store while it runs, over gRPC too.

    `hosts`: the socket of the fork server, for versions that need their own library; its folder is the pod's own.
    `counted`: this process's folder for what it counts, beside those of the others.
    """
    lineup = Lineup(settings.models, coming=True, offline=settings.offline)
    engine = _engine(settings, lineup, Counts(counted))
    following = Following(counted)
    opening = Opening(settings.jobs, settings.models) if settings.jobs.database is not None else None
    guard = guard_of(settings.auth, settings.limits, counted.parent if counted is not None else None)
    reporter = Reporter(engine, following, hosts.parent, opening.gauges if opening else tuple)
    loading = _loading(settings, hosts, following)
    fresh = Freshness(lineup, Reads(settings.store), begun=_begun(hosts), limit_seconds=limit(settings.poll_seconds))

    @asynccontextmanager
    async def running() -> AsyncIterator[None]:
        watcher, writer = Watcher(settings.store, lineup, loading), Writer(hosts.parent, lineup.tallies)
        watcher.start()
        fresh.start()
        writer.start()
        tasks = [asyncio.create_task(reporter.run()), asyncio.create_task(settle(lineup))]
        if guard is not None:
            tasks.append(asyncio.create_task(guard.follow()))
        try:
            async with _grpc(engine, settings, guard, beside or Beside()):
                yield
        finally:
            for task in tasks:
                task.cancel()
        fresh.stop()
        watcher.stop()
        writer.stop()
        await asyncio.to_thread(engine.close)

    more = More(_webhooks(settings, hosts), opening, guard)
    return build(engine, running, more, largest_body=settings.largest_body, reporter=reporter)


def _loading(settings: Settings, hosts: Path, following: Following) -> Loading:
    trust = Trust(settings.trust, settings.trust_keys, warns=False)  # the syncer does, once and not in every worker
    models = Hosts(hosts, settings.runtime, Rules.set_by(settings), patience_seconds=settings.load_seconds)
    draining = partial(drain, seconds=settings.drain_seconds)
    return Loading(trust.check, models.load, examples.inline_rows, draining, following)


def _engine(settings: Settings, lineup: Lineup, counts: Counts) -> Engine:
    header, tracer = settings.candidate.key_header, opened(settings.tracing)
    engine = Engine(lineup, _limits(settings), counts, key_header=header, tracer=tracer)
    engine.log = RequestLog(settings.log_requests)
    return engine


def _limits(settings: Settings) -> Limits:
    batching = settings.batching
    return Limits(
        rows=batching.max_rows,
        bytes=batching.max_bytes,
        waiting_rows=batching.max_waiting_rows,
        waiting_bytes=batching.max_waiting_bytes,
        waiting_seconds=batching.max_waiting_seconds,
        request_rows=settings.limits.rows,
    )


def _begun(hosts: Path) -> float:
    """When this serving was started, and not only this worker: the socket was made then."""
    with suppress(OSError):
        return hosts.stat().st_mtime
    return time.time()


def _webhooks(settings: Settings, hosts: Path) -> tuple[APIRouter, ...]:
    """None without a secret: what nobody can sign, nobody needs to send."""
    secret = settings.webhook_secret
    return (webhook.router(secret.get_secret_value(), Line(hosts.parent).send),) if secret else ()


@asynccontextmanager
async def _grpc(engine: Engine, settings: Settings, guard: Guard | None, beside: Beside) -> AsyncIterator[None]:
    if not settings.grpc_port:
        yield
        return
    from serving.rpc import server

    most, limits = settings.largest_body, settings.limits
    options = server.Options(
        receive_bytes=most,
        send_bytes=most,
        head_seconds=limits.head_seconds,
        connections=limits.connections,
        body_seconds=limits.body_seconds,
        idle_seconds=limits.idle_seconds,
        guard=guard,
        certificates=beside.certificates,
        lag=beside.lag,
    )
    started = await server.start(engine, settings.at(settings.grpc_port), options)
    stop = partial(started.stop, settings.finish_seconds)
    beside.ends.append(stop)
    try:
        yield
    finally:
        await stop()  # where nobody did before


def build(
    engine: Engine,
    running: Callable[[], AbstractAsyncContextManager[None]] = nullcontext,
    more: More = NOTHING_MORE,
    *,
    largest_body: int = 64 << 20,
    reporter: Reporter | None = None,
) -> Front | Watched:
    """The app over `engine`, and what it has `more`; `running` surrounds its life.

    Without a `reporter` it speaks for this process alone.
    """

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with running():
            yield

    app = FastAPIOffline(title="Slipway", version=__version__, lifespan=lifespan)
    app.state.engine = engine
    app.state.reporter = reporter or Reporter(engine)
    app.state.largest_body, app.state.opening = largest_body, more.opening
    jobs = () if more.opening is None else (job_routes.router,)
    for router in (mlflow.router, oip.router, metrics.router, *jobs, *more.routers):
        app.include_router(router)
    problems.install(app)
    # The last one added sees a request first.
    app.add_middleware(problems.Boundary)
    app.add_middleware(NameEveryAnswer, counts=engine.counts, log=engine.log)
    routes: Callable[[], dict[str, Any]] = app.openapi
    app.openapi = OpenApi(routes, engine.lineup, asks=more.guard is not None)  # type: ignore[method-assign]  # FastAPI's documented way
    # Around the app and not among its middleware: what FastAPI does before that costs a tenth of a small prediction.
    front = Front(app, engine, more.guard, largest_body=largest_body, jobs=bool(jobs))
    front.watched = engine.tracer is not None
    return front if engine.tracer is None else Watched(front, engine.tracer)
