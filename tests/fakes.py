"""Fakes with a story, for what is slow or far away."""

import resource
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np

from serving.errors import RegistryUnreachable
from serving.protocol import Answer, Column, Decoder, Mode, Rows, Signature, Trial, Version, View


def a_version(number: int, *, name: str = "iris", moved_ms: int = 0, created_ms: int = 0, **tags: str) -> Version:
    return Version(name, number, created_ms, f"models:/m-{number}", moved_ms, tags)


def in_production(*versions: Version, alias: Version | None = None, trial: Trial | None = None) -> View:
    return View(registered=True, in_production=versions, alias=alias, trial=trial)


def a_trial(version: Version, mode: Mode = "canary", percent: float = 10, *, since_ms: int = 1) -> Trial:
    return Trial(version, mode, percent, since_ms)


@dataclass
class FakeRegistry:
    """Says `view` until told otherwise; a version's file holds its number."""

    view: View = field(default_factory=View)
    down: bool = False
    broken: set[int] = field(default_factory=set)
    """Numbers of versions whose files cannot be downloaded."""
    reads: int = 0
    sizes: dict[int, int] = field(default_factory=dict)
    """Of versions by number, in bytes; of others it does not say."""
    downloads: list[int] = field(default_factory=list)
    been_read: threading.Event = field(default_factory=threading.Event)

    def read(self, name: str) -> View:
        self.reads += 1
        self.been_read.set()
        if self.down:
            raise RegistryUnreachable("connection refused")
        return self.view

    def size(self, version: Version) -> int | None:
        return self.sizes.get(version.number)

    def download(self, version: Version, folder: Path) -> Path:
        self.downloads.append(version.number)
        if version.number in self.broken:
            (folder / "half").write_text("of a file")
            raise OSError("connection reset half-way")
        home = folder / "artifacts"
        home.mkdir()
        (home / "MLmodel").write_text(str(version.number))
        return home


ONE_COLUMN = Signature((Column("x", "double"),), (Column("y", "long"),))


@dataclass(frozen=True, eq=False)
class FakeModel:
    """Answers with its text, or does what `instead` does. Without a plan: it reads bodies itself."""

    text: str = "one"
    signature: Signature = ONE_COLUMN
    example: str | None = '{"dataframe_split": {"columns": ["x"], "data": [[1.5]]}}'
    runtime: str = "fake"
    platform: str = "mlflow_fake"
    instead: Callable[[], bytes] | None = None
    plan: Decoder | None = None
    joins: bool = True
    probabilities: bool = False

    def predict(self, rows: Rows) -> Answer:
        return Answer((np.full(rows.count, self.text, object),))

    def invoke(self, media_type: str, body: bytes, most_rows: int | None = None) -> bytes:
        return self.instead() if self.instead else b'{"predictions": ["' + self.text.encode() + b'"]}'


@dataclass
class Clock:
    """Stands still until moved."""

    now: float = 1000

    def __call__(self) -> float:
        return self.now


@contextmanager
def no_descriptor_free() -> Iterator[None]:
    """As in a process that has as many open as it may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


class Relay:
    """A port that leads to another one: stop it, and to its callers the server behind it is gone."""

    def __init__(self, *, port: int, to: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._port, self._to = port, to
        self._open: list[socket.socket] = []
        self._flowing = threading.Event()
        self._flowing.set()
        self._allowed: int | None = None

    def stall(self, *, after_bytes: int = 0) -> None:
        """Take connections and requests as ever, and pass nothing on any more once so many bytes have come through."""
        self._allowed = after_bytes
        if not after_bytes:
            self._flowing.clear()

    def flow(self) -> None:
        self._allowed = None
        self._flowing.set()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def start(self) -> None:
        listener = socket.create_server(("127.0.0.1", self._port))
        self._open = [listener]
        threading.Thread(target=self._accept, args=[listener], daemon=True).start()

    def stop(self) -> None:
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self, listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                caller, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", self._to))
                self._open += [caller, server]
                for source, sink in ((caller, server), (server, caller)):
                    threading.Thread(target=self._pump, args=[source, sink], daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if self._allowed is not None:
                    self._allowed -= len(data)
                    if self._allowed <= 0:
                        self._flowing.clear()
                self._flowing.wait()
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
