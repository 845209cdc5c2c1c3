"""A result that is kept as a file: its bytes as predictions, the same as would have come at once. Pure.

Parquet needs pyarrow. Its columns say less than an answer in JSON does: where its metadata notes what they were
(`slipway.outputs`), that counts; else one column is a value a row, columns that are numbered in order are a list a row,
and others an object a row.
"""

import csv
import io
import json
import math
from collections.abc import Callable
from itertools import islice
from typing import Any

from serving.client.errors import UnreadableAnswer
from serving.client.values import from_text

OUTPUTS = b"slipway.outputs"
"""`[[name or null, width or null], ...]`: an entry an output. A width is of lists; only a table has names."""

Columns = dict[str, list[Any]]
Read = Callable[[bytes], list[Any]]
"""An entry a row. UnreadableAnswer."""


def reader(media_type: str) -> Read:
    """ImportError for Parquet without pyarrow; UnreadableAnswer for a form that is not known here."""
    if media_type == "application/json":
        return _json
    if media_type == "text/csv":
        return _csv
    if media_type != "application/vnd.apache.parquet":
        raise UnreadableAnswer("the result is of a form that this client does not know")
    try:
        import pyarrow.parquet  # noqa: F401 - asked before it is fetched
    except ImportError as error:
        raise ImportError("a result this large is Parquet, which needs the package pyarrow") from error
    return _parquet


def _json(content: bytes) -> list[Any]:
    try:
        predictions = json.loads(content)["predictions"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise _unreadable() from None
    return predictions if isinstance(predictions, list) else [predictions]


def _csv(content: bytes) -> list[Any]:
    try:
        rows = csv.reader(io.StringIO(content.decode(), newline=""), strict=True)
        names = next(rows)
        columns = zip(*rows, strict=True)
        read = [[from_text(text) for text in column] for column in columns] or [[] for _ in names]
        return _guessed(dict(zip(names, read, strict=True)))
    except (ValueError, csv.Error, StopIteration):
        raise _unreadable() from None


def _parquet(content: bytes) -> list[Any]:
    from pyarrow import ArrowException, BufferReader, parquet

    try:
        table = parquet.read_table(BufferReader(content))
        columns = {name: [_as_json(value) for value in values] for name, values in table.to_pydict().items()}
    except ArrowException as error:
        raise _unreadable() from error
    noted = (table.schema.metadata or {}).get(OUTPUTS)
    return _guessed(columns) if noted is None else _noted(columns, noted)


def _noted(columns: Columns, noted: bytes) -> list[Any]:
    left, outputs, names = iter(columns.values()), list[list[Any]](), list[str | None]()
    try:
        for name, width in json.loads(noted):
            found = list(islice(left, 1 if width is None else width))
            outputs.append(found[0] if width is None else [list(row) for row in zip(*found, strict=True)])
            names.append(name)
        if names == [None]:
            return outputs[0]
        return [dict(zip(names, row, strict=True)) for row in zip(*outputs, strict=True)]
    except (ValueError, TypeError, IndexError):
        raise _unreadable() from None


def _guessed(columns: Columns) -> list[Any]:
    values, names = list(columns.values()), list(columns)
    if len(values) == 1:
        return values[0]
    rows = zip(*values, strict=True)
    prefix = names[0].removesuffix("0") if names else ""
    if prefix.endswith("_") and names == [f"{prefix}{place}" for place in range(len(names))]:
        return [list(row) for row in rows]
    return [dict(zip(names, row, strict=True)) for row in rows]


def _as_json(value: Any) -> Any:
    """JSON has no numbers that are none, and no infinite ones."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _unreadable() -> UnreadableAnswer:
    return UnreadableAnswer("the result is not whole, or not of the form that it is said to be")
