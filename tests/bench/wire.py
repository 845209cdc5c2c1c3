"""Count the bytes that go through a port: a relay before a server, which changes nothing of what it passes on."""

import socket
import threading
from contextlib import suppress
from typing import Self

CHUNK = 1 << 16


class Counted:
    """A port of 127.0.0.1 that leads to another one. `count`: of what TCP carried both ways, without its headers."""

    def __init__(self, to: int) -> None:
        self._to = to
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._open = [self._listener]
        self.count = 0

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_error: object) -> None:
        for each in self._open:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                caller, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._to))
                self._open += [caller, server]
                for source, sink in ((caller, server), (server, caller)):
                    source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    threading.Thread(target=self._pump, args=[source, sink], daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(CHUNK):
                with self._lock:  # before it is passed on: whoever has the answer finds it counted
                    self.count += len(data)
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
