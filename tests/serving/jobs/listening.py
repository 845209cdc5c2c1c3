"""Somebody's server that is called back."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass(frozen=True)
class Message:
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Listener:
    """`status` is what it answers."""

    url: str
    status: int = 204
    messages: list[Message] = field(default_factory=list)


@contextmanager
def listening() -> Iterator[Listener]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["content-length"])
            body = self.rfile.read(length)
            if len(body) < length:  # its sender was killed while it told
                self.close_connection = True
                return
            named = {name.lower(): value for name, value in self.headers.items()}
            listener.messages.append(Message(named, body))
            self.send_response(listener.status)
            self.send_header("location", listener.url)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
            """Nowhere."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener = Listener(f"http://127.0.0.1:{server.server_address[1]}/")
    thread = threading.Thread(target=server.serve_forever, name="listener")
    thread.start()
    try:
        yield listener
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
