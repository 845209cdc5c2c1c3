"""A chunk or its answers on the way between processes: a table of one row, which nobody cuts or puts together. Pure.

A refusal travels in its place, so that the first one of the file is told, whichever came up first.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from serving.scoring.refusal import BadInput, NotScored

_SCHEMA = pa.schema(
    {
        "before": pa.int64(),
        "rows": pa.large_binary(),
        "refusal": pa.string(),
        "bad_input": pa.bool_(),
        "by": pa.string(),
    }
)


@dataclass(frozen=True)
class Parcel:
    before: int
    """How many rows of the file come before it."""
    content: Any
    """A table, or a NotScored."""
    by: str = ""
    """Who answered."""


def packed(parcel: Parcel) -> Any:
    """A table of one row."""
    content, row = parcel.content, {"before": parcel.before, "by": parcel.by}
    if isinstance(content, NotScored):
        row |= {"refusal": str(content), "bad_input": isinstance(content, BadInput)}
    else:
        row |= {"rows": _written(content)}
    return pa.Table.from_pylist([row], _SCHEMA)


def opened(table: Any) -> Iterator[Parcel]:
    """Of a table of any number of rows."""
    for row in range(len(table)):
        before, rows, refusal, bad_input, by = (table.column(name)[row] for name in _SCHEMA.names)
        if rows.is_valid:
            content = pa.ipc.open_stream(rows.as_buffer()).read_all()
        else:
            content = (BadInput if bad_input.as_py() else NotScored)(refusal.as_py())
        yield Parcel(before.as_py(), content, by.as_py())


def _written(table: Any) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    written: bytes = sink.getvalue().to_pybytes()
    return written
