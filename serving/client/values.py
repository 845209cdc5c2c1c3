"""Single values and lists of them, from whatever library, as plain Python. Imports none of those libraries; pure."""

import re
from collections.abc import Sequence
from datetime import date, datetime
from typing import Any

_LACKING = frozenset(["", "#N/A", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "nan", "n/a", "null"])
"""As pandas, and so MLflow, reads a CSV."""
_WHOLE = re.compile(r"[+-]?[0-9]+")
_TRUTH = {"true": True, "false": False}


def listed(values: Any) -> list[Any]:
    """A column or an array, however deep, as lists of plain values; what is missing is None."""
    dtype = getattr(values, "dtype", None)
    kind = getattr(dtype, "kind", "")
    if kind == "M":  # numpy's dates as numbers would lose what they are; all in one form, as the server wants them
        values = _dates(values)
    if hasattr(values, "tolist"):
        values = values.tolist()
    # pandas' nullable types lack values where numpy's cannot.
    complete = kind in {"b", "i", "u"} and not hasattr(dtype, "na_value")
    return values if complete and isinstance(values, list) else [_each(value) for value in values]


def plain(value: Any) -> Any:
    """One value; what is missing is None, a date is ISO text."""
    if value is None or isinstance(value, str | bytes | bool | int):
        return value
    if isinstance(value, float):
        return None if value != value else float(value)  # noqa: PLR0124 - NaN
    if type(value).__name__ in {"NAType", "NaTType"}:
        return None
    if isinstance(value, datetime):
        # In one form, whether there is a fraction or not. pandas' own dates have nanoseconds.
        return value.isoformat(timespec="nanoseconds" if hasattr(value, "nanosecond") else "microseconds")
    if isinstance(value, date):
        return value.isoformat()
    return plain(value.item()) if hasattr(value, "item") else value


def from_text(text: str, *, is_text: bool = False) -> Any:
    """A field of a CSV as JSON would have it: a number, a boolean, nothing, else the text. `is_text`: it stays one."""
    if text in _LACKING:
        return None
    if is_text:
        return text
    if _WHOLE.fullmatch(text):
        return int(text)
    try:
        return float(text)
    except ValueError:
        return _TRUTH.get(text.lower(), text)


def is_list(value: object) -> bool:
    return (isinstance(value, Sequence) and not isinstance(value, str | bytes)) or getattr(value, "ndim", 0) > 0


def flat(nested: list[Any]) -> tuple[tuple[int, ...], list[Any]]:
    """The shape, and all values row by row. ValueError where lists side by side differ in length."""
    shape: tuple[int, ...] = (len(nested),)
    values = nested
    while values and isinstance(values[0], list):
        length = len(values[0])
        if any(not isinstance(each, list) or len(each) != length for each in values):
            raise ValueError("lists of different lengths")
        shape, values = (*shape, length), [value for each in values for value in each]
    if any(isinstance(each, list) for each in values):
        raise ValueError("lists beside values")
    return shape, values


def _each(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _each(each) for name, each in value.items()}
    return listed(value) if is_list(value) else plain(value)


def _dates(values: Any) -> Any:
    import numpy as np

    texts = np.datetime_as_string(np.asarray(values, "datetime64[ns]")).astype(object)
    texts[np.isnat(np.asarray(values, "datetime64[ns]"))] = None
    return texts
