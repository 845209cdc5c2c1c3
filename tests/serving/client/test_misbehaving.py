"""Servers and networks that fail: what is tried again, for how long, and what the caller is told."""

import json
import threading
import time
from collections.abc import Callable

import pytest

from serving.client import (
    Busy,
    CallerError,
    DeadlineExpired,
    InvalidInput,
    QueueFull,
    Retry,
    ServerFailed,
    Unreachable,
    UnreadableAnswer,
)
from serving.client.over_http import TIMEOUT
from serving.rest import wire
from tests.servers import free_port
from tests.serving.client.conftest import Misbehaving, Reply, Verb

ROW = [{"a": 1, "b": 2, "c": 3}]


def a_problem(status: int, code: str, **headers: str) -> Reply:
    body = {"type": f"urn:slipway:problem:{code}", "status": status, "detail": f"because {code}"}
    said = {"content-type": "application/problem+json", "x-model-version": "7", **headers}
    return Reply(status, json.dumps(body).encode(), said)


BUSY = a_problem(503, "queue-full")


@pytest.mark.parametrize("bad", [BUSY, Reply(429), Reply(503), Reply(hangs_up=True), Reply(cut=True)])
async def test_it_asks_again_until_it_is_answered(predict: Verb, bad: Reply) -> None:
    with Misbehaving(bad, bad) as server:
        assert await predict(server.url, ROW) == [6]

    assert len(server.heard) == 3
    assert len({heard["x-request-id"] for heard in server.heard}) == 1


async def test_it_gives_up_after_so_many_attempts_with_the_servers_reason(predict: Verb) -> None:
    with Misbehaving(*[BUSY] * 9) as server, pytest.raises(QueueFull, match="because queue-full") as refusal:
        await predict(server.url, ROW, retry=Retry(attempts=3, first_seconds=0.001))

    assert len(server.heard) == 3
    assert (refusal.value.code, refusal.value.version) == ("queue-full", "7")


async def test_it_leaves_the_server_alone_for_as_long_as_that_says(predict: Verb) -> None:
    with Misbehaving(a_problem(503, "not-ready", **{"retry-after": "1"})) as server:
        began = time.monotonic()

        assert await predict(server.url, ROW) == [6]

    assert time.monotonic() - began >= 1


async def test_it_does_not_wait_for_what_would_come_too_late(predict: Verb) -> None:
    later = a_problem(503, "not-ready", **{"retry-after": "60"})
    with Misbehaving(later) as server, pytest.raises(Busy, match="because not-ready"):
        await predict(server.url, ROW, timeout=5)

    assert len(server.heard) == 1


async def test_nobody_at_the_address_is_unreachable(predict: Verb) -> None:
    with pytest.raises(Unreachable, match="cannot be reached"):
        await predict(f"http://127.0.0.1:{free_port()}", ROW)


async def test_nobody_at_a_grpc_address_is_unreachable(predict: Verb) -> None:
    with pytest.raises(Unreachable, match="cannot be reached"):
        await predict(f"grpc://127.0.0.1:{free_port()}", ROW, model="iris", retry=Retry(attempts=1))


async def test_a_server_that_says_nothing_is_given_up_when_the_time_is_up(predict: Verb) -> None:
    never = threading.Event()
    with Misbehaving(Reply(held=never)) as server:
        began = time.monotonic()
        with pytest.raises(DeadlineExpired):
            await predict(server.url, ROW, timeout=0.3)
        assert time.monotonic() - began < 5
        never.set()

    assert len(server.heard) == 1


async def test_a_server_that_answers_in_drops_is_given_up_too(predict: Verb) -> None:
    with Misbehaving(Reply(seconds_a_byte=0.3)) as server:
        began = time.monotonic()
        with pytest.raises(DeadlineExpired):
            await predict(server.url, ROW, timeout=0.35)
        assert time.monotonic() - began < 5


async def test_the_time_is_for_all_attempts_and_the_server_is_told_what_is_left(predict: Verb) -> None:
    with Misbehaving(a_problem(503, "busy", **{"retry-after": "1"})) as server:
        await predict(server.url, ROW, timeout=20)

    first, second = (int(heard[TIMEOUT]) for heard in server.heard)
    assert 15_000 < first <= 20_000
    assert second <= first - 1000
    assert wire.TIMEOUT.decode() == TIMEOUT


async def test_without_a_limit_the_server_is_told_none(predict: Verb) -> None:
    with Misbehaving() as server:
        await predict(server.url, ROW, timeout=None)

    assert TIMEOUT not in server.heard[0]


async def test_headers_go_with_every_request(predict: Verb) -> None:
    with Misbehaving(BUSY) as server:
        await predict(server.url, ROW, headers={"x-caller-key": "me"})

    assert [heard["x-caller-key"] for heard in server.heard] == ["me", "me"]


@pytest.mark.parametrize(
    ("reply", "kind", "code"),
    [
        (a_problem(400, "invalid-input"), InvalidInput, "invalid-input"),
        (a_problem(400, "something-new"), CallerError, "something-new"),
        (a_problem(504, "deadline-expired"), DeadlineExpired, "deadline-expired"),
        (a_problem(500, "internal-error"), ServerFailed, "internal-error"),
        (Reply(404, b"<html>secret</html>", {"content-type": "text/html"}), CallerError, "bad-request"),
        (Reply(502, b"<html>secret</html>", {"content-type": "text/html"}), ServerFailed, "server-failed"),
        (Reply(400, b"secret", {"content-type": "application/problem+json"}), CallerError, "bad-request"),
        (Reply(200, b"<html>secret</html>"), UnreadableAnswer, "unreadable-answer"),
        (Reply(301, b"secret", {"location": "/secret"}), ServerFailed, "server-failed"),
    ],
)
async def test_other_refusals_are_told_once_and_repeat_nothing(
    predict: Verb, reply: Reply, kind: type[Exception], code: str
) -> None:
    with Misbehaving(reply) as server, pytest.raises(kind) as refusal:
        await predict(server.url, ROW)

    assert len(server.heard) == 1
    assert type(refusal.value) is kind
    assert getattr(refusal.value, "code", None) == code
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    "body",
    [
        b'{"prediction": 1}\n',
        b'{"prediction": 1}\n{"predic',
        b"[]\n[]\n",
        b'{"prediction": 1}\n{"error": "no"}\n',
    ],
)
def test_a_stream_whose_answers_are_not_whole_is_an_error_and_never_a_short_answer(
    body: bytes, quick_stream: Callable[[str], list[object]]
) -> None:
    with Misbehaving(Reply(200, body)) as server, pytest.raises(UnreadableAnswer):
        quick_stream(server.url)


def test_a_piece_of_a_stream_that_met_a_full_queue_is_asked_again(quick_stream: Callable[[str], list[object]]) -> None:
    full = b'{"error": "9 rows wait", "code": "queue-full", "row": %d}\n'
    with Misbehaving(Reply(200, full % 1 + full % 2), Reply(200, b'{"prediction": 1}\n{"prediction": 2}\n')) as server:
        assert quick_stream(server.url) == [1, 2]


@pytest.fixture
def quick_stream() -> Callable[[str], list[object]]:
    from serving.client import Client
    from tests.serving.client.conftest import QUICK

    def stream(url: str) -> list[object]:
        with Client(url, retry=QUICK) as made:
            return list(made.stream([1, 2]))

    return stream
