"""Read CSV and Parquet for a signature of columns, as MLflow does with pandas. Only `plan.py` calls it.

Raises Misfit where MLflow refuses. Refused too, though MLflow takes them: text for a binary column, a carriage return
without a line feed, and NUL, in CSV; a missing value in a boolean column, and pandas' nullable types, in Parquet.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from serving.decoding import growth
from serving.decoding.columns import DTYPES, Misfit, enforce, objects
from serving.decoding.unpacking import Packed
from serving.protocol import CSV, Array, Column

_FIELD = re.compile(r'(?:"([^"]*(?:""[^"]*)*)"([^,\r\n]*)|(?!")([^,\r\n]*))(,|\r?\n|\Z)')
MISSING = frozenset(
    [
        "#N/A",
        "#N/A N/A",
        "#NA",
        "-1.#IND",
        "-1.#QNAN",
        "-NaN",
        "-nan",
        "1.#IND",
        "1.#QNAN",
        "<NA>",
        "N/A",
        "NA",
        "NULL",
        "NaN",
        "None",
        "n/a",
        "nan",
        "null",
        "",
    ]
)
_SPACE = " \t\n\v\f\r"
_INTEGER = re.compile(r"[+-]?[0-9]+")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_INFINITE = re.compile(r"[+-]?(?:inf|infinity)", re.IGNORECASE)
_STORED = {"bool": "bool", "halffloat": "float16", "float": "float32", "double": "float64"} | {
    name: name for name in ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
}
"""Parquet's numbers, and numpy's names for them."""
_TRUTH = {"true": True, "false": False}


def read(wanted: Sequence[Column], media_type: str, body: bytes) -> list[Array]:
    """An array for each column, in the signature's order."""
    if not wanted:
        raise Misfit("tensors cannot be read from a table")
    return _csv(wanted, body.decode()) if media_type == CSV else _parquet(wanted, body)


def _csv(wanted: Sequence[Column], text: str) -> list[Array]:
    header, rows, index = _rows(text)
    names = _distinct(header)
    if wanted[0].name is None:
        if len(names) < len(wanted) or index:
            raise Misfit("too few columns, or an index beside columns without names")
        return [_column([row[at] for row in rows], each.type) for at, each in enumerate(wanted)]
    places = {name: at for at, (name, _) in enumerate(names)}
    if any(each.name not in places for each in wanted):
        raise Misfit("a column is missing")
    types = {str(each.name): each.type for each in wanted}
    # A column that is there twice is read twice, and may fail twice.
    found = {name: types.get(name) or types.get(original) for name, original in names}
    read = {name: _column([row[places[name]] for row in rows], of) for name, of in found.items() if of is not None}
    return [read[str(each.name)] for each in wanted]


def _rows(text: str) -> tuple[list[str], list[list[str]], int]:
    """The names, rows of as many fields, and how many more stood before them: the index. What is lacking is empty."""
    lines = list(_lines(text.removeprefix("\ufeff")))
    if not lines:
        raise Misfit("empty")
    header, *rows = lines
    if not rows:
        return header, [], 0
    width = max(len(header), len(rows[0]))
    if any(len(row) > width for row in rows):
        raise Misfit("more fields than columns")
    growth.check(sum(map(len, rows)) + len(header), width * len(rows))
    index = width - len(header)
    return header, [(row + [""] * (width - len(row)))[index:] for row in rows], index


def _lines(text: str) -> Iterator[list[str]]:
    if "\0" in text or "\r" in text.replace("\r\n", ""):
        raise Misfit("line ends that pandas reads in its own way")
    if '"' in text:
        yield from _quoted_lines(text)
        return
    for line in text.replace("\r\n", "\n").split("\n"):
        if line.strip(" \t"):
            yield line.split(",")


def _quoted_lines(text: str) -> Iterator[list[str]]:
    at, fields, blank = 0, list[str](), True
    while at < len(text) or fields:
        found = _FIELD.match(text, at)
        if found is None:
            raise Misfit("a quote is not closed")
        quoted, rest, plain, end = found.groups()
        blank = blank and quoted is None and end != "," and not plain.strip(" \t")
        fields.append(plain if quoted is None else quoted.replace('""', '"') + rest)
        at = found.end()
        if end == ",":
            continue
        if not blank:
            yield fields
        fields, blank = [], True


def _distinct(header: list[str]) -> list[tuple[str, str]]:
    """Each name as pandas makes it distinct, and as it was; the nameless come last."""
    names = [name or f"Unnamed: {at}" for at, name in enumerate(header)]
    originals, seen, present = list(names), defaultdict[str, int](int), Counter(names)
    for at in sorted(range(len(names)), key=lambda at: not header[at]):
        name, count = names[at], seen[names[at]]
        while count:
            seen[originals[at]] = count + 1
            name = f"{originals[at]}.{count}"
            count = count + 1 if present[name] else seen[name]
        present[names[at]] -= 1
        present[name] += 1
        names[at] = name
        seen[name] = count + 1
    return list(zip(names, originals, strict=True))


