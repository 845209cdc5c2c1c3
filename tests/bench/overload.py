"""`make bench-overload`: three times what a server can answer, for a minute; writes docs/benchmarks-overload.md.

For a model of 10 ms a row in a host of its own, and for an ONNX twin, which answers in the event loop. With `--seconds`
or one model it writes nothing.
"""

import argparse
import json
import math
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np

from serving.store.posted import Board, Posting
from tests.bench import loads, processes
from tests.bench.loads import Open, Times
from tests.bench.processes import family
from tests.fakes import a_version
from tests.servers import ROOT, Server, eventually
from tests.serving.hosting.conftest import a_pyfunc
from tests.serving.test_supervisor import BODY, serving

DOCUMENT = ROOT / "docs" / "benchmarks-overload.md"
SECONDS = 60
STEADY_SHARE, TIMES = 0.6, 3
SLOW = "import time; time.sleep(0.01 * len(x))"
CALLERS = 32
CONNECTIONS = {"slow": 400, "twin": 1500}


@dataclass(frozen=True)
class Measured:
    model: str
    capacity: float
    steady: Open
    overload: Open
    after: Open
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


def measure(running: Server, folder: Path, model: str, seconds: float) -> Measured:
    body, url = folder / "row.json", f"{running.url}/invocations"
    body.write_text(json.dumps(BODY))

    def asked(rate: float, seconds: float) -> Open:
        return loads.http_open(url, body, connections=CONNECTIONS[model], rate=rate, seconds=seconds)

    most = loads.http(url, body, connections=CALLERS, seconds=5).per_second
    steady = asked(most * STEADY_SHARE, min(seconds, 15))
    before = memory(running)
    overload = asked(most * TIMES, seconds)
    return Measured(model, most, steady, overload, asked(most * STEADY_SHARE, 5), before, memory(running))


def memory(running: Server) -> float:
    return processes.memory(family([running.process.pid])).worker_mb


def line(each: Measured) -> str:
    steady, over, after = each.steady, each.overload, each.after
    cells = (
        each.model,
        f"{each.capacity:.0f}/s",
        two(steady.accepted),
        f"{over.asked_per_second:.0f}/s for {over.seconds:.0f} s",
        f"{over.answered_per_second:.0f}/s",
        two(over.accepted),
        f"{percentile(over.accepted, 99) / percentile(steady.accepted, 99):.1f} times",
        f"{len(over.refused)}: {two(over.refused)}",
        str(over.others),
        f"{each.before_mb:.0f} → {each.after_mb:.0f} MB",
        f"{after.answered_per_second:.0f}/s, {len(after.refused)} refused: {two(after.accepted)}",
    )
    return f"| {' | '.join(cells)} |"


def two(times: Times) -> str:
    return f"{percentile(times, 50):.1f} / {percentile(times, 99):.1f} ms"


def percentile(times: Times, percent: float) -> float:
    return float(np.percentile(times, percent)) if len(times) else math.nan


COLUMNS = (
    *("model", "capacity", "steady: p50 / p99", "overload", "answered in it", "p50 / p99 of those"),
    *("of the steady p99", "refused: p50 / p99", "others", "memory", "5 s after: p50 / p99"),
)
ABOUT = """One worker, one row a request, the load (h2load) on the same two cores. Capacity: the answers a second of
{callers} callers who each wait for theirs. Steady: {share} of it. Overload: {times} times it for {seconds:.0f} s,
evenly over {most} connections, whatever becomes of the requests before; a connection that waits for its answer sends
its next when it has that, and times count from when a request was sent. `slow`: a pyfunc of 10 ms a row in a host
of its own. `twin`: an ONNX twin of two columns, which answers in the event loop. Memory: the worker's. Others: any
other status, or no answer.
"""


def report(lines: list[str], seconds: float) -> str:
    most = " and ".join(str(each) for each in CONNECTIONS.values())
    about = ABOUT.format(callers=CALLERS, share=STEADY_SHARE, times=TIMES, seconds=seconds, most=most)
    table = [f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}", *lines]
    return "\n".join(["# In an overload", "", "By `make bench-overload`.", about, *table, "", LINK, ""])


LINK = "What is refused and when: [overload.md](overload.md)."


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.overload", description=__doc__)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--models", nargs="*", default=["slow", "twin"], choices=["slow", "twin"])
    words = parser.parse_args()
    if missing := loads.missing():
        parser.error(f"apt-get install {' '.join(missing)}")
    lines = []
    for model in words.models:
        with tempfile.TemporaryDirectory(prefix="slipway-bench-") as name, server(Path(name), model) as running:
            began = time.monotonic()
            lines.append(line(measure(running, Path(name), model, words.seconds)))
            print(f"{time.monotonic() - began:.0f} s: {lines[-1]}", file=sys.stderr)  # noqa: T201
    text = report(lines, words.seconds)
    if words.seconds == SECONDS and len(words.models) == 2:
        DOCUMENT.write_text(text)
    print(text)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
