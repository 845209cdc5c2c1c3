"""What a load sees of a server that does something wrong: nothing may pass for a right answer."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count

from tests.load.record import Question
from tests.load.rest import RestLoad
from tests.servers import eventually

ASKED = [Question(("x",), ((float(x),),), {1: [2.0 * x], 2: [3.0 * x]}) for x in range(1, 8)]
Answer = Callable[[float, int], bytes | None]
"""To `x`, in so many-th place on its connection; None hangs up."""


def right(x: float, _number: int, *, version: int = 1) -> bytes:
    return an_answer(version, [(version + 1) * x])


def an_answer(version: int, predictions: list[float], status: str = "200 OK") -> bytes:
    body = json.dumps({"predictions": predictions}).encode()
    return b"HTTP/1.1 %s\r\nX-Model-Version: %d\r\ncontent-length: %d\r\n\r\n%s" % (
        status.encode(),
        version,
        len(body),
        body,
    )


@contextmanager
def a_server(answer: Answer) -> Iterator[int]:
    """Its port."""
    ports: list[int] = []
    ended = threading.Event()

    async def run() -> None:
        async with await asyncio.start_server(partial(serve, answer), "127.0.0.1", 0) as server:
            ports.append(server.sockets[0].getsockname()[1])
            await asyncio.to_thread(ended.wait)

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    try:
        yield eventually(lambda: ports)[0]
    finally:
        ended.set()
        thread.join()


async def serve(answer: Answer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection."""
    with suppress(asyncio.IncompleteReadError, ConnectionError):  # the load is over
        for number in count():
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].split()[0])
            ((x,),) = json.loads(await reader.readexactly(length))["dataframe_split"]["data"]
            written = answer(x, number)
            if written is None:
                break
            writer.write(written)
    writer.transport.abort()


def failures(answer: Answer, *, requests: int = 100, every_seconds: float = 0) -> list[str]:
    """The reasons, after so many requests of three connections, without repetitions."""
    with a_server(answer) as port, RestLoad(port, "m", ASKED, connections=3, every_seconds=every_seconds) as load:
        eventually(lambda: len(load.record) + len(load.record.failures) > requests)
    return sorted({each.reason for each in load.record.failures})


def test_right_answers_are_no_failures_and_tell_their_story() -> None:
    def answer(x: float, number: int) -> bytes:
        return right(x, number, version=1 if number < 10 else 2)

    with a_server(answer) as port, RestLoad(port, "m", ASKED, connections=3, every_seconds=0.02) as load:
        eventually(lambda: load.all_answer(2))

    assert load.record.failures == []
    assert list(load.record.stories().values()) == [[1, 2]] * 3
    assert (load.record.answers()["seconds"] > 0).all()


def test_an_answer_of_another_version_than_it_names_is_wrong() -> None:
    (reason,) = failures(lambda x, number: an_answer(2, [2 * x]) if (x, number > 20) == (5, True) else right(x, number))

    assert reason == "version 2 answered [10.0] and not [15.0]"


def test_an_answer_to_another_question_is_wrong() -> None:
    assert failures(lambda _x, number: right(2, number) if number > 20 else right(_x, number))


def test_a_version_that_nobody_has_promoted_is_wrong() -> None:
    said = failures(lambda x, number: an_answer(3, [x]) if number > 20 else right(x, number))

    assert said == ["version 3 answered, of which nobody knows"]


def test_a_refusal_is_a_failure() -> None:
    said = failures(lambda x, number: an_answer(1, [], "503 Busy") if number == 20 else right(x, number))

    assert said == ['HTTP/1.1 503 Busy {"predictions": []}']


def test_a_lost_connection_is_a_failure_and_another_takes_its_place() -> None:
    def answer(x: float, number: int) -> bytes | None:
        return right(x, number) if number < 20 else None

    with a_server(answer) as port, RestLoad(port, "m", ASKED, connections=3, every_seconds=0.02) as load:
        eventually(lambda: len(load.record) > 200)

    assert all("connection lost" in each.reason for each in load.record.failures)
    assert load.record.failures
    assert {each.connection for each in load.record.failures} <= set(load.record.stories())


def test_connections_ask_at_their_own_pace() -> None:
    assert failures(right, requests=30, every_seconds=0.01) == []
