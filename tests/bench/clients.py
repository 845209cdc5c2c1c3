"""`make bench-clients`: the same predictions by seven clients and as jobs; writes docs/benchmarks-clients.md and .svg.

A few minutes. Not a test: figures depend on the machine. That every answer is right is looked at all the same.
"""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from rich.console import Console

from tests.bench import clients_report as report
from tests.bench.clients_report import Timed
from tests.bench.job_ways import JOB_A_ROW, JOBS, MOST_JOBS, TOGETHER
from tests.bench.targets import WORKERS
from tests.bench.ways import MODEL, ONE_BY_ONE, Place, Row, Way
from tests.bench.wire import Counted
from tests.servers import ROOT, free_port, server
from tests.serving.twins import post
from tests.workspace import quiet_environment

DOCUMENT = ROOT / "docs" / "benchmarks-clients.md"
PLOT = DOCUMENT.with_suffix(".svg")
COUNTS = (1, 10, 100, 1000)
FACTOR = 3
WARM_UP = 10
"""Predictions by each way, before any is measured."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.clients", description=__doc__)
    parser.add_argument("--counts", type=int, nargs="*", default=list(COUNTS), help="of predictions")
    parser.add_argument("--rounds", type=int, default=5, help="of which the middle one is shown")
    words = parser.parse_args()
    console, timed = Console(), list[Timed]()
    with tempfile.TemporaryDirectory(prefix="slipway-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with _serving(folder) as (place, env):
            for each in _measured({**ONE_BY_ONE, **TOGETHER}, place, words.counts, words.rounds):
                timed.append(each)
                console.out(report.line(each), highlight=False)
            with _job_worker(folder, place, env):
                for each in _measured(JOBS, place, words.counts, words.rounds):
                    timed.append(each)
                    console.out(report.line(each), highlight=False)
    text = report.markdown(timed, words.rounds, PLOT.name)
    if words.counts == list(COUNTS):
        DOCUMENT.write_text(text)
        report.plot(timed, PLOT)
    console.out(text, highlight=False)
    return 0


def _measured(ways: dict[str, Way], place: Place, counts: list[int], rounds: int) -> Iterator[Timed]:
    """All ways of a round are neighbours, so that a machine whose speed drifts is fair to them."""
    for way in ways.values():
        _seconds(way, place, WARM_UP)
    for count in counts:
        chosen = {name: way for name, way in ways.items() if name != JOB_A_ROW or count <= MOST_JOBS}
        seconds: dict[str, list[float]] = {name: [] for name in chosen}
        for _ in range(rounds):
            for name, way in chosen.items():
                seconds[name].append(_seconds(way, place, count))
        for name, way in chosen.items():
            yield Timed(name, count, tuple(seconds[name]), _bytes(way, place, count))


def _seconds(way: Way, place: Place, count: int) -> float:
    """From when there is a client until the last answer is there."""
    rows, expected = _rows(count)
    with way(place) as ask:
        began = time.perf_counter()
        found = ask(rows)
        seconds = time.perf_counter() - began
    if found != expected:
        raise SystemExit("not every answer is right")
    return seconds


def _bytes(way: Way, place: Place, count: int) -> int:
    """In a turn of its own, which is not timed: the relay takes time too."""
    with Counted(place.http) as http, Counted(place.grpc) as grpc:
        _seconds(way, replace(place, http=http.port, grpc=grpc.port), count)
        return http.count + grpc.count


def _rows(count: int) -> tuple[list[Row], list[float]]:
    """And what is to be answered to them."""
    rows = [(at / 8, float(at % 7)) for at in range(count)]
    return rows, [FACTOR * x for x, _ in rows]


@contextmanager
def _serving(folder: Path) -> Iterator[tuple[Place, dict[str, str]]]:
    """Over a store with an ONNX twin, and no registry."""
    (folder / "store").mkdir()
    post(folder / "store", 1, factor=FACTOR)
    place = Place(free_port(), free_port())
    env = {
        **quiet_environment(),
        "SLIPWAY_ENV": "local",
        "SERVING_OFFLINE": "true",
        "SERVING_MODELS": MODEL,
        "SERVING_STORE": str(folder / "store"),
        "SERVING_HOST": "127.0.0.1",
        "SERVING_PORT": str(place.http),
        "SERVING_GRPC_PORT": str(place.grpc),
        "SERVING_WORKERS": str(WORKERS),
        "SERVING_LOG_LEVEL": "warning",
        "SERVING_JOBS__DATABASE": f"sqlite:///{folder}/jobs.sqlite",
    }
    command = [sys.executable, "-m", "serving"]
    with server("serving", command, port=place.http, env=env, folder=folder, ready="/v2/health/ready"):
        yield place, env


@contextmanager
def _job_worker(folder: Path, place: Place, env: dict[str, str]) -> Iterator[None]:
    """Only while jobs are measured: it looks for jobs, and has one of the two cores now and then."""
    command = [sys.executable, "-m", "serving", "jobs"]
    with server("jobs", command, port=place.http, env=env, folder=folder, ready="/ping"):
        yield


if __name__ == "__main__":
    sys.exit(main())
