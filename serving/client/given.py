"""What a caller gives as rows, brought to one of three forms, and what an answer to them should look like.

Knows pandas and numpy by what their objects can do; imports them only to make one.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from serving.client import natural
from serving.client.errors import InvalidInput
from serving.client.values import is_list, listed, plain

FRAME_ROWS = 1024
"""Of a streamed DataFrame, taken apart at a time."""


@dataclass(frozen=True)
class Table:
    """Columns by name, equally long."""

    columns: dict[str, list[Any]]

    @property
    def count(self) -> int:
        return len(next(iter(self.columns.values()), []))


@dataclass(frozen=True)
class Records:
    """An object a row; not all need have the same members."""

    rows: list[dict[str, Any]]


@dataclass(frozen=True)
class Nested:
    """A list a row, or a value: in the order of the model's inputs, or its one tensor."""

    rows: list[Any]


@dataclass(frozen=True)
class Tensors:
    """Arrays by name, as nested lists with an entry a row."""

    arrays: dict[str, list[Any]]


Rows = Table | Records | Nested | Tensors


class Given(NamedTuple):
    rows: Rows
    natural: natural.Natural
    """Turns predictions, an entry a row, into what the caller works with."""


def read(rows: Any) -> Given:
    """Of a DataFrame, an array, a dict of columns, a dict that is one row, or a list of rows. InvalidInput."""
    if hasattr(rows, "columns") and hasattr(rows, "index"):
        return Given(_frame(rows), natural.like(rows))
    if getattr(rows, "ndim", 0) > 0 and hasattr(rows, "tolist") and not hasattr(rows, "index"):
        return Given(Nested(listed(rows)), natural.array)
    if isinstance(rows, Mapping):
        return Given(_named(rows), natural.as_they_are)
    if isinstance(rows, list | tuple):
        return Given(_rows(rows), natural.as_they_are)
    raise InvalidInput("rows are a DataFrame, an array, a dict or a list of rows")


def rows_of(rows: Iterable[Any]) -> Iterator[Any]:
    """One after the other; those of a DataFrame as dicts, where its own iterator gives the names of columns."""
    if not (hasattr(rows, "columns") and hasattr(rows, "index")):
        yield from rows
        return
    frame: Any = rows
    for first in range(0, len(frame), FRAME_ROWS):
        yield from frame.iloc[first : first + FRAME_ROWS].to_dict("records")


def row(given: Any) -> Any:
    """One row of a stream: a dict by column, a list in the model's order, or a value."""
    if isinstance(given, Mapping):
        return {str(name): _value(value) for name, value in given.items()}
    if hasattr(given, "to_dict"):  # a row of a DataFrame
        return row(given.to_dict())
    return _value(given)


def _frame(frame: Any) -> Table:
    if not frame.columns.is_unique:
        raise InvalidInput("two columns have the same name")
    return Table({str(name): listed(frame[name]) for name in frame.columns})


def _named(rows: Mapping[Any, Any]) -> Rows:
    lists = [is_list(value) for value in rows.values()]
    if not any(lists):
        return Records([{str(name): plain(value) for name, value in rows.items()}])
    if not all(lists):
        raise InvalidInput("a dict has a list for every column, or a value for every column and is one row")
    arrays = {str(name): listed(values) for name, values in rows.items()}
    if len({len(values) for values in arrays.values()}) > 1:
        raise InvalidInput("the columns differ in length")
    deep = any(isinstance(value, list) for values in arrays.values() for value in values[:1])
    return Tensors(arrays) if deep else Table(arrays)


def _rows(rows: list[Any] | tuple[Any, ...]) -> Rows:
    kinds = {isinstance(each, Mapping) for each in rows}
    if len(kinds) > 1:
        raise InvalidInput("rows are all dicts, or none of them is")
    return Records([row(each) for each in rows]) if True in kinds else Nested([row(each) for each in rows])


def _value(given: Any) -> Any:
    return listed(given) if is_list(given) else plain(given)
