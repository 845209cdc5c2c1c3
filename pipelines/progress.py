"""What a person sees while a stage works: plain sentences and tables, on standard error so that output stays clean."""

import sys

from rich.console import Console

# Not 80 columns where nobody looks: a table that wraps is hard to read and to grep. No markup: [mm] in a name is none.
_width = None if sys.stderr.isatty() else 120
_console = Console(stderr=True, highlight=False, soft_wrap=True, markup=False, width=_width)


def say(what: object) -> None:
    """Print a line or a rich table."""
    _console.print(what)