def _column(values: list[str], type_name: str) -> Array:
    """pandas takes the first kind that all fields of a column are of, and then casts where no value changes by that."""
    if type_name == "string":
        return objects([None if value in MISSING else value for value in values])
    kinds = {"boolean": (_truth, _integer, _number), "double": (_number, _truth), "float": (_number, _truth)}
    found = _first(kinds.get(type_name, (_integer, _number, _truth)), values)
    if type_name in {"double", "float"}:
        with np.errstate(over="ignore"):
            return np.array(found, np.float64).astype(DTYPES[type_name])
    if type_name not in {"boolean", "integer", "long"} or None in found:
        raise Misfit(f"{type_name} in CSV")
    array = np.array(found) if found else np.empty(0, np.int64)
    with np.errstate(invalid="ignore"):
        cast = array.astype(DTYPES[type_name])
    if array.dtype == object or not np.array_equal(cast, array):
        raise Misfit(f"no {type_name}")
    return cast


def _first(kinds: Sequence[Callable[[str], Any]], values: list[str]) -> list[Any]:
    for kind in kinds:
        try:
            return [None if value in MISSING else kind(value) for value in values]
        except KeyError:
            continue
    raise Misfit("of no kind that fits")


def _integer(text: str) -> int:
    text = text.strip(_SPACE)
    if not _INTEGER.fullmatch(text):
        raise KeyError(text)
    return int(text)


def _number(text: str) -> float:
    if not _NUMBER.fullmatch(text.strip(_SPACE)) and not _INFINITE.fullmatch(text):
        raise KeyError(text)
    return float(text)


def _truth(text: str) -> bool:
    return _TRUTH[text.lower()]


def _parquet(wanted: Sequence[Column], body: bytes) -> list[Array]:
    packed = Packed(body)
    described = dict(packed.schema.pandas_metadata or {})
    if any(each["numpy_type"][:1].isupper() for each in described.get("columns", ())):
        raise Misfit("nullable types of pandas")
    index = {name for name in described.get("index_columns", ()) if isinstance(name, str)}
    names = [name for name in packed.schema.names if name not in index]
    chosen = [each.name for each in wanted if each.name is not None] or names[: len(wanted)]
    if len(chosen) < len(wanted) or any(names.count(name) != 1 for name in chosen):
        raise Misfit("a column is missing")
    table = packed.columns(chosen)
    return [_stored(table.column(name), each.type) for name, each in zip(chosen, wanted, strict=True)]


def _stored(values: Any, type_name: str) -> Array:
    # Not by to_numpy or to_pandas_dtype: they import pandas where it is installed.
    import pyarrow as pa

    kind = values.type
    if pa.types.is_decimal(kind) and type_name == "double":
        return np.array([None if value is None else float(value) for value in values.to_pylist()], np.float64)
    if pa.types.is_date(kind) and type_name == "datetime":
        return enforce(np.array(values.to_pylist(), "datetime64[D]"), type_name)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return enforce(objects(values.to_pylist()), type_name) if type_name == "string" else _refuse(kind)
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return enforce(objects(values.to_pylist()), type_name) if type_name == "binary" else _refuse(kind)
    if pa.types.is_null(kind) and type_name in {"string", "double"}:
        return objects([None] * len(values)).astype(DTYPES[type_name])
    if pa.types.is_boolean(kind) and values.null_count:
        raise Misfit("a boolean is missing")
    dtype = f"datetime64[{kind.unit}]" if pa.types.is_timestamp(kind) and kind.tz is None else _STORED.get(str(kind))
    if dtype is None:
        raise Misfit(f"{kind} for {type_name}")
    return enforce(_primitive(values, np.dtype(dtype)), type_name)


def _primitive(values: Any, dtype: "np.dtype[Any]") -> Array:
    """As pandas holds them: with a null, integers become floats."""
    import pyarrow as pa

    chunks, stored = values.chunks, dtype
    if dtype.kind == "b":
        chunks, stored = [chunk.cast(pa.uint8()) for chunk in chunks], np.dtype("uint8")
    found = [np.frombuffer(each.buffers()[1], stored, len(each), each.offset * stored.itemsize) for each in chunks]
    array = np.concatenate([np.empty(0, stored), *found]).astype(dtype)
    if not values.null_count:
        return array
    missing = np.concatenate([_missing(chunk) for chunk in chunks])
    if dtype.kind in "iu":
        array = array.astype(np.float64)
    return np.where(missing, np.array("NaT" if dtype.kind == "M" else "nan", array.dtype), array)


def _missing(chunk: Any) -> Array:
    import pyarrow as pa

    flags = chunk.is_null().cast(pa.uint8())
    return np.frombuffer(flags.buffers()[1], bool, len(flags), flags.offset)


def _refuse(kind: object) -> Array:
    raise Misfit(f"{kind} is text or bytes")
