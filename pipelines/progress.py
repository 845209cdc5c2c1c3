"""What a person sees: progress on standard error, so that output stays clean; what was asked for on standard output."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

LINE = 1000
"""Columns where nothing may be cut or folded: whoever reads output by a program, and hashes and addresses."""

# Not 80 columns where nobody looks: a table that wraps is hard to read and to grep. No markup: [mm] in a name is none.
_width = None if sys.stderr.isatty() else 120
_console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, width=_width)
_answers = Console(highlight=False, soft_wrap=True, markup=False, width=None if sys.stdout.isatty() else LINE)


def say(what: object) -> None:
    """Print a line or a rich table."""
    _console.print(what)


def show(what: object, *, width: int | None = None) -> None:
    """Print what a command was asked for, on standard output; to so many columns where it must not be cut."""
    _answers.print(what, width=width)


def moment(at_ms: int | None) -> str:
    """A time in milliseconds since 1970 as people read it."""
    return "-" if at_ms is None else datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


@contextmanager
def following(seconds: float) -> Iterator[Callable[[float, str], None]]:
    """A bar over `seconds`, where there is a terminal: call it with the seconds that are left and a few words."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=_console, transient=True, disable=not _console.is_terminal) as progress:
        task = progress.add_task("", total=seconds)

        def show(left: float, words: str) -> None:
            progress.update(task, completed=seconds - max(left, 0.0), description=words)

        yield show
