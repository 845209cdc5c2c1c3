"""Turn a column of a file into an array of the signature's type. Pure.

What a value becomes depends on nothing but itself and the column's type, so that it does not matter where a file is cut
into chunks. A number is converted where it stays the same number; of a CSV, text is read. MLflow's rules look at whole
columns (an integer column is a double where any value is missing), and cannot be kept chunk by chunk.
"""

from collections.abc import Callable
from typing import Any

import pyarrow as pa
from pyarrow import compute

from serving.decoding.fields import called
from serving.decoding.tables import MISSING
from serving.protocol import Array

_TYPES: dict[str, Any] = {
    "boolean": pa.bool_(),
    "integer": pa.int32(),
    "long": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "string": pa.string(),
    "binary": pa.binary(),
    "datetime": pa.timestamp("ns"),
}
_MISSING = pa.array(sorted(MISSING))
_NEVER_NULL = frozenset({"boolean", "integer", "long"})


def _is_number(kind: Any) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _is_text(kind: Any) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_moment(kind: Any) -> bool:
    return (pa.types.is_timestamp(kind) and kind.tz is None) or pa.types.is_date(kind)


_TAKES: dict[str, Callable[[Any], bool]] = {
    "boolean": pa.types.is_boolean,
    "integer": _is_number,
    "long": _is_number,
    "float": _is_number,
    "double": _is_number,
    "string": _is_text,
    "binary": lambda kind: pa.types.is_binary(kind) or pa.types.is_large_binary(kind),
    "datetime": _is_moment,
}


class Misfit(ValueError):
    """`row`: the first that does not fit, counted from 0; None when the column as a whole does not."""

    def __init__(self, row: int | None, reason: str) -> None:
        super().__init__(reason)
        self.row = row


def array(column: Any, type_name: str, *, is_text: bool) -> Array:
    """Of a column, chunked or not, [n] of the dtype that `decoding.columns.DTYPES` has. Misfit.

    `is_text`: it comes from a CSV, where everything does.
    """
    values = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    wanted = called(type_name)
    if is_text:
        values = _from_text(values, type_name)
    elif pa.types.is_null(values.type):
        values = pa.nulls(len(values), _TYPES[type_name])
    elif not _TAKES[type_name](values.type):
        raise Misfit(None, f"expected {wanted}, and the file has {values.type} there")
    converted = _converted(values, type_name)
    if type_name in _NEVER_NULL and converted.null_count:
        raise Misfit(converted.is_null().index(True).as_py(), f"expected {wanted}, got null")
    found: Array = converted.to_numpy(zero_copy_only=False)
    return found


def _from_text(values: Any, type_name: str) -> Any:
    if type_name == "binary":
        raise Misfit(None, "bytes cannot be read from a CSV; score a Parquet file")
    values = compute.if_else(compute.is_in(values, _MISSING), pa.scalar(None, pa.string()), values)
    if type_name == "string":
        return values
    values = compute.ascii_trim_whitespace(values)
    if type_name not in {"integer", "long"}:
        return values
    return compute.replace_substring_regex(values, r"^\+([0-9])", r"\1")  # Arrow reads such a number, but no integer


def _converted(values: Any, type_name: str) -> Any:
    wanted = _TYPES[type_name]
    try:
        return values.cast(wanted)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        row = first_misfit(values, wanted)
    got = "another text" if _is_text(values.type) else f"a value of {values.type} that does not fit"
    raise Misfit(row, f"expected {called(type_name)}, got {got}")


def first_misfit(values: Any, wanted: Any) -> int:
    """Halving: some value does not become a `wanted`, and it is the first that is looked for."""
    low, high = 0, len(values)
    while high - low > 1:
        middle = (low + high) // 2
        try:
            values.slice(low, middle - low).cast(wanted)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
            high = middle
        else:
            low = middle
    return low
