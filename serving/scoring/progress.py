"""Say how far a run is, on standard error: a bar on a terminal, a line now and then anywhere else."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

LINE_SECONDS = 10

Advance = Callable[[int], None]
"""Takes how many rows are done in all."""


@contextmanager
def shown(
    stream: TextIO, *, total: int | None, done: int, clock: Callable[[], float] = time.monotonic
) -> Iterator[Advance]:
    """`total` rows, None where nobody knows yet; `done` of them by an earlier run."""
    if stream.isatty():
        with _bar(stream, total, done) as advance:
            yield advance
    else:
        yield _lines(stream, total, clock)


@contextmanager
def _bar(stream: TextIO, total: int | None, done: int) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = [TextColumn("scoring"), BarColumn(), MofNCompleteColumn(), TextColumn("rows"), TimeElapsedColumn()]
    with Progress(*columns, TimeRemainingColumn(), console=Console(file=stream), transient=True) as progress:
        task = progress.add_task("scoring", total=total, completed=done)
        yield lambda rows: progress.update(task, completed=rows)


def _lines(stream: TextIO, total: int | None, clock: Callable[[], float]) -> Advance:
    said = clock()

    def advance(rows: int) -> None:
        nonlocal said
        if clock() - said >= LINE_SECONDS:
            said = clock()
            stream.write(f"score: {rows:,}{'' if total is None else f' of {total:,}'} rows\n")
            stream.flush()

    return advance
