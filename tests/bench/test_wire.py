import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx

from tests.bench.wire import Counted


class Ten(BaseHTTPRequestHandler):
    """Answers everything with ten bytes and no more."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n0123456789")

    def log_message(self, *_words: object) -> None:
        """Nobody reads it."""


def test_what_goes_through_is_counted_both_ways_and_not_changed() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Ten) as server:
        threading.Thread(target=server.serve_forever, args=[0.01]).start()
        try:
            with Counted(server.server_address[1]) as counted, httpx.Client(trust_env=False) as client:
                url = f"http://127.0.0.1:{counted.port}/"
                answers = [client.get(url, headers={"x": "y" * 1000}) for _ in range(3)]
                sent = sum(len(f"{name}: {value}\r\n") for name, value in answers[0].request.headers.items())
                first_line = len("GET / HTTP/1.1\r\n\r\n")
                got = len("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n0123456789")

                assert [each.text for each in answers] == ["0123456789"] * 3
                assert counted.count == 3 * (sent + first_line + got)
        finally:
            server.shutdown()
