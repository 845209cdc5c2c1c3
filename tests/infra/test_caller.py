"""How the demo and `make status` call serving: what they know of it, its key, and whose certificate they believe."""

import json
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from infra.local import readiness
from infra.local.authority import Authority
from infra.local.caller import Caller
from infra.local.certs import ensure
from infra.local.errors import StackError
from infra.local.settings import Settings
from tests.servers import free_port


@contextmanager
def serving(status: int, body: bytes, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """Answers everything so; a body that asks for the key gets it back."""

    class Always(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            said = body.replace(b"KEY", self.headers.get("authorization", "none").encode())
            self.send_response(status)
            self.send_header("content-length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        def log_message(self, *_words: object) -> None:
            """Nothing on standard error."""

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, *_who: object) -> None:
            """A caller who does not trust us hangs up; that is what is tested."""

    with Quiet(("127.0.0.1", 0), Always) as server:
        if tls is not None:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, args=[0.01]).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()


def settings(root: Path, port: int, names: Mapping[str, str] | None = None) -> Settings:
    """Paths below `root`, as `.env` has them below the project's folder."""
    return Settings(root, {"SERVING_HOST": "127.0.0.1", "SERVING_PORT": str(port), **(names or {})}, "")


def shows(folder: Path, name: str = "server") -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=folder / "ca.pem")
    context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    return context


def named(folder: str) -> dict[str, str]:
    return {"SERVING_TLS__CERTIFICATE": f"{folder}/server.pem", "SERVING_TLS__KEY": f"{folder}/server.key"}


@pytest.mark.parametrize(
    ("status", "body", "known"),
    [
        (200, b'{"version": 7}', {"version": 7}),
        (503, b'{"detail": "not yet"}', {"detail": "not yet"}),
        (200, b"<", {}),
        (200, b"[]", {}),
    ],
)
def test_what_serving_says_is_known_an_errors_reason_too(
    tmp_path: Path, status: int, body: bytes, known: dict[str, Any]
) -> None:
    with serving(status, body) as port:
        assert Caller.of(settings(tmp_path, port)).known("/v2/models/iris") == known


def test_of_a_serving_that_is_down_it_is_known_why_nothing_is(tmp_path: Path) -> None:
    found = Caller.of(settings(tmp_path, free_port())).known("/v2/models/iris")

    assert found == {"detail": "it cannot be asked: [Errno 111] Connection refused"}


def test_serving_is_shown_the_key_of_env(tmp_path: Path) -> None:
    with serving(200, b'{"shown": "KEY"}') as port:
        caller = Caller.of(settings(tmp_path, port, {"SLIPWAY_API_KEY": "slipway_sesame"}))

        assert caller.known("/v2") == {"shown": "Bearer slipway_sesame"}
        assert "sesame" not in repr(caller)


def test_serving_is_asked_over_tls_with_the_certificate_of_make_certs(tmp_path: Path) -> None:
    ensure(tmp_path / "certs")
    with serving(200, b'{"version": 7}', shows(tmp_path / "certs")) as port:
        assert Caller.of(settings(tmp_path, port, named("certs"))).known("/v2/models/iris") == {"version": 7}


def test_a_certificate_of_a_ca_that_nobody_knows_and_for_another_name_is_servings_all_the_same(tmp_path: Path) -> None:
    signed = Authority.new("elsewhere").sign("slipway", ["slipway.example.com"])
    ensure(tmp_path)
    (tmp_path / "server.pem").write_bytes(signed.certificate)
    (tmp_path / "server.key").write_bytes(signed.key)
    with serving(200, b'{"version": 7}', shows(tmp_path)) as port:
        assert Caller.of(settings(tmp_path, port, named("."))).known("/v2/models/iris") == {"version": 7}


@pytest.mark.parametrize("another", ["of the same CA", "of another CA"])
def test_whoever_shows_another_certificate_is_not_believed_and_the_reason_is_told(tmp_path: Path, another: str) -> None:
    ensure(tmp_path / "certs")
    ensure(tmp_path / "others")
    shown = shows(tmp_path / "certs", "client") if another == "of the same CA" else shows(tmp_path / "others")
    with serving(200, b'{"version": 7}', shown) as port:
        caller = Caller.of(settings(tmp_path, port, named("certs")))

        with pytest.raises(
            StackError, match=rf"serving cannot be asked at https://127.0.0.1:{port}: its certificate is"
        ):
            caller.known("/v2/models/iris")


def test_where_serving_wants_a_certificate_it_is_shown_its_own(tmp_path: Path) -> None:
    ensure(tmp_path / "certs")
    mutual = shows(tmp_path / "certs")
    mutual.verify_mode = ssl.CERT_REQUIRED
    names = {**named("certs"), "SERVING_TLS__CLIENT_CA": "certs/ca.pem"}
    with serving(200, b'{"version": 7}', mutual) as port:
        assert Caller.of(settings(tmp_path, port, names)).known("/v2/models/iris") == {"version": 7}


def test_a_certificate_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(StackError, match=r"SERVING_TLS__CERTIFICATE or __KEY cannot be read: .*server\.pem"):
        Caller.of(settings(tmp_path, 8000, named("nowhere")))


@pytest.mark.parametrize(
    ("status", "body", "why_not"),
    [
        (200, {"ready": True}, ""),
        (
            503,
            {"detail": "model 'iris' does not answer yet: no version"},
            "model 'iris' does not answer yet: no version",
        ),
        (404, {"detail": "nobody here"}, ""),
        (503, ["a stranger"], ""),
    ],
)
def test_why_serving_is_not_ready_is_told_in_its_own_words(
    tmp_path: Path, status: int, body: Any, why_not: str
) -> None:
    with serving(status, json.dumps(body).encode()) as port:
        assert readiness.why_not(settings(tmp_path, port)) == why_not


def test_nobody_says_of_a_serving_that_cannot_be_asked_whether_it_is_ready(tmp_path: Path) -> None:
    assert readiness.why_not(settings(tmp_path, free_port())) == ""
    assert readiness.why_not(settings(tmp_path, 8000, named("nowhere"))) == ""
