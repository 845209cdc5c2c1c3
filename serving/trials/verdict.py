"""Judge a candidate by what was counted: does it fail, or answer late, more than Production beside it does?

Pure: no clock, no I/O. `judge.py` asks once a second.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from serving.trials.tally import OVERDUE_SECONDS, Tally

NOTICEABLE_SECONDS = 0.001
"""Nobody notices less; a model that answers in microseconds would be judged by chance."""
FEWEST_SLOW = 5
"""Requests; fewer may be a hiccup of the machine."""
FEWEST_OVERDUE = 3
MOST_DEATHS = 3
"""Workers that ended without being asked to, within DEATHS_SECONDS of a trial: a model can take its process along."""
DEATHS_SECONDS = 600


@dataclass(frozen=True)
class Limits:
    error_rate: float = 0.02
    """Of its requests, above Production's own rate."""
    p99_ratio: float = 2.0
    """To Production's."""
    requests: int = 50
    """Fewer say nothing of a p99, and a few failures among fewer weigh no more than among so many."""


def broken(spans: Iterable[Tally], deaths: int, limits: Limits) -> str:
    """Which limit the candidate breaks in one of `spans`, such as the last minute, and how; empty for none."""
    if deaths >= MOST_DEATHS:
        return f"{deaths} workers have died since it was loaded"
    for span in spans:
        reason = _fails(span, limits) or _hangs(span) or _is_late(span, limits)
        if reason:
            return reason
    return ""


def _fails(span: Tally, limits: Limits) -> str:
    requests, errors = span.candidate.requests, span.candidate.errors
    # Three failures out of three need not wait for fifty requests: were the others to go well, it would be too many.
    rate = errors / max(requests, limits.requests)
    beside = span.beside.errors / span.beside.requests if span.beside.requests else 0.0
    if rate - beside <= limits.error_rate:
        return ""
    return (
        f"{errors} of its {requests} requests failed, of version {span.production}'s {beside:.1%}; "
        f"allowed are {limits.error_rate:.1%} more"
    )


def _hangs(span: Tally) -> str:
    overdue = span.candidate.overdue
    if overdue < FEWEST_OVERDUE or span.beside.overdue >= FEWEST_OVERDUE:
        return ""
    return f"{overdue} of its requests wait for an answer for over {OVERDUE_SECONDS} s"


def _is_late(span: Tally, limits: Limits) -> str:
    mine, theirs = span.candidate.p99_seconds, span.beside.p99_seconds
    enough = min(span.candidate.requests, span.beside.requests) >= limits.requests
    if mine is None or theirs is None or not enough:
        return ""
    allowed = max(theirs * limits.p99_ratio, theirs + NOTICEABLE_SECONDS)
    if mine <= allowed or span.candidate.slower_than(allowed) < FEWEST_SLOW:
        return ""
    return (
        f"its p99 is {mine * 1000:.3g} ms, version {span.production}'s {theirs * 1000:.3g} ms; "
        f"allowed is {limits.p99_ratio:g} times as much"
    )
