"""A serving that says of its candidate what it has been told to: real HTTP, the shape of `GET /v2/models/NAME`."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

from pipelines.trial import Trial


def a_word(trial: Trial, state: str = "running", **more: Any) -> dict[str, Any]:
    """The member `candidate`, as serving writes it."""
    counts = {"requests": 0, "errors": 0, "p99_ms": None, "compared": 0, "disagreed": 0, "dropped": 0}
    production = {"version": 1, "requests": 900, "errors": 0, "p99_ms": 4.0}
    told = {"version": int(trial.version), "mode": trial.mode, "percent": trial.percent, "since_ms": trial.since_ms}
    return told | counts | {"state": state, "reason": "", "production": production} | more


@dataclass
class Scripted:
    """Answers with each of `script` in turn, with the last one for ever: a candidate, or a status that is no answer."""

    url: str
    script: list[dict[str, Any] | int | None] = field(default_factory=lambda: [None])
    asked: list[str] = field(default_factory=list)

    def next(self) -> dict[str, Any] | int | None:
        return self.script.pop(0) if len(self.script) > 1 else self.script[0]


@contextmanager
def scripted(*script: dict[str, Any] | int | None) -> Iterator[Scripted]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            serving.asked.append(unquote(self.path))
            word = serving.next()
            status, content = (word, {}) if isinstance(word, int) else (200, {"name": "x", "candidate": word})
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_words: object) -> None:
            """Not into the test's output."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    serving = Scripted(f"http://127.0.0.1:{server.server_port}", list(script) or [None])
    thread = threading.Thread(target=server.serve_forever, args=[0.01], daemon=True)
    thread.start()
    try:
        yield serving
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
