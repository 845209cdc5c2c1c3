"""Read any JSON body for a signature of columns, by all of MLflow's rules. Only `plan.py` calls it.

Pure. Raises one of REFUSALS where MLflow refuses.
"""

import json
import re
from collections.abc import Iterable
from typing import Any

import numpy as np

from serving.decoding import frames, growth
from serving.decoding.columns import Misfit, cast, convert, enforce, inferred
from serving.protocol import Array, Column

REFUSALS = (ValueError, TypeError, LookupError, OverflowError, RecursionError)
"""Misfit, and what Python and numpy raise for values that fit nowhere."""
FORMATS = ("dataframe_split", "dataframe_records", "instances", "inputs")
_CHAT = ("messages", "prompt", "input")
"""With one of these MLflow reads the whole body as a prompt, and answers in another format. Refused here."""
_MISSING = float("nan")
_HALF = re.compile(rb"\\u[dD]|\xed[\xa0-\xbf]|\0")
"""Where half a surrogate pair may hide, which pandas cannot store: escaped, as bytes, or in UTF-16."""


def payload(body: bytes) -> tuple[str, Any, Any]:
    """The format, its content, and params."""
    parsed = json.loads(body)
    if _HALF.search(body):
        json.dumps(parsed, ensure_ascii=False).encode()
    if not isinstance(parsed, dict) or any(name in parsed for name in _CHAT):
        raise Misfit("no object of the scoring protocol")
    given = [name for name in FORMATS if name in parsed]
    if len(given) != 1:
        raise Misfit("not exactly one format")
    return given[0], parsed[given[0]], parsed.get("params")


def columns(wanted: tuple[Column, ...], form: str, content: Any) -> list[Array]:
    """An array for each column, in the signature's order."""
    if form == "dataframe_split":
        return _cast(wanted, frames.split(content))
    if form == "dataframe_records":
        return _cast(wanted, frames.records(content))
    if form == "instances" and isinstance(content, list) and content and isinstance(content[0], dict):
        return _enforce(wanted, _gathered(wanted, content))
    return _inputs(wanted, content)


def _cast(wanted: tuple[Column, ...], frame: frames.Frame) -> list[Array]:
    found = [frame.of(each.name) for each in wanted if each.name is not None] or frame.first(len(wanted))
    return [cast(values, each.type) for values, each in zip(found, wanted, strict=True)]


def _gathered(wanted: tuple[Column, ...], items: list[Any]) -> dict[str, Array]:
    """`instances` as objects: value by value into columns."""
    types = _types(wanted)
    found: dict[str, list[Array]] = {}
    for item in items:
        if not isinstance(item, dict):
            raise Misfit("not all instances are objects")
        for name, value in item.items():
            found.setdefault(name, []).append(convert(value, types.get(name)))
    return {name: _joined(values) for name, values in found.items()}


def _joined(values: list[Array]) -> Array:
    growth.check_arrays(values)
    return np.array(values)


def _inputs(wanted: tuple[Column, ...], content: Any) -> list[Array]:
    named = wanted[0].name is not None
    if isinstance(content, dict) and named:
        types = _types(wanted)
        return _table(wanted, {name: convert(value, types.get(name)) for name, value in content.items()})
    if isinstance(content, list) and any(isinstance(each, dict) for each in content):
        return _records(wanted, content)
    if named:
        if len(wanted) != 1 or not isinstance(content, list):
            raise Misfit("not by name")
        return _enforce(wanted, {str(wanted[0].name): convert(content, wanted[0].type)})
    if content == [] or not isinstance(content, list | str | int | float):
        raise Misfit("neither a list nor a value")
    return _nameless(wanted, convert(content, wanted[0].type))


def _table(wanted: tuple[Column, ...], found: dict[str, Array]) -> list[Array]:
    """`inputs` as an object: columns, and single values that are the same in every row."""
    lengths = {len(values) for values in found.values() if values.ndim}
    if not lengths and found.keys() - _types(wanted).keys():
        raise Misfit("other columns beside single values")
    count = max(lengths, default=1)
    # Not np.full: whoever sends columns that nobody asked for would fill the memory.
    return _enforce(wanted, {name: each if each.ndim else np.broadcast_to(each, count) for name, each in found.items()})


def _records(wanted: tuple[Column, ...], content: list[Any]) -> list[Array]:
    """`inputs` as a list of objects: where a value is missing, MLflow makes 64 bits of the other numbers."""
    if not all(isinstance(row, dict) for row in content):
        raise Misfit("not all inputs are objects")
    found = []
    for name, type_name in _types(wanted).items():
        values = {at: convert(row[name], type_name) for at, row in enumerate(content) if name in row}
        if not values or any(each.ndim for each in values.values()):
            raise Misfit("no single values")
        if len(values) == len(content):
            found.append(_joined(list(values.values())))
        elif type_name == "datetime":
            raise Misfit("a date is missing")
        else:
            found.append(inferred([values[at].item() if at in values else _MISSING for at in range(len(content))]))
    return [enforce(values, each.type) for values, each in zip(found, wanted, strict=True)]


def _nameless(wanted: tuple[Column, ...], table: Array) -> list[Array]:
    table = np.atleast_1d(table)
    if table.ndim > 2:
        raise Misfit("more than two dimensions")
    found = list(table.T) if table.ndim == 2 else [table]
    if len(found) < len(wanted):
        raise Misfit("too few columns")
    return [enforce(values, each.type) for values, each in zip(found, wanted, strict=False)]


def _enforce(wanted: tuple[Column, ...], found: dict[str, Array]) -> list[Array]:
    if len({len(values) for values in found.values()}) > 1:
        raise Misfit("columns differ in length")
    if wanted[0].name is None:
        return _each(wanted, list(found.values()))
    return _each(wanted, [found.get(str(each.name)) for each in wanted])


def _each(wanted: tuple[Column, ...], found: Iterable[Array | None]) -> list[Array]:
    enforced = []
    for values, each in zip(found, wanted, strict=False):
        if values is None or values.ndim > 1:
            raise Misfit("a column is missing, or holds lists")
        enforced.append(enforce(values, each.type))
    if len(enforced) < len(wanted):
        raise Misfit("too few columns")
    return enforced


def _types(wanted: tuple[Column, ...]) -> dict[str, str]:
    return {each.name: each.type for each in wanted if each.name is not None}
