"""Turn the values of one column into an array of the signature's type, by MLflow's rules. Pure.

Three ways lead into a column: `cast` for values that MLflow reads with pandas, `convert` for those it reads with numpy,
and `enforce` for arrays that already have a type. Each raises Misfit where MLflow refuses, or another ValueError,
TypeError or OverflowError of numpy's.
"""

import base64
import re
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from serving.decoding import growth
from serving.protocol import Array

DTYPES = {
    "boolean": "bool",
    "integer": "int32",
    "long": "int64",
    "float": "float32",
    "double": "float64",
    "string": "object",
    "binary": "object",
    "datetime": "datetime64[ns]",
}
"""numpy's name for each of MLflow's types of columns."""
_NUMPY = DTYPES | {"string": "str", "binary": "bytes"}
_MISSING = float("nan")
_ISO = re.compile(r"(\d{4})-\d\d-\d\d(?:([T ])\d\d:\d\d(?:(:)\d\d(?:(\.)\d{1,9})?)?)?")


class Misfit(ValueError):
    """The values do not fit the column."""


def cast(values: Sequence[Any], type_name: str) -> Array:
    """JSON values, as a DataFrame made of them is converted to the column's type: text is read, numbers are cut."""
    if type_name == "string":
        return texts(values)
    if type_name == "binary":
        return objects([base64.decodebytes(bytes(value, "utf8")) for value in values])
    if type_name == "datetime":
        return _moments(values)
    return squeeze(inferred(values), np.dtype(DTYPES[type_name]))


def squeeze(found: Array, wanted: "np.dtype[Any]") -> Array:
    """As pandas' astype."""
    if found.dtype.kind == "f" and wanted.kind in "iu":
        if not np.all(np.isfinite(found)):
            raise Misfit("no integer")
        if wanted.kind == "u" and not np.all(found >= 0):
            raise Misfit("negative")
    with np.errstate(over="ignore", invalid="ignore"):
        return found.astype(wanted)


def convert(value: object, type_name: str | None) -> Array:
    """A list, or a single value as an array without dimensions, as MLflow reads `inputs` and `instances`."""
    if type_name is None:
        growth.check_texts(value)
        return np.array(value)
    dtype = np.dtype(_NUMPY[type_name])
    with np.errstate(over="ignore", invalid="ignore"):
        if type_name == "datetime":
            with warnings.catch_warnings():  # about time zones, which numpy then converts
                warnings.simplefilter("ignore")
                return _array(value, dtype)
        return _array(value, dtype)


def _array(value: object, dtype: "np.dtype[Any]") -> Array:
    if dtype.kind in "US":
        growth.check_texts(value)
    return np.array(value, dtype) if isinstance(value, list) else np.array([value], dtype).reshape(())


def enforce(values: Array, type_name: str) -> Array:
    """An array of any dtype, as MLflow lets a DataFrame's column of that dtype into a column of the signature."""
    if type_name in {"string", "binary"}:
        return _enforce_objects(values, type_name)
    if values.dtype == object:
        values = inferred(values.tolist())
    wanted = np.dtype(DTYPES[type_name])
    if values.dtype == wanted:
        return values
    if type_name == "datetime" and values.dtype.kind == "M":
        return _nanoseconds(values)
    if not _widens(values.dtype, wanted) and not _is_zero_or_one(values, wanted):
        raise Misfit(f"{values.dtype} does not fit {type_name}")
    return values.astype(wanted)


def inferred(values: Sequence[Any]) -> Array:
    """The array that pandas makes of a column of JSON values; text is an array of objects, NaN where one is missing."""
    kinds = {type(value) for value in values}
    if kinds == {bool}:
        return np.array(values, bool)
    missing = type(None) in kinds
    kinds.discard(type(None))
    if kinds == {int} and not missing:
        return _integers(values)
    if kinds and kinds <= {int, float} and not _is_mixed(values):
        return np.array(values, np.float64)
    if str in kinds and all(isinstance(value, str) or is_missing(value) for value in values):
        return objects([_MISSING if is_missing(value) else value for value in values])
    return objects(values)


def _integers(values: Sequence[Any]) -> Array:
    low, high = min(values), max(values)
    if low >= -(2**63) and high < 2**63:
        return np.array(values, np.int64)
    return np.array(values, np.uint64) if low >= 0 and high < 2**64 else objects(values)


def _is_mixed(values: Sequence[Any]) -> bool:
    """Integers that no one type of 64 bits holds; pandas leaves such a column alone."""
    numbers = [value for value in values if type(value) is int]
    low, high = min(numbers, default=0), max(numbers, default=0)
    return high >= 2**64 or low < -(2**63) or (high >= 2**63 and low < 0)


def is_missing(value: object) -> bool:
    return value is None or value != value  # noqa: PLR0124 - NaN


def objects(values: Sequence[Any]) -> Array:
    """One-dimensional, whatever the values are: numpy would look into lists."""
    array = np.empty(len(values), object)
    for at, value in enumerate(values):
        array[at] = value
    return array


def texts(values: Sequence[Any]) -> Array:
    """A string column keeps what is no text, as MLflow does: a number stays a number."""
    if any(isinstance(value, list | dict) for value in values):
        raise Misfit("nested")
    found = inferred(values)
    return objects([None if is_missing(value) else value for value in found.tolist()])


def _moments(values: Sequence[Any]) -> Array:
    kinds = {type(value) for value in values} - {type(None)}
    if kinds == {int} and None not in values:
        return np.array(values, np.int64).view("datetime64[ns]")
    if not kinds <= {str} or len({_shape(value) for value in values if value is not None}) > 1:
        raise Misfit("no dates, or of different forms")
    return np.array(["NaT" if value is None else value for value in values], "datetime64[ns]")


def _shape(text: str) -> tuple[str | None, ...]:
    """pandas takes the form of the first date for all; of the many it knows, only ISO's is known here."""
    found = _ISO.fullmatch(text)
    if found is None or not text.isascii() or not 1678 <= int(found[1]) <= 2261:
        raise Misfit("no ISO date")
    return found.groups()[1:]


def _enforce_objects(values: Array, type_name: str) -> Array:
    wanted = str if type_name == "string" else bytes
    if values.dtype.kind == ("U" if wanted is str else "S"):
        return values.astype(object)
    found = values.tolist()
    if values.dtype != object or not all(isinstance(value, wanted) or is_missing(value) for value in found):
        raise Misfit(f"{values.dtype} does not fit {type_name}")
    return objects([None if is_missing(value) else value for value in found])


def _nanoseconds(values: Array) -> Array:
    exact: Array = values.astype("datetime64[ns]")
    if not np.array_equal(exact.astype(values.dtype), values, equal_nan=True):
        raise Misfit("a date out of range")
    return exact


def _widens(given: "np.dtype[Any]", wanted: "np.dtype[Any]") -> bool:
    if given.kind == wanted.kind:
        return given.itemsize <= wanted.itemsize
    if given.kind == "u" and wanted.kind == "i":
        return given.itemsize < wanted.itemsize
    return given.kind in "iu" and wanted == np.float64 and given.itemsize <= 6


def _is_zero_or_one(values: Array, wanted: "np.dtype[Any]") -> bool:
    """MLflow's one exception for 64-bit integers."""
    return values.dtype == np.int64 and wanted.kind == "f" and bool(np.all((values == 0) | (values == 1)))
