import asyncio
import json
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import uvicorn

from serving.app import build
from serving.engine import Engine
from serving.lag import CALM_SECONDS, STANDING_LOOKS, STANDING_SECONDS, Lag
from serving.lineup import Lineup
from serving.metrics.declared import Route
from serving.rest.connections import limited
from serving.rest.context import SAFE
from serving.rest.unread import Unread
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


def rounds(lag: Lag, number: int, *, each_seconds: float) -> None:
    """So many, full, of predictions that take so long."""
    for _ in range(number):
        begun = sum(lag.admits() for _ in range(1000))
        lag.rounds.read()
        lag.rounds.answered(begun * each_seconds)


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


@pytest.mark.parametrize(("refused", "over"), [(0, True), (5, True), (20, False)])
def test_an_overload_is_over_when_hardly_anybody_has_to_be_refused(refused: int, over: bool) -> None:
    lag = Lag(0.1)
    now = overloaded(lag)
    for _ in range(100 - refused):
        lag.rounds.read()
        lag.admits()
    lag.rounds.read()
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


def test_at_its_edge_an_overload_does_not_come_and_go() -> None:
    lag = Lag(0.1)
    now = overloaded(lag)
    for callers, is_one in ((90, True), (70, True), (40, True), (40, False)):
        lag.callers = callers
        rounds(lag, 30, each_seconds=0.001)
        lag.look(now := now + CALM_SECONDS, PUNCTUAL, 0)
        assert lag.overloaded is is_one


@dataclass
class Desk:
    """A server whose loop is in an overload when its `lag` says so; what it has refused before it was read."""

    lag: Lag
    refused: list[Unread]
    port: int

    async def ask(self, *requests: bytes) -> list[bytes]:
        """On one connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        answers = []
        for request in requests:
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            answers.append(head + await reader.readexactly(length))
        writer.close()
        await writer.wait_closed()
        return answers


@pytest.fixture
async def desk(lineup: Lineup) -> AsyncIterator[Desk]:
    put(lineup)
    made = Desk(Full(0.1), [], free_port())
    http = limited(Limits(), made.lag, made.refused.append)
    config = uvicorn.Config(build(Engine(lineup)), port=made.port, log_config=None, ws="none", http=http)
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 - uvicorn tells nobody
        await asyncio.sleep(0.01)
    yield made
    server.should_exit = True
    await running


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


async def test_predictions_are_refused_unread_and_everything_else_is_answered(desk: Desk) -> None:
    infer = PREDICTION.replace(b"/invocations", b"/v2/models/iris/infer")
    jobs = PREDICTION.replace(b"/invocations", b"/v1/models/iris/jobs")
    health = b"GET /v2/health/live HTTP/1.1\r\nhost: x\r\n\r\n"

    before = await desk.ask(PREDICTION)
    desk.lag.overloaded = True
    within = await desk.ask(PREDICTION, infer, health, jobs, PREDICTION)
    desk.lag.overloaded = False
    after = await desk.ask(PREDICTION)

    assert [status(each) for each in before + after] == [200, 200]
    assert [status(each) for each in within] == [503, 503, 200, 404, 503]  # it has no jobs
    assert [each.route for each in desk.refused] == [Route.INVOCATIONS, Route.INFER, Route.INVOCATIONS]
    assert {(each.code, each.status) for each in desk.refused} == {("queue-full", 503)}


async def test_who_is_refused_unread_is_told_what_all_others_are(desk: Desk) -> None:
    desk.lag.overloaded = True

    named, unnamed = await desk.ask(PREDICTION.replace(b"host: x", b"host: x\r\nX-Request-ID: its-own"), PREDICTION)

    assert b"\r\nretry-after: 1\r\n" in named
    assert b'"urn:slipway:problem:queue-full"' in named
    assert b"\r\nx-request-id: its-own\r\n" in named
    assert b'"request_id":"its-own"' in named
    assert re.search(rb'\r\nx-request-id: (\w+)\r\n.*"request_id":"\1"', unnamed, re.DOTALL)
    assert all(f"\r\n{name}: {value}\r\n".encode() in named for name, value in SAFE.items())
