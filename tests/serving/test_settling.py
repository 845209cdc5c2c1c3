import asyncio
import gc
from collections.abc import Iterator
from dataclasses import replace

import pytest

from serving.lineup import Lineup, Served
from serving.settling import settle
from tests.fakes import FakeModel, a_version


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


def answer(lineup: Lineup, name: str) -> None:
    lineup.put(replace(lineup.standing(name), served=Served(a_version(1), FakeModel())))


async def test_what_is_there_when_every_model_answers_is_collected_no_more(lineup: Lineup) -> None:
    settling = asyncio.create_task(settle(lineup))
    await asyncio.sleep(0)
    frozen = gc.get_freeze_count()
    assert frozen > 0
    made = [[each] for each in range(10_000)]  # as what is imported for the first version

    for name in lineup.names:
        answer(lineup, name)
    await settling

    assert gc.get_freeze_count() > frozen + len(made) / 2


async def test_a_process_that_leaves_waits_for_no_model(lineup: Lineup) -> None:
    lineup.leaving = True

    await settle(lineup)
