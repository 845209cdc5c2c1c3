"""What a promotion does to the requests around it: figures out of the record of a load, and nothing that runs."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.load.record import Failure

AFTERWARDS_SECONDS = 0.5
"""Behind the last answer of the old version, which is let go then."""


@dataclass(frozen=True)
class Figures:
    """Of requests: how many, how many a second, how long half, 99 % and 99.9 % of them took, and the slowest."""

    count: int
    per_second: float
    p50_ms: float
    p99_ms: float
    p999_ms: float
    worst_ms: float


@dataclass(frozen=True)
class Swap:
    """One promotion. Times of `time.monotonic()`: of the order, of the first answer by the new version on any
    connection, and of the last answer by the old one."""

    ordered: float
    first: float
    last: float

    @property
    def ended(self) -> float:
        return max(self.first, self.last) + AFTERWARDS_SECONDS


@dataclass(frozen=True)
class Shown:
    """One model by one runtime under one load."""

    model: str
    runtime: str
    every_seconds: float
    """How often a connection asks; 0 for as fast as it goes."""
    steady: Figures
    """Without any promotion."""
    minute: Figures
    """Of all requests while promotions came one after the other."""
    during: Figures
    """Of those that were under way during one."""
    swaps: list[Swap]
    failures: list[Failure]

    @property
    def slower(self) -> float:
        """How many times the steady p99 it is during a promotion."""
        return self.during.p99_ms / self.steady.p99_ms


def figures(answers: NDArray[Any], seconds: float) -> Figures:
    """Of `answers` that came within so many seconds."""
    milliseconds = answers["seconds"] * 1000
    p50, p99, p999 = np.percentile(milliseconds, [50, 99, 99.9]).tolist()
    return Figures(len(answers), len(answers) / seconds, p50, p99, p999, float(milliseconds.max()))


def between(answers: NDArray[Any], start: float, end: float) -> NDArray[Any]:
    """Those that were waited for at any time in it."""
    found: NDArray[Any] = answers[(answers["began"] < end) & (answers["began"] + answers["seconds"] > start)]
    return found


def swap(answers: NDArray[Any], version: int, ordered: float, until: float) -> Swap:
    """The one that was ordered then, out of what was answered up to the next."""
    ended = answers["began"] + answers["seconds"]
    inside = (ended > ordered) & (ended <= until)
    new, old = inside & (answers["version"] == version), inside & (answers["version"] != version)
    last = float(ended[old].max()) if old.any() else ordered
    return Swap(ordered, float(ended[new].min()), last)


def during(answers: NDArray[Any], swaps: list[Swap]) -> Figures:
    """Of what was waited for while a promotion was under way."""
    inside = np.concatenate([between(answers, each.ordered, each.ended) for each in swaps])
    return figures(inside, sum(each.ended - each.ordered for each in swaps))
