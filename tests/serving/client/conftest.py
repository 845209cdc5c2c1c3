"""What the tests of the client share: a real server over any model on both transports, and one that misbehaves."""

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
import uvicorn

from serving.app import NOTHING_MORE, More, build
from serving.client import AsyncClient, Client, Retry
from serving.engine import Engine
from serving.lineup import Lineup
from serving.rpc import server as rpc
from tests.servers import eventually, free_port
from tests.serving.tensor_models import TensorModel, put

OPTIONS = rpc.Options(receive_bytes=64 << 20, send_bytes=64 << 20)
QUICK = Retry(first_seconds=0.01, longest_seconds=0.02)

Transport = str


class Running:
    """A server of `iris`, over HTTP and gRPC; `put` promotes another model."""

    def __init__(self, more: More = NOTHING_MORE) -> None:
        self.lineup, self._more = Lineup(("iris",)), more
        self.engine = Engine(self.lineup)
        self.http, self.grpc = free_port(), free_port()

    def put(self, model: TensorModel, number: int = 7) -> None:
        put(self.lineup, model, number)

    def url(self, transport: Transport) -> str:
        return f"http://127.0.0.1:{self.http}" if transport == "http" else f"grpc://127.0.0.1:{self.grpc}"

    def client(self, transport: Transport, **options: Any) -> Client:
        return Client(self.url(transport), model="iris", **options)

    def async_client(self, transport: Transport, **options: Any) -> AsyncClient:
        return AsyncClient(self.url(transport), model="iris", **options)

    @asynccontextmanager
    async def _grpc(self) -> AsyncIterator[None]:
        options = replace(OPTIONS, guard=self._more.guard)
        started = await rpc.start(self.engine, f"127.0.0.1:{self.grpc}", options)
        yield
        await started.stop(None)

    @contextmanager
    def serving(self) -> Iterator[None]:
        app = build(self.engine, self._grpc, self._more)
        server = uvicorn.Server(uvicorn.Config(app, port=self.http, log_config=None, lifespan="on", ws="none"))
        thread = threading.Thread(target=asyncio.run, args=[server.serve()])
        thread.start()
        try:
            eventually(lambda: server.started)
            yield
        finally:
            server.should_exit = True
            thread.join(20)
            self.engine.close()


@pytest.fixture(scope="module")
def running() -> Iterator[Running]:
    made = Running()
    made.put(TensorModel())
    with made.serving():
        yield made


@pytest.fixture(params=["http", "grpc"])
def transport(request: pytest.FixtureRequest) -> Transport:
    return str(request.param)


@pytest.fixture
def client(running: Running, transport: Transport) -> Iterator[Client]:
    with running.client(transport) as made:
        yield made


@dataclass
class Reply:
    status: int = 200
    body: bytes = b'{"predictions": [6]}'
    headers: dict[str, str] = field(default_factory=dict)
    hangs_up: bool = False
    """Before it has said anything."""
    cut: bool = False
    """Says that there is more than it then sends."""
    held: threading.Event | None = None
    """Answers only when that is set."""
    seconds_a_byte: float = 0
    """Of the body, which comes in drops."""


class Misbehaving:
    """Answers with `replies`, one after the other, then well; `heard` are the headers of what it was asked."""

    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.heard: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "Misbehaving":
        threading.Thread(target=self._server.serve_forever, args=[0.01]).start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        mine = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                with suppress(ConnectionError):  # the client may have given up
                    self._answer()

            def _answer(self) -> None:
                mine.bodies.append(self.rfile.read(int(self.headers["content-length"])))
                mine.heard.append({name.lower(): value for name, value in self.headers.items()})
                reply = mine.replies.pop(0) if mine.replies else Reply()
                if reply.held is not None:
                    reply.held.wait(20)
                if reply.hangs_up:
                    self.close_connection = True
                    return
                self.send_response(reply.status)
                for name, value in reply.headers.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(reply.body) + (10 if reply.cut else 0)))
                self.end_headers()
                for at in range(len(reply.body)) if reply.seconds_a_byte else ():
                    self.wfile.write(reply.body[at : at + 1])
                    threading.Event().wait(reply.seconds_a_byte)
                if not reply.seconds_a_byte:
                    self.wfile.write(reply.body)
                self.close_connection = reply.cut

            def log_message(self, *_words: object) -> None:
                """Nobody reads it."""

        return Handler


Verb = Callable[..., Awaitable[Any]]


@pytest.fixture(params=["sync", "async"])
def predict(request: pytest.FixtureRequest) -> Verb:
    """Predict with a new client of either kind: its address and options, then the rows."""

    async def sync(url: str, rows: Any, **options: Any) -> Any:
        def asked() -> Any:
            with Client(url, **{"retry": QUICK, **options}) as made:
                return made.predict(rows)

        return await asyncio.to_thread(asked)

    async def asynchronous(url: str, rows: Any, **options: Any) -> Any:
        async with AsyncClient(url, **{"retry": QUICK, **options}) as made:
            return await made.predict(rows)

    return sync if request.param == "sync" else asynchronous
