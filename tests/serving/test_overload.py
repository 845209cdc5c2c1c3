"""Three times as much as a server can answer: what is refused, how, and what is left of it afterwards."""

import json
import multiprocessing
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from serving.store.posted import Board, Posting
from tests.fakes import a_version
from tests.load import open as open_load
from tests.load.open import Outcome
from tests.servers import Server, eventually
from tests.serving.hosting.conftest import a_pyfunc
from tests.serving.test_supervisor import BODY, WORKER, children, serving

pytestmark = pytest.mark.slow

SLEEPS = "import time; time.sleep(0.05 * len(x))"
RATE = 600
"""A second; six side by side of 50 ms each come to 120."""
SECONDS = 20
MOST_GROWTH_BYTES = 100 << 20


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("overload")
    with serving(folder, workers=1, SERVING_ALLOW_CODE="true", SERVING_TRUST="off") as made:
        a_pyfunc(folder / "store" / "iris" / "7", predicting=SLEEPS)
        Board(("iris",), folder / "store").put(Posting("iris", a_version(7), "iris/7"))
        eventually(lambda: httpx.get(f"{made.url}/v2/models/iris").json()["version"] == 7, seconds=90)
        yield made


def asked(running: Server, rate: float, seconds: float) -> Outcome:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        how = {"rate": rate, "seconds": seconds, "connections": 400}
        return pool.apply(open_load.ask, (running.port, json.dumps(BODY).encode()), how)


def resident(running: Server) -> int:
    (worker,) = children(running, WORKER)
    return int(worker.memory_info().rss)


def test_what_is_too_much_is_refused_with_a_time_to_come_back_and_the_rest_is_answered(running: Server) -> None:
    asked(running, 50, 2)
    before = resident(running)

    found = asked(running, RATE, SECONDS)

    assert found.statuses.keys() == {200, 503}
    assert found.without_retry_after == 0
    assert min(found.statuses.values()) > 500
    assert resident(running) - before < MOST_GROWTH_BYTES
    eventually(lambda: asked(running, 50, 1).statuses.keys() == {200}, seconds=30)
