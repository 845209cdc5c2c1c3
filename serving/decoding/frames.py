"""Lay JSON's `dataframe_split` and `dataframe_records` out as columns, as `pandas.DataFrame` would. Pure.

Misfit where pandas refuses. Refused too, though pandas takes them: columns or an index of lists (a MultiIndex), `data`
that is no list, rows that are text, an index without data, and names of columns that are neither text nor an integer
where the model goes by position.
"""

from dataclasses import dataclass
from typing import Any

from serving.decoding import growth
from serving.decoding.columns import Misfit

_MISSING = float("nan")


@dataclass(frozen=True)
class Frame:
    names: list[Any]
    columns: list[list[Any]]
    count: int
    index: list[Any] | None = None

    def of(self, name: str) -> list[Any]:
        """The one column of that name."""
        if self.names.count(name) != 1:
            raise Misfit(f"column '{name}' is missing or there twice")
        return self.columns[self.names.index(name)]

    def first(self, count: int) -> list[list[Any]]:
        """The first columns, whatever they are called."""
        names = self.names[:count]
        if len(names) < count or any(type(name) not in {str, int} or self.names.count(name) > 1 for name in names):
            raise Misfit("too few columns, or one name for two")
        return self.columns[:count]


def records(content: object) -> Frame:
    if not isinstance(content, list):
        raise Misfit("no list")
    return _frame(content, None, None)


def split(content: object) -> Frame:
    if not isinstance(content, dict) or "data" not in content or content.keys() - {"columns", "data", "index"}:
        raise Misfit("no split")
    data, names, index = content["data"], content.get("columns"), content.get("index")
    if not isinstance(data, list) or not _is_labels(names) or not _is_labels(index):
        raise Misfit("no split")
    if index is not None and len(index) != len(data):
        raise Misfit("index and data differ in length")
    return _frame(data, names, index)


def _is_labels(given: object) -> bool:
    return given is None or (isinstance(given, list) and not any(isinstance(each, list | dict) for each in given))


def _frame(data: list[Any], names: list[Any] | None, index: list[Any] | None) -> Frame:
    if not data:
        return Frame(names or [], [[] for _ in names or []], 0, index)
    if isinstance(data[0], dict):
        return _of_objects(data, names, index)
    columns = _of_lists(data) if isinstance(data[0], list) else [data]
    if names is not None and len(names) != len(columns):
        raise Misfit("more or fewer values than columns")
    return Frame(list(range(len(columns))) if names is None else names, columns, len(data), index)


def _of_objects(data: list[Any], names: list[Any] | None, index: list[Any] | None) -> Frame:
    if not all(isinstance(row, dict) for row in data):
        raise Misfit("not all rows are objects")
    if names is None:
        names = list(dict.fromkeys(name for row in data for name in row))
    growth.check(sum(map(len, data)), len(names) * len(data))
    return Frame(names, [[row.get(name, _MISSING) for row in data] for name in names], len(data), index)


def _of_lists(rows: list[Any]) -> list[list[Any]]:
    """A shorter row is filled up with null."""
    if not all(isinstance(row, list) for row in rows):
        raise Misfit("not all rows are lists")
    width = max(len(row) for row in rows)
    growth.check(sum(map(len, rows)), width * len(rows))
    return [[row[at] if at < len(row) else None for row in rows] for at in range(width)]
