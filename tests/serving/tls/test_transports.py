"""What callers meet of TLS, over REST and over gRPC, by real handshakes."""

import asyncio
import logging
import socket
import ssl
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from infra.local.authority import Authority
from serving.client import AsyncClient, Client, Unreachable
from tests.servers import eventually
from tests.serving.tls.conftest import ONCE, ROWS, Secured

Secure = Callable[..., Secured]


def shown(secured: Secured, transport: str) -> bytes:
    """The certificate that a new connection is shown."""
    return ssl.get_server_certificate(("127.0.0.1", secured.port(transport))).encode()


def predicted(client: Client) -> Any:
    with client:
        return client.predict(ROWS)


def test_callers_who_trust_the_ca_are_answered(secured: Secure, transport: str) -> None:
    assert predicted(secured().client(transport)) == [6]


async def test_coroutines_are_answered_too(secured: Secure, transport: str) -> None:
    server = secured(mutual=True)
    url = f"{transport}s://localhost:{server.port(transport)}"

    async with AsyncClient(url, model="iris", ca=server.papers.ca, **server.papers.client()) as client:
        assert await client.predict(ROWS) == [6]


def test_a_server_of_another_ca_is_not_trusted(secured: Secure, transport: str, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(Authority.new("other").issued.certificate)

    with pytest.raises(Unreachable):
        predicted(secured().client(transport, ca=other))


def test_the_client_says_that_it_is_about_the_certificate(secured: Secure) -> None:
    server = secured()

    with pytest.raises(Unreachable, match="certificate is not trusted: unable to get local issuer certificate"):
        predicted(Client(f"https://127.0.0.1:{server.http}", model="iris", retry=ONCE))


def test_mutual_tls_answers_who_shows_a_certificate(secured: Secure, transport: str) -> None:
    server = secured(mutual=True)

    assert predicted(server.client(transport, **server.papers.client())) == [6]


@pytest.mark.parametrize("what", ["none", "another CA's", "outdated"])
def test_mutual_tls_lets_nobody_else_in(secured: Secure, transport: str, what: str) -> None:
    server = secured(mutual=True)
    papers = server.papers
    mine = {
        "none": {},
        "another CA's": papers.client("stranger", of=Authority.new("tests")),
        "outdated": papers.client("outdated", outdated=True),
    }[what]

    with pytest.raises(Unreachable):
        predicted(server.client(transport, **mine))
    assert predicted(server.client(transport, **papers.client())) == [6]


def test_plain_text_is_refused_and_hurts_nobody(secured: Secure, caplog: pytest.LogCaptureFixture) -> None:
    server = secured()
    with server.client("http") as client:
        assert client.predict(ROWS) == [6]

        for _ in range(20):
            with pytest.raises(httpx.TransportError):
                httpx.get(f"http://127.0.0.1:{server.http}/health", timeout=5)
        with pytest.raises(Unreachable):
            predicted(Client(f"grpc://127.0.0.1:{server.grpc}", model="iris", retry=ONCE, timeout=5))

        assert client.predict(ROWS) == [6]
    assert [each.getMessage() for each in caplog.records if each.levelno > logging.INFO] == []


def test_a_new_certificate_is_shown_and_no_request_fails(secured: Secure, transport: str) -> None:
    """Some callers keep their connection, others make one for every request."""
    server = secured(mutual=True)
    mine = server.papers.client()
    ended, failed, answered = threading.Event(), list[Exception](), [0, 0]

    def ask(number: int, *, anew: bool) -> None:
        client = server.client(transport, **mine)
        while not ended.is_set():
            try:
                client.predict(ROWS)
            except Exception as error:  # noqa: BLE001 - whatever it is, it must not be
                failed.append(error)
            answered[number] += 1
            if anew:
                client.close()
                client = server.client(transport, **mine)
        client.close()

    callers = [threading.Thread(target=ask, args=[at], kwargs={"anew": bool(at)}) for at in range(2)]
    for each in callers:
        each.start()
    try:
        for _ in range(5):
            wanted = [count + 3 for count in answered]
            eventually(partial(_reached, answered, wanted))
            issued = server.papers.put()
            assert _shown_to(server, transport, mine) == issued.certificate
    finally:
        ended.set()
        for each in callers:
            each.join(20)

    assert failed == []


def test_a_broken_pair_goes_unnoticed_by_callers(secured: Secure, transport: str) -> None:
    server = secured()
    before = shown(server, transport)

    server.papers.key.write_bytes(b"half a k")

    assert shown(server, transport) == before
    assert predicted(server.client(transport)) == [6]


def test_a_ca_that_is_taken_away_lets_its_clients_in_no_more(secured: Secure, transport: str) -> None:
    server = secured(mutual=True)
    former, new = server.papers.client("former"), Authority.new("new")
    trusted = server.papers.folder / "trusted.pem"
    trusted.write_bytes(server.papers.ca.read_bytes())
    with server.client(transport, ca=trusted, **former) as kept:
        assert kept.predict(ROWS) == [6]

        server.papers.ca.write_bytes(new.issued.certificate)

        assert kept.predict(ROWS) == [6]  # a connection keeps what it was made with
    with pytest.raises(Unreachable):
        predicted(server.client(transport, ca=trusted, **former))
    mine = server.papers.client("later", of=new)
    assert predicted(server.client(transport, ca=trusted, **mine)) == [6]


async def test_who_never_ends_a_handshake_holds_up_nobody(secured: Secure) -> None:
    server = secured()
    streams = [await asyncio.open_connection("127.0.0.1", server.http) for _ in range(20)]

    assert await asyncio.to_thread(predicted, server.client("http")) == [6]
    for _, writer in streams:
        writer.close()
        await writer.wait_closed()


def _reached(counts: list[int], wanted: list[int]) -> bool:
    return all(count >= least for count, least in zip(counts, wanted, strict=True))


def _shown_to(server: Secured, transport: str, mine: dict[str, Path]) -> bytes:
    """As `shown`, to a client that has a certificate, too."""
    context = ssl.create_default_context(cafile=server.papers.ca)
    context.load_cert_chain(mine["certificate"], mine["certificate_key"])
    context.set_alpn_protocols(["h2" if transport == "grpc" else "http/1.1"])
    with (
        socket.create_connection(("127.0.0.1", server.port(transport)), 5) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        found = connection.getpeercert(binary_form=True)
    assert found is not None
    return ssl.DER_cert_to_PEM_cert(found).encode()
