"""`make bench-overload`: three times what a server can answer, for a minute; writes docs/benchmarks-overload.md.

For a model of 10 ms a row in a host of its own, and for an ONNX twin, which answers in the event loop. With `--seconds`
or one model it writes nothing.
"""

import argparse
import json
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from serving.store.posted import Board, Posting
from tests.bench import processes
from tests.bench.processes import family
from tests.fakes import a_version
from tests.load import open as open_load
from tests.load.open import Outcome
from tests.servers import ROOT, Server, eventually
from tests.serving.hosting.conftest import a_pyfunc
from tests.serving.test_supervisor import BODY, serving

DOCUMENT = ROOT / "docs" / "benchmarks-overload.md"
SECONDS = 60
STEADY_SHARE, TIMES = 0.6, 3
SLOW = "import time; time.sleep(0.01 * len(x))"
CONNECTIONS = 800
ENTERED = json.dumps(BODY).encode()


@dataclass(frozen=True)
class Measured:
    model: str
    capacity: float
    steady: Outcome
    overload: Outcome
    after: Outcome
    before_mb: float
    after_mb: float


@contextmanager
def server(folder: Path, model: str) -> Iterator[Server]:
    """One worker, so that the load has a processor too."""
    with serving(folder, workers=1, SERVING_ALLOW_CODE="true", SERVING_TRUST="off") as running:
        if model == "slow":
            a_pyfunc(folder / "store" / "iris" / "7", predicting=SLOW)
            Board(("iris",), folder / "store").put(Posting("iris", a_version(7), "iris/7"))
            eventually(lambda: httpx.get(f"{running.url}/v2/models/iris").json()["version"] == 7, seconds=90)
        yield running


def asked(running: Server, rate: float, seconds: float) -> Outcome:
    """From a process of its own: the load must not wait for us."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(
            open_load.ask,
            (running.port, ENTERED),
            {"rate": rate, "seconds": seconds, "connections": CONNECTIONS},
        )


def capacity(running: Server) -> float:
    """Answers a second at a rate that rises until it is too much."""
    best, rate = 0.0, 40.0
    while True:
        found = asked(running, rate, 2).rate
        best = max(best, found)
        if found < 0.8 * rate:
            return best
        rate *= 2


def measure(running: Server, model: str, seconds: float) -> Measured:
    most = capacity(running)
    eventually(lambda: asked(running, most / 10, 1).statuses.keys() == {200}, seconds=30)
    steady = asked(running, most * STEADY_SHARE, min(seconds, 15))
    before = memory(running)
    overload = asked(running, most * TIMES, seconds)
    after = asked(running, most * STEADY_SHARE, 5)
    return Measured(model, most, steady, overload, after, before, memory(running))


def memory(running: Server) -> float:
    return processes.memory(family([running.process.pid])).worker_mb


def line(each: Measured) -> str:
    steady, over, after = each.steady, each.overload, each.after
    others = sum(count for status, count in over.statuses.items() if status not in {200, 503, 429})
    cells = (
        each.model,
        f"{each.capacity:.0f}/s",
        f"{steady.ms(50):.1f} / {steady.ms(99):.1f} ms",
        f"{over.rate:.0f}/s",
        f"{over.ms(50):.1f} / {over.ms(99):.1f} ms",
        f"{over.ms(99) / steady.ms(99):.1f} times",
        f"{over.statuses[503]} in {over.ms(50, refused=True):.1f} / {over.ms(99, refused=True):.1f} ms",
        f"{others} ({over.unsent} not sent)",
        f"{each.before_mb:.0f} → {each.after_mb:.0f} MB",
        f"{after.rate:.0f}/s, p99 {after.ms(99):.1f} ms",
    )
    return f"| {' | '.join(cells)} |"


COLUMNS = (
    *("model", "capacity", "steady: p50 / p99", "answered in it", "p50 / p99 of those", "of the steady p99"),
    *("refused, p50 / p99", "others", "memory", "5 s after"),
)
ABOUT = """One worker, one row a request, the load on the same two cores. Capacity: the answers a second of a load that
is too much. Steady: {share} of it. Overload: {times} times it for {seconds:.0f} s, open: requests come whatever becomes
of those before, on at most {most} connections, and times count from when a request was due. `slow`: a pyfunc of 10 ms a
row in a host of its own. `twin`: an ONNX twin of two columns, which answers in the event loop. Memory: the worker's.
Others: any other status, or no answer.
"""


def report(lines: list[str], seconds: float) -> str:
    about = ABOUT.format(share=STEADY_SHARE, times=TIMES, seconds=seconds, most=CONNECTIONS)
    table = [f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}", *lines]
    return "\n".join(["# In an overload", "", "By `make bench-overload`.", about, *table, "", LINK, ""])


LINK = "What is refused and when: [overload.md](overload.md)."


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.overload", description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--models", nargs="*", default=["slow", "twin"], choices=["slow", "twin"])
    words = parser.parse_args()
    lines = []
    for model in words.models:
        with tempfile.TemporaryDirectory(prefix="slipway-bench-") as name, server(Path(name), model) as running:
            began = time.monotonic()
            lines.append(line(measure(running, model, words.seconds)))
            print(f"{time.monotonic() - began:.0f} s: {lines[-1]}", file=sys.stderr)  # noqa: T201
    text = report(lines, words.seconds)
    if words.seconds == SECONDS and len(words.models) == 2:
        DOCUMENT.write_text(text)
    print(text)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
