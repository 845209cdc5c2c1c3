import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from serving.access.issuer import IssuerKeys, Patience
from serving.errors import AuthUnreachable
from tests.fakes import Clock
from tests.servers import eventually
from tests.serving.access.conftest import Issuer


class Published(ThreadingHTTPServer):
    """The issuer's keys over HTTP; counts who asks."""

    daemon_threads = True

    def __init__(self, path: Path) -> None:
        self.path, self.asked, self.down = path, 0, False
        self.answers = threading.Event()
        self.answers.set()
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/jwks.json"


class _Handler(BaseHTTPRequestHandler):
    server: Published

    def do_GET(self) -> None:
        self.server.asked += 1
        self.server.answers.wait(20)
        body = self.server.path.read_bytes()
        self.send_response(503 if self.server.down else 200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        pass


@pytest.fixture
def published(issuer: Issuer) -> Iterator[Published]:
    with Published(issuer.path) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.answers.set()
        server.shutdown()
        thread.join()


async def test_keys_are_read_once_and_again_when_one_is_missing(published: Published, issuer: Issuer) -> None:
    keys = IssuerKeys(published.url, Patience(pause_seconds=0))

    assert await keys.keys("one")
    assert await keys.keys("one")
    assert published.asked == 1
    issuer.rotate("two")
    assert await keys.keys("two")
    assert not await keys.keys("one")
    assert await keys.keys(None), "the only one needs no name"


async def test_invented_names_do_not_flood_the_issuer(published: Published) -> None:
    keys = IssuerKeys(published.url, clock=Clock())

    assert [await keys.keys(f"invented {number}") for number in range(50)] == [()] * 50
    assert published.asked == 1


async def test_an_issuer_that_is_down_takes_no_known_key_away(published: Published) -> None:
    keys = IssuerKeys(published.url, Patience(0, 0))
    assert await keys.keys("one")

    published.down = True

    assert await keys.keys("one")
    with pytest.raises(AuthUnreachable):
        await IssuerKeys(published.url).keys("one")


async def test_an_issuer_that_hangs_holds_up_no_known_key_and_all_others_once(published: Published) -> None:
    keys = IssuerKeys(published.url, Patience(0, 0))
    assert await keys.keys("one")
    published.answers.clear()
    asked = published.asked

    others = [asyncio.create_task(keys.keys(f"invented {number}")) for number in range(5)]
    for _ in range(5):
        assert await asyncio.wait_for(keys.keys("one"), 2), "who is known waits for nobody"
    await asyncio.to_thread(eventually, lambda: published.asked == asked + 1)
    published.answers.set()

    assert await asyncio.wait_for(asyncio.gather(*others), 5) == [()] * 5
    assert published.asked == asked + 1, "they shared one reading"


async def test_the_pause_begins_when_a_reading_has_ended(published: Published) -> None:
    """Or one that takes as long as the pause would be followed by the next one at once."""
    clock, patience = Clock(), Patience()
    keys = IssuerKeys(published.url, patience, clock)
    published.down = True
    published.answers.clear()
    first = asyncio.create_task(keys.keys("one"))
    await asyncio.to_thread(eventually, lambda: published.asked == 1)
    clock.now += patience.pause_seconds + 1
    published.answers.set()
    with pytest.raises(AuthUnreachable):
        await first

    for asked in (1, 2):
        with pytest.raises(AuthUnreachable):
            await keys.keys("one")
        assert published.asked == asked
        clock.now += patience.pause_seconds + 1


async def test_keys_are_kept_fresh_without_being_asked_for(published: Published, issuer: Issuer) -> None:
    keys = IssuerKeys(published.url, Patience(fresh_seconds=0.02, pause_seconds=0))
    following = asyncio.create_task(keys.follow())

    await asyncio.to_thread(eventually, lambda: published.asked >= 3)
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following


async def test_the_log_says_where_the_keys_should_be_and_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    keys = IssuerKeys("http://me:secret@127.0.0.1:9/jwks.json?token=secret")
    with pytest.raises(AuthUnreachable):
        await keys.keys("one")

    (record,) = caplog.records
    assert "SERVING_AUTH__JWKS" in record.getMessage()
    assert record.__dict__["place"] == "http://127.0.0.1/jwks.json"
    assert "secret" not in str(record.__dict__)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"keys": 3}', '{"keys": [{"kty": "nonsense"}]}'])
async def test_what_is_no_set_of_keys_is_as_none(tmp_path: Path, content: str) -> None:
    path = tmp_path / "jwks.json"
    path.write_text(content)

    with pytest.raises(AuthUnreachable):
        await IssuerKeys(str(path)).keys("one")


async def test_keys_that_are_not_for_signatures_are_left_out(issuer: Issuer) -> None:
    found = json.loads(issuer.path.read_text())
    found["keys"][0]["use"] = "enc"
    issuer.path.write_text(json.dumps(found))

    with pytest.raises(AuthUnreachable):
        await IssuerKeys(str(issuer.path)).keys("one")
