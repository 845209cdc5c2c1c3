"""What jobs promise whatever dies: slow, because so much must die."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from serving.jobs import counting
from serving.jobs.book import Book
from serving.jobs.job import Inline, Wanted
from serving.jobs.schema import Database
from tests.servers import ROOT, eventually
from tests.serving.jobs.listening import listening
from tests.serving.working.house import MODEL, House, house, submit, workers_of

pytestmark = pytest.mark.slow

KILLS = 100
JOBS = 1000
MANY = 10_000
WORKERS = ("job-1", "job-2")


class Worker:
    """One that is started again at once whenever it was killed: a supervisor would wait longer each time."""

    def __init__(self, built: House, name: str, hosts: Path) -> None:
        self._command = [sys.executable, "-m", "serving.working.worker", "--hosts", str(hosts), "--name", name]
        self._built, self._log = built, built.folder / f"{name}.log"
        self.process = self._start()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def again(self) -> None:
        self.process = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as output:
            return subprocess.Popen(self._command, cwd=ROOT, env=self._built.env, stdout=output, stderr=output)


@contextmanager
def killed_now_and_then(built: House, random_from: int) -> Iterator[Callable[[], int]]:
    """Workers that are killed at random, KILLS times in all; calling it says how often so far."""
    chance = random.Random(random_from)  # noqa: S311 - for chance, not for secrets
    done, killed = threading.Event(), list[float]()
    hosts = built.folder / "hosts"
    hosts.mkdir()
    workers = [Worker(built, name, hosts / "none") for name in WORKERS]

    def kill() -> None:
        while len(killed) < KILLS and not done.is_set():
            done.wait(chance.uniform(0.2, 4.0))
            victim = chance.choice(workers)
            victim.kill()
            killed.append(time.monotonic())
            victim.again()

    killer = threading.Thread(target=kill, name="killer")
    killer.start()
    try:
        yield lambda: len(killed)
    finally:
        done.set()
        killer.join()
        for worker in workers:
            worker.kill()


def all_jobs(book: Book) -> list[Any]:
    found, before = list[Any](), None
    while True:
        page, before = book.listed(MODEL, Wanted(limit=1000, before=before))
        found += page
        if before is None:
            return found


def open_jobs(database: Database) -> int:
    return sum(each.queued + each.running for each in counting.figures(database))


def test_each_of_1000_jobs_ends_once_while_workers_are_killed_100_times(tmp_path: Path) -> None:
    """Seen by its status, its result, what is counted, and its callback: each has one message, sent once or again."""
    seed = time.time_ns()
    print(f"seed {seed}")  # noqa: T201 - to see the same kills again
    with house(tmp_path) as built, built.serving() as http, listening() as listener:
        database = Database(built.env["SERVING_JOBS__DATABASE"])
        book = Book(database)
        with killed_now_and_then(built, seed) as kills:
            jobs = [
                submit(http, *[float(number + each) for each in range(500)], callback=listener.url)
                for number in range(JOBS)
            ]
            # Work for as long as there are kills to come.
            while kills() < KILLS:
                submit(http, *map(float, range(5000)))
            eventually(lambda: not open_jobs(database), seconds=300)
            eventually(
                lambda: len({message.headers["webhook-id"] for message in listener.messages}) == JOBS, seconds=300
            )

        statuses = {each.id: each for each in all_jobs(book)}
        assert Counter(statuses[job["id"]].state for job in jobs) == {"succeeded": JOBS}
        for number, job in enumerate(jobs):
            _, result = book.result(MODEL, job["id"])
            assert isinstance(result, Inline)
            assert json.loads(result.content)["predictions"] == [float(number + each) for each in range(500)]
        told = [json.loads(message.body) for message in listener.messages]
        assert {(each["id"], each["state"]) for each in told} == {(job["id"], "succeeded") for job in jobs}
        (figures,) = counting.figures(database)
        assert figures.ended == {"succeeded": len(statuses)}
        # Else nothing was killed that had a job.
        assert sum(each.starts for each in statuses.values()) > len(statuses)
        database.close()


def test_10000_queued_jobs_survive_a_restart_of_everything(tmp_path: Path) -> None:
    with house(tmp_path, SERVING_JOBS__WORKERS="2", SERVING_JOBS__AT_ONCE="16") as built:
        with built.serving() as http:
            with ThreadPoolExecutor(4) as callers:
                jobs = list(callers.map(lambda number: submit(http, float(number)), range(MANY)))
            with built.workers() as running:
                eventually(lambda: http.get("/metrics").text.find('state="succeeded"') > 0, seconds=60)
                for worker in workers_of(running):
                    worker.kill()
                _kill_all(running.process.pid)
            _kill_all(built.supervisor)

        database = Database(built.env["SERVING_JOBS__DATABASE"])
        book = Book(database)
        assert open_jobs(database) > MANY / 2
        with built.serving() as http, built.workers():
            eventually(lambda: not open_jobs(database), seconds=900, every=1)
            for number, job in list(enumerate(jobs))[:: MANY // 200]:
                assert http.get(f"{job['href']}/result").json() == {"predictions": [float(number)]}
        (figures,) = counting.figures(database)
        assert figures.ended == {"succeeded": MANY}
        assert {each.id for each in all_jobs(book)} == {job["id"] for job in jobs}
        database.close()


def _kill_all(pid: int) -> None:
    """It and all that it started, as when a machine goes down."""
    first = psutil.Process(pid)
    for each in [first, *first.children(recursive=True)]:
        os.kill(each.pid, signal.SIGKILL)
