"""The document of `make bench-promotions`: how it was measured, on what, and the table."""

from statistics import median

from tests.bench.report import machine
from tests.bench.swaps import Figures, Shown

WANTED = 2
"""At most so many times the steady p99 during a promotion."""
PROMISED_SECONDS = 3
METHOD = """\
Written by `make bench-promotions`. 32 connections ask `/invocations` for one row of 30 numbers at a time: first for a
while as they are (steady), then while twenty promotions in a minute alternate two versions that differ in every answer.
Each answer is compared with what the version that it names predicts. "Flat out": a connection asks again as soon as it
is answered, which keeps both cores busy; "quarter": at fixed times that make a quarter of that load, and what is late
counts from when it was due.

A promotion is under way from the moment it is ordered (stage and alias, by MLflow's client) until half a second after
the last answer by the old version on any connection; "p99 then" is that of all requests that were waited for meanwhile.
Load generator, MLflow server, S3 server and the one who promotes run on the same cores, the last three with a nice
value of 5 (they would be elsewhere): what they need for a promotion is in these figures too.

`onnx` answers with the version's ONNX twin in the worker, `native` with scikit-learn in a host."""
COLUMNS = (
    "model",
    "runtime",
    "load",
    "req/s",
    "failed",
    "steady p50, p99, p99.9 ms",
    "the minute's p50, p99, p99.9 ms",
    "p99 then, ms",
    "times steady",
    "first answer after s",
    "last old answer after s",
)
LEFT = 3


def markdown(shown: list[Shown]) -> str:
    rule = "|".join(["---"] * LEFT + ["---:"] * (len(COLUMNS) - LEFT))
    table = [f"| {' | '.join(COLUMNS)} |", f"|{rule}|", *map(line, shown)]
    return "\n".join(["# What a promotion costs", "", METHOD, "", *machine(), "", *_goals(shown), "", *table, ""])


def line(each: Shown) -> str:
    cells = (
        each.model,
        each.runtime,
        "quarter" if each.every_seconds else "flat out",
        f"{each.steady.per_second:,.0f}",
        f"{len(each.failures)} of {each.steady.count + each.minute.count:,}",
        _times(each.steady),
        _times(each.minute),
        f"{each.during.p99_ms:.2f}",
        f"{each.slower:.2f}",
        _spread([swap.first - swap.ordered for swap in each.swaps]),
        _spread([swap.last - swap.ordered for swap in each.swaps]),
    )
    return f"| {' | '.join(cells)} |"


def _goals(shown: list[Shown]) -> list[str]:
    """Of the worst of all lines."""
    failed, slower = sum(len(each.failures) for each in shown), max(each.slower for each in shown)
    last = max(swap.last - swap.ordered for each in shown for swap in each.swaps)
    return [
        "| goal | seen | wanted | |",
        "|---|---:|---:|---|",
        _goal("requests that failed or were answered wrongly", f"{failed}", "0", reached=not failed),
        _goal("p99 during promotions, times steady", f"{slower:.2f}", f"< {WANTED}", reached=slower < WANTED),
        _goal(
            "seconds until no worker answers by the old one",
            f"{last:.2f}",
            f"≤ {PROMISED_SECONDS}",
            reached=last <= PROMISED_SECONDS,
        ),
    ]


def _goal(name: str, seen: str, wanted: str, *, reached: bool) -> str:
    return f"| {name} | {seen} | {wanted} | {'reached' if reached else 'NOT reached'} |"


def _times(of: Figures) -> str:
    return f"{of.p50_ms:.2f}, {of.p99_ms:.2f}, {of.p999_ms:.2f}"


def _spread(seconds: list[float]) -> str:
    """The middle one, and the longest."""
    return f"{median(seconds):.2f} (at most {max(seconds):.2f})"
