"""The composition root: the only module that names the real registry, store and model loader together."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from fastapi_offline import FastAPIOffline

from serving import __version__, model
from serving.engine import Engine
from serving.follower import Tools
from serving.lineup import Lineup
from serving.registry import MlflowRegistry
from serving.rest import mlflow, oip, problems
from serving.rest.context import NameEveryAnswer
from serving.rest.openapi import OpenApi
from serving.settings import Settings
from serving.store import Store
from serving.syncer import Syncer


def create(settings: Settings) -> FastAPI:
    """An app that follows the registry while it runs. OSError when the store's folder cannot be made."""
    lineup = Lineup(settings.models)
    tools = Tools(MlflowRegistry(settings.tracking_uri), Store(settings.store), lineup, model.load)
    return build(Engine(lineup), Syncer(tools, poll_seconds=settings.poll_seconds, prepare=model.preload))


def build(engine: Engine, syncer: Syncer) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        syncer.start()
        yield
        syncer.stop()

    app = FastAPIOffline(title="Slipway", version=__version__, lifespan=lifespan)
    app.state.engine = engine
    app.state.mlflow_version = model.MLFLOW_VERSION
    app.include_router(mlflow.router)
    app.include_router(oip.router)
    problems.install(app)
    # The last one added sees a request first.
    app.add_middleware(problems.Boundary)
    app.add_middleware(NameEveryAnswer)
    routes: Callable[[], dict[str, Any]] = app.openapi
    app.openapi = OpenApi(routes, engine.lineup)  # type: ignore[method-assign]  # FastAPI's documented way
    return app
