"""A server with TLS on both transports, in a thread of its own."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from serving.app import build
from serving.client import Client, Retry
from serving.engine import Engine
from serving.lineup import Lineup
from serving.rpc import server as rpc
from serving.tls.latest import Latest, context_of
from tests.servers import eventually, free_port
from tests.serving.client.conftest import OPTIONS
from tests.serving.tensor_models import TensorModel, put
from tests.serving.tls.papers import Papers

ONCE = Retry(attempts=1)
ROWS = [[1.0, 2.0, 3.0]]


class Secured:
    """A server of `iris` with TLS; `papers` are what it shows and asks for."""

    def __init__(self, papers: Papers, *, mutual: bool) -> None:
        self.papers, self.mutual = papers, mutual
        self.latest = Latest(papers.tls(mutual=mutual))
        self.http, self.grpc = free_port(), free_port()
        lineup = Lineup(("iris",))
        put(lineup, TensorModel())
        self._engine = Engine(lineup)

    def port(self, transport: str) -> int:
        return self.http if transport == "http" else self.grpc

    def client(self, transport: str, **options: Any) -> Client:
        """One that trusts its CA, and shows what it is told to."""
        url = f"{transport}s://127.0.0.1:{self.port(transport)}"
        return Client(url, model="iris", **{"retry": ONCE, "ca": self.papers.ca, "timeout": 10, **options})

    @contextmanager
    def serving(self) -> Iterator[None]:
        config = uvicorn.Config(
            build(self._engine, self._rpc),
            port=self.http,
            log_config=None,
            lifespan="on",
            ws="none",
            ssl_context_factory=lambda *_: context_of(self.latest),
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=asyncio.run, args=[server.serve()])
        thread.start()
        try:
            eventually(lambda: server.started)
            yield
        finally:
            server.should_exit = True
            thread.join(20)
            self._engine.close()

    @asynccontextmanager
    async def _rpc(self) -> AsyncIterator[None]:
        options = replace(OPTIONS, certificates=self.latest)
        started = await rpc.start(self._engine, f"127.0.0.1:{self.grpc}", options)
        yield
        await started.stop(None)


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[Callable[..., Secured]]:
    with ExitStack() as held:

        def start(*, mutual: bool = False) -> Secured:
            made = Secured(Papers(tmp_path), mutual=mutual)
            held.enter_context(made.serving())
            return made

        yield start


@pytest.fixture(params=["http", "grpc"])
def transport(request: pytest.FixtureRequest) -> str:
    return str(request.param)
