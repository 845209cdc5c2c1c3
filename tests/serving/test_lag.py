import asyncio
import json
import re

import pytest
import uvicorn

from serving.app import build
from serving.engine import Engine
from serving.lag import (
    CALM_SECONDS,
    FIRST_BEGUN,
    LEAST_BEGUN,
    ROUND_SECONDS,
    STANDING_LOOKS,
    STANDING_SECONDS,
    Lag,
)
from serving.lineup import Lineup
from serving.rest.connections import limited
from serving.rest.context import SAFE
from serving.settings import Limits
from tests.servers import free_port
from tests.serving.rest.test_front import ROWS
from tests.serving.tensor_models import put

BODY = json.dumps(ROWS).encode()
PREDICTION = (
    b"POST /invocations HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(BODY), BODY)
)
LATE, PUNCTUAL = 0.5, 0.001


class Full(Lag):
    """In an overload, every round of it has begun what it may."""

    def admits(self) -> bool:
        return not self.overloaded


def overloaded(lag: Lag, now: float = 10, callers: int = 10_000) -> float:
    """Until it knows; and when that is."""
    lag.look(now, PUNCTUAL, 0)
    for _ in range(STANDING_LOOKS):
        now += STANDING_SECONDS / (STANDING_LOOKS - 1)
        lag.callers, lag.came = callers, 10
        lag.look(now, LATE, LATE)
    assert lag.overloaded
    return now


def rounds(lag: Lag, number: int, *, each_seconds: float) -> int:
    """So many, of predictions that take so long; and how many were begun in the last of them."""
    begun = 0
    for _ in range(number):
        begun = sum(lag.admits() for _ in range(1000))
        lag.read()
        lag.answered(begun * each_seconds)
    return begun


def test_a_loop_that_is_in_time_refuses_nothing() -> None:
    lag = Lag(0.1)
    lag.look(10, PUNCTUAL, 0)

    assert all(lag.admits() for _ in range(1000))


def test_a_loop_that_was_held_up_once_is_not_overloaded_however_long_that_took() -> None:
    lag = Lag(0.1)
    lag.look(10, PUNCTUAL, 0)
    lag.callers, lag.came = 1000, 10
    lag.look(15, 5.0, 5.0)
    lag.look(15.01, PUNCTUAL, 0)

    assert not lag.overloaded


@pytest.mark.parametrize(("callers", "too_much"), [(32, False), (500, True)])
def test_a_late_loop_is_overloaded_when_those_who_ask_could_not_all_be_answered_soon(
    callers: int, too_much: bool
) -> None:
    """32 callers, 1 ms each, are no overload however late each of them finds the loop."""
    lag, now = Lag(0.1), 10.0
    lag.look(now, PUNCTUAL, 0)
    for _ in range(100):
        now += 0.03
        lag.callers, lag.came = callers, 30
        lag.look(now, LATE, 0.03)

    assert lag.overloaded is too_much


def test_a_loop_that_waits_for_a_processor_is_not_overloaded() -> None:
    lag, now = Lag(0.1), 10.0
    lag.look(now, PUNCTUAL, 0)
    for _ in range(100):
        now += 0.3
        lag.callers, lag.came = 16, 16
        lag.look(now, 0.3, 0.01)

    assert not lag.overloaded


def test_in_an_overload_so_many_begin_in_a_round_as_fit_in_a_few_milliseconds() -> None:
    lag = Lag(0.1)
    overloaded(lag)

    assert rounds(lag, 30, each_seconds=0.0001) == pytest.approx(ROUND_SECONDS / 0.0001, rel=0.1)
    assert rounds(lag, 30, each_seconds=0.0005) == pytest.approx(ROUND_SECONDS / 0.0005, rel=0.1)
    assert rounds(lag, 30, each_seconds=1) == LEAST_BEGUN


@pytest.mark.parametrize(("refused", "over"), [(0, True), (5, True), (20, False)])
def test_an_overload_is_over_when_hardly_anybody_has_to_be_refused(refused: int, over: bool) -> None:
    lag = Lag(0.1)
    now = overloaded(lag)
    for _ in range(100 - refused):
        lag.read()
        lag.admits()
    lag.read()
    while lag.admits():
        pass
    for _ in range(refused - 1):
        lag.admits()

    lag.look(now + CALM_SECONDS, LATE, LATE)

    assert lag.overloaded is not over


def test_few_callers_who_come_back_at_once_are_no_overload_however_many_are_refused() -> None:
    """Else they would be refused for ever: a refusal takes no time, so that they ask ever more often."""
    lag = Lag(0.1)
    now = overloaded(lag)
    for callers, is_one in (
        (200, True),
        (200, True),
        (20, True),
        (20, False),
    ):  # for one window more, as many as before
        rounds(lag, 30, each_seconds=0.001)
        lag.callers = callers
        lag.look(now := now + CALM_SECONDS, PUNCTUAL, 0)
        assert lag.overloaded is is_one


async def test_rounds_are_told_apart_in_a_real_loop() -> None:
    lag = Lag(0.1)
    lag.start()
    overloaded(lag, asyncio.get_running_loop().time())
    begun: list[bool] = []

    def read(requests: int) -> None:
        begun.extend(lag.admits() for _ in range(requests))

    loop = asyncio.get_running_loop()
    for _ in range(3):  # three sockets of one round
        loop.call_soon(read, FIRST_BEGUN)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert begun.count(True) == FIRST_BEGUN
    await asyncio.sleep(0)
    read(1)

    assert begun[-1]


async def test_predictions_are_refused_unread_and_everything_else_is_answered(lineup: Lineup) -> None:
    put(lineup)
    refused: list[int] = []
    lag = Full(0.1)
    http = limited(Limits(), lag, lambda: refused.append(1))
    config = uvicorn.Config(build(Engine(lineup)), port=free_port(), log_config=None, ws="none", http=http)
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn tells nobody
        await asyncio.sleep(0.01)
    reader, writer = await asyncio.open_connection("127.0.0.1", config.port)

    async def asked(request: bytes) -> bytes:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        return head + await reader.readexactly(int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0]))

    answers = []
    named = PREDICTION.replace(b"host: x", b"host: x\r\nX-Request-ID: its-own")
    asking = zip((False, True, True, False), (PREDICTION, named, PREDICTION, PREDICTION), strict=True)
    for lag.overloaded, request in asking:
        answers.append(await asked(request))
    lag.overloaded = True
    health = await asked(b"GET /v2/health/live HTTP/1.1\r\nhost: x\r\n\r\n")
    writer.close()
    server.should_exit = True
    await running

    assert [each.split(b" ", 2)[1] for each in (*answers, health)] == [b"200", b"503", b"503", b"200", b"200"]
    assert b"\r\nretry-after: 1\r\n" in answers[1]
    assert b'"urn:slipway:problem:queue-full"' in answers[1]
    assert b"\r\nx-request-id: its-own\r\n" in answers[1]
    assert b'"request_id":"its-own"' in answers[1]
    assert re.search(rb'\r\nx-request-id: (\w+)\r\n.*"request_id":"\1"', answers[2], re.DOTALL)
    assert all(f"\r\n{name}: {value}\r\n".encode() in answers[1] for name, value in SAFE.items())
    assert len(refused) == 2
