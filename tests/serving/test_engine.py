import asyncio
import threading
from dataclasses import replace

from serving.engine import Call, Engine
from serving.lineup import Lineup, Served
from tests.fakes import FakeModel, a_version


async def test_a_request_that_runs_during_a_swap_is_answered_by_its_own_version(lineup: Lineup) -> None:
    started, release = threading.Event(), threading.Event()

    def held() -> bytes:
        started.set()
        release.wait(10)
        return b"old"

    engine = Engine(lineup)
    lineup.put(replace(lineup.standing(), served=Served(a_version(1), FakeModel(instead=held))))
    running = asyncio.create_task(engine.invoke(lineup.served(), "application/json", b"", Call()))
    await asyncio.to_thread(started.wait, 10)

    lineup.put(replace(lineup.standing(), served=Served(a_version(2), FakeModel("new"))))
    # The loop is free although the old model blocks.
    assert await engine.invoke(lineup.served(), "application/json", b"", Call()) == b'{"predictions": ["new"]}'
    release.set()

    assert await running == b"old"
