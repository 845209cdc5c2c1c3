"""All rows in one: a request of many rows, and a job of them, by the project's own client; and a job for each row."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from serving.client import AsyncClient, Client
from tests.bench.ways import AT_ONCE, COLUMNS, MODEL, Ask, Place, Row, Way, bounded, looped

WAIT_SECONDS = 120
MOST_JOBS = 100
"""Of one row each, in a measurement: more would measure the queue's database and nothing of the clients."""


@contextmanager
def by_one_request(place: Place) -> Iterator[Ask]:
    with Client(place.server, model=MODEL) as client:
        yield lambda rows: _numbers(client.predict(_columns(rows)))


@contextmanager
def by_one_job(place: Place) -> Iterator[Ask]:
    with Client(place.server, model=MODEL) as client:
        yield lambda rows: _numbers(client.result(client.wait(client.submit(_columns(rows)), timeout=WAIT_SECONDS)))


@contextmanager
def by_a_job_a_row(place: Place) -> Iterator[Ask]:
    with looped(lambda: AsyncClient(place.server, model=MODEL)) as (loop, client):

        async def one(row: Row) -> float:
            job = await client.wait(await client.submit(_columns([row])), timeout=WAIT_SECONDS)
            (found,) = await client.result(job)
            return float(found)

        yield lambda rows: loop.run(bounded(one, rows))


def _columns(rows: list[Row]) -> dict[str, list[float]]:
    return {name: [row[at] for row in rows] for at, name in enumerate(COLUMNS)}


def _numbers(predictions: Any) -> list[float]:
    return [float(each) for each in predictions]


JOB_A_ROW = f"a job a row, {AT_ONCE} at once"
TOGETHER: dict[str, Way] = {"one request of all rows": by_one_request}
JOBS: dict[str, Way] = {"one job of all rows": by_one_job, JOB_A_ROW: by_a_job_a_row}
