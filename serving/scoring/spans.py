"""Cut a file into spans of chunks that can be read beside each other, none of them twice. Pure."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby


@dataclass(frozen=True)
class Span:
    before: int
    """How many rows of the file come before it."""
    chunks: int | None
    """None: all that follow."""


def spans(groups: Sequence[int] | None, *, chunk_rows: int, skip: int) -> list[Span]:
    """Of the file's rows after the first `skip`, in order; none where all are done.

    `groups`: the rows of each row group of a Parquet file. Chunks that begin in one are a span: to begin in its middle
    is to read it from its start. None: a CSV, where only reading all of it finds a row.
    """
    if groups is None:
        return [Span(skip, None)]
    ends = list(accumulate(groups, initial=0))
    begun = groupby(range(skip, ends[-1], chunk_rows), key=lambda row: bisect_right(ends, row))
    return [Span(rows[0], len(rows)) for rows in (list(each) for _, each in begun)]
