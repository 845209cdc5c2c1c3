"""A server that takes jobs, and a worker that works at one when it is told to: the real desk, tables and answers."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from pydantic import SecretStr

from serving.app import More
from serving.jobs import opening
from serving.jobs.desk import Desk, Rules
from serving.jobs.job import Outcome
from serving.jobs.opening import Opening
from serving.jobs.shelf import Shelf
from serving.jobs.turns import Turns
from serving.protocol import Version
from serving.settings import Jobs
from serving.working.models import Models
from serving.working.predicting import Tools, outcome
from tests.serving.client.conftest import Running

INLINE_BYTES = 2000


class Place(Shelf):
    """Holds what S3 would, and gives it to whoever has its address; `heard` are the headers that came with that."""

    def __init__(self) -> None:
        super().__init__("s3://jobs")
        self.objects: dict[str, bytes] = {}
        self.heard: list[dict[str, str]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())

    def put(self, job: str, name: str, content: bytes) -> str:
        self.objects[f"/{job}/{name}"] = content
        return f"s3://jobs/{job}/{name}"

    def get(self, uri: str) -> bytes:
        return self.objects[uri.removeprefix("s3://jobs")]

    def url(self, uri: str) -> str:
        port = self._server.server_address[1]
        return f"http://127.0.0.1:{port}{uri.removeprefix('s3://jobs')}?signature=abc"

    @contextmanager
    def reachable(self) -> Iterator[None]:
        threading.Thread(target=self._server.serve_forever, args=[0.01]).start()
        yield
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        mine = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                mine.heard.append({name.lower(): value for name, value in self.headers.items()})
                content = mine.objects[self.path.partition("?")[0]]
                self.send_response(200)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_words: object) -> None:
                """Nobody reads it."""

        return Handler


class _Opened(Opening):
    """A desk with a place of its own."""

    def __init__(self, settings: Jobs, place: Place) -> None:
        super().__init__(settings)
        self._made = Desk(super().desk().book, place, Rules(inline_bytes=INLINE_BYTES))

    def desk(self) -> Desk:
        return self._made


class ByHand(Running):
    """Serves `iris`, and takes jobs, which nobody works at until `work` is called."""

    def __init__(self, folder: Path) -> None:
        settings = Jobs(database=SecretStr(f"sqlite:///{folder}/jobs.sqlite"))
        self.place = Place()
        super().__init__(More(opening=_Opened(settings, self.place)))
        self.turns = Turns(opening.database(settings), opening.terms(settings))
        models = Models(lambda version: nullcontext(self.lineup.served(version.name).model), 0)
        self._tools = Tools(models, self._latest, self.place, INLINE_BYTES)

    def work(self, name: str, *, generation: int = 1) -> None:
        """As a worker does, without a queue."""
        work = self.turns.begin(name, generation)
        assert work is not None
        self.turns.end(name, generation, outcome(work, self._tools, lambda *_: True))

    def _latest(self, name: str) -> Version:
        return self.lineup.served(name).version

    def end(self, name: str, found: Outcome) -> None:
        """As a worker that came to another end."""
        assert self.turns.begin(name, 1) is not None
        assert self.turns.end(name, 1, found)
