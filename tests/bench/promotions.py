"""`make bench-promotions`: what promotions cost the requests that run meanwhile; writes docs/benchmarks-promotion.md.

32 connections under constant load, first for a while as they are, then with twenty promotions in a minute that
alternate two versions. Not a test: figures depend on the machine. That no request fails is one, in
tests/e2e/test_promotions.py.
"""

import argparse
import gc
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path

from rich.console import Console

from tests import servers
from tests.bench import promotions_report as report
from tests.bench import rivals, swaps
from tests.bench.processes import family
from tests.bench.rivals import Rivals
from tests.bench.swaps import Shown
from tests.e2e.publisher import Publisher
from tests.e2e.running import Running, serving
from tests.load.rest import RestLoad
from tests.servers import ROOT, Stack, eventually

DOCUMENT = ROOT / "docs" / "benchmarks-promotion.md"
RUNTIMES = ("onnx", "native")
CONNECTIONS = 32
PROMOTIONS = 20
EVERY_SECONDS = 3.0
WARM_UP_SECONDS = 3.0
PATIENCE_SECONDS = 30
"""For a promotion to be seen on every connection; how long it took is what is shown."""
ELSEWHERE = 5
"""The nice value of what would be on machines of its own: MLflow, its S3 and whoever promotes. They yield to those who
ask and answer, as serving's own syncer does."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.promotions", description=__doc__)
    parser.add_argument("--seconds", type=float, default=30, help="of the steady load that is compared with")
    parser.add_argument("--models", nargs="*", choices=list(rivals.MODELS), default=list(rivals.MODELS))
    parser.add_argument("--runtimes", nargs="*", choices=RUNTIMES, default=list(RUNTIMES))
    words = parser.parse_args()
    console, shown = Console(), list[Shown]()
    with tempfile.TemporaryDirectory(prefix="slipway-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with servers.stack(_new(folder / "stack")) as stack:
            for model in words.models:
                made = rivals.make(stack, _new(folder / f"work-{model}"), model)
                _elsewhere()
                # This process has MLflow and scikit-learn in it: a collection of all that would be measured too.
                gc.collect()
                gc.freeze()
                for runtime in words.runtimes:
                    for each in _shown(stack, _new(folder / f"{model}-{runtime}"), made, runtime, words.seconds):
                        shown.append(each)
                        console.out(report.line(each), highlight=False)
    text = report.markdown(shown)
    if words.models == list(rivals.MODELS) and words.runtimes == list(RUNTIMES):
        DOCUMENT.write_text(text)
    console.out(text, highlight=False)
    return 1 if any(each.failures for each in shown) else 0


def _shown(stack: Stack, folder: Path, made: Rivals, runtime: str, seconds: float) -> Iterator[Shown]:
    """Under as much load as 32 connections make, then under a quarter of it."""
    name = made.publisher.name
    made.publisher.promote(1)
    with serving(stack.env, folder, name, SERVING_RUNTIME=runtime) as running:
        fast = _under_load(running, made, runtime, seconds, every_seconds=0)
        yield fast
        yield _under_load(running, made, runtime, seconds, every_seconds=4 * CONNECTIONS / fast.steady.per_second)


def _under_load(running: Running, made: Rivals, runtime: str, seconds: float, *, every_seconds: float) -> Shown:
    publisher = made.publisher
    load = RestLoad(running.port, publisher.name, made.questions, connections=CONNECTIONS, every_seconds=every_seconds)
    # A process of its own: MLflow's client would hold up the load where it shares its interpreter.
    with ProcessPoolExecutor(1, get_context("spawn"), os.nice, (ELSEWHERE,)) as promoter, load:
        promoter.submit(_promote, publisher.client.tracking_uri, publisher.name, 1).result()
        _until(time.monotonic() + WARM_UP_SECONDS)
        began = time.monotonic()
        _until(began + seconds)
        ended = time.monotonic()
        ordered = list(_promotions(load, publisher, promoter))
        over = time.monotonic()
    answers = load.record.answers()
    found = [swaps.swap(answers, version, at, until) for (version, at), (_, until) in pairwise([*ordered, (0, over)])]
    return Shown(
        publisher.name.removeprefix("rival-"),
        runtime,
        every_seconds,
        swaps.figures(swaps.between(answers, began, ended), ended - began),
        swaps.figures(swaps.between(answers, ended, over), over - ended),
        swaps.during(answers, found),
        found,
        load.record.failures,
    )


def _promotions(load: RestLoad, publisher: Publisher, promoter: ProcessPoolExecutor) -> Iterator[tuple[int, float]]:
    """Twenty, three seconds apart or as soon as the one before is seen; each version, and when it was ordered."""
    for number in range(PROMOTIONS):
        version, at = 2 - number % 2, time.monotonic()
        promoter.submit(_promote, publisher.client.tracking_uri, publisher.name, version).result()
        eventually(lambda: load.all_answer(version), seconds=PATIENCE_SECONDS)  # noqa: B023 - ends in this turn
        _until(at + EVERY_SECONDS)
        yield version, at


def _promote(tracking_uri: str, name: str, version: int) -> None:
    Publisher(tracking_uri, name).promote(version)


def _elsewhere() -> None:
    """Whatever this process has started up to now: the stack."""
    for each in family([os.getpid()])[1:]:
        each.nice(ELSEWHERE)


def _until(moment: float) -> None:
    eventually(lambda: time.monotonic() >= moment, seconds=moment + 60)


def _new(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


if __name__ == "__main__":
    sys.exit(main())
