"""Tensors as lists of values: JSON's `data`, and gRPC's typed `contents`. Pure.

JSON has no NaN: `null` is a missing number, both ways, and an infinite number of an answer is `null` too. Whoever must
tell them apart asks for binary data.
"""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from serving.errors import InvalidInput
from serving.protocol import Array
from serving.tensors import BYTES, called, count_of, dtype_of, shaped

CONTENTS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    BYTES: "bytes_contents",
}
"""The field of `InferTensorContents` that holds a datatype; FP16 has none and travels raw."""

_LISTS: dict[str, Any] = {"b": list[bool], "i": list[int], "u": list[int], "f": list[float | None], "O": list[str]}
_FLAT: dict[str, "msgspec.json.Decoder[list[Any]]"] = {kind: msgspec.json.Decoder(of) for kind, of in _LISTS.items()}
_NESTED = msgspec.json.Decoder(list[Any])
_SPACE = b" \t\r\n"


def from_json(name: str, datatype: str, shape: Sequence[int], data: bytes | memoryview) -> Array:
    """`data` is JSON: a flat list, or lists nested as deeply as `shape` is long. InvalidInput."""
    kind = dtype_of(name, datatype).kind
    count_of(name, shape)
    text = bytes(data)
    try:
        values = _flattened(text, kind, shape) if _is_nested(text) else _FLAT[kind].decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        raise InvalidInput(f"{called(name)}: its data is no list of {datatype} values, flat or of its shape") from None
    if datatype == BYTES:
        return _texts(name, values, shape)
    return from_values(name, datatype, shape, values)


def from_values(name: str, datatype: str, shape: Sequence[int], values: Sequence[Any]) -> Array:
    """Flat, row by row; of gRPC's contents, or from JSON. InvalidInput for too few, too many, or one out of range."""
    dtype = dtype_of(name, datatype)
    count = count_of(name, shape)
    if len(values) != count:
        raise InvalidInput(f"{called(name)}: its shape needs {count} values, it has {len(values)}")
    if datatype == BYTES:
        return shaped(list(values), shape)
    try:
        with np.errstate(over="raise"):
            return np.array(values, dtype).reshape(shape)
    except (OverflowError, FloatingPointError):
        raise InvalidInput(f"{called(name)}: a value is out of the range of {datatype}") from None


def to_json(datatype: str, array: Array) -> list[Any]:
    """Of what `portable` gave, flat. InvalidInput for bytes that are no text: they can only travel as binary data."""
    values: list[Any] = array.reshape(-1).tolist()
    if datatype != BYTES:
        return values
    try:
        return [each.decode() for each in values]
    except UnicodeDecodeError:
        raise InvalidInput("an output holds bytes that are no UTF-8 text; ask for binary data") from None


def _is_nested(text: bytes) -> bool:
    return text.lstrip(_SPACE)[1:].lstrip(_SPACE)[:1] == b"["


def _flattened(text: bytes, kind: str, shape: Sequence[int]) -> list[Any]:
    """Lists of exactly these lengths, as one. ValueError, or msgspec's."""
    values: Any = _NESTED.decode(text)
    for depth, length in enumerate(shape):
        if depth == 0:
            if len(values) != length:
                raise ValueError("another number of rows")
            continue
        if any(not isinstance(each, list) or len(each) != length for each in values):
            raise ValueError("another shape")
        values = [value for each in values for value in each]
    flat: list[Any] = msgspec.convert(values, _LISTS[kind])
    return flat


def _texts(name: str, values: list[str], shape: Sequence[int]) -> Array:
    try:
        return from_values(name, BYTES, shape, [each.encode() for each in values])
    except UnicodeEncodeError:
        raise InvalidInput(f"{called(name)}: its data is not UTF-8") from None
