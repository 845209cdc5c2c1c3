import asyncio
import json

import uvicorn

from serving.app import build
from serving.engine import Engine
from serving.lineup import Lineup
from serving.rest.connections import limited
from serving.rest.lag import CALM_SECONDS, STANDING_SECONDS, Lag
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


def test_a_loop_that_was_held_up_once_refuses_nothing() -> None:
    lag = Lag(0.03)
    lag.look(10, PUNCTUAL)
    lag.look(10.5, LATE)

    assert not lag.closed


def test_one_that_is_late_all_the_time_does_until_it_is_not() -> None:
    lag = Lag(0.03)
    lag.look(10, PUNCTUAL)
    lag.look(10 + STANDING_SECONDS, LATE)
    assert lag.closed

    lag.look(11.1, PUNCTUAL)

    assert not lag.closed


def test_in_an_overload_being_late_once_is_enough() -> None:
    lag = Lag(0.03)
    lag.look(10, PUNCTUAL)
    lag.look(10 + STANDING_SECONDS, LATE)
    lag.look(11.1, PUNCTUAL)
    lag.look(11.2, LATE)
    assert lag.closed

    lag.look(11.3, PUNCTUAL)
    lag.look(11.2 + CALM_SECONDS, LATE)

    assert not lag.closed  # the overload was over


async def test_predictions_are_refused_unread_and_everything_else_is_answered(lineup: Lineup) -> None:
    put(lineup)
    refused: list[int] = []
    lag = Lag(0.03, lambda: refused.append(1))
    config = uvicorn.Config(
        build(Engine(lineup)), port=free_port(), log_config=None, ws="none", http=limited(Limits(), lag)
    )
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
    for lag.closed in (False, True, True, False):
        answers.append(await asked(PREDICTION))
    lag.closed = True
    health = await asked(b"GET /v2/health/live HTTP/1.1\r\nhost: x\r\n\r\n")
    writer.close()
    server.should_exit = True
    await running

    assert [each.split(b" ", 2)[1] for each in (*answers, health)] == [b"200", b"503", b"503", b"200", b"200"]
    assert b"\r\nretry-after: 1\r\n" in answers[1]
    assert b'"urn:slipway:problem:queue-full"' in answers[1]
    assert len(refused) == 2
