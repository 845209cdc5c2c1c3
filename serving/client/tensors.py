"""Values as tensors of the Open Inference Protocol have them, and back. Pure, and without numpy."""

import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from serving.client.errors import InvalidInput

FIELDS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    "BYTES": "bytes_contents",
}
"""The field of `InferTensorContents` that holds a datatype; FP16 has none, and comes raw."""
_RAW = {
    "BOOL": "?",
    **{f"INT{8 << at}": letter for at, letter in enumerate("bhiq")},
    **{f"UINT{8 << at}": letter for at, letter in enumerate("BHIQ")},
    "FP16": "e",
    "FP32": "f",
    "FP64": "d",
}
"""As `struct` calls them."""
_NOT_SO = ValueError, TypeError, OverflowError
_LENGTH = struct.Struct("<I")


class Values(NamedTuple):
    datatype: str
    values: list[Any]


def fitted(name: str, datatype: str, values: list[Any]) -> Values:
    """As `datatype`, where they are read as that from JSON too; else as what they are, which the server refuses.

    InvalidInput for what no tensor can hold.
    """
    read = _READ.get(datatype)
    if read is not None:
        with suppress(*_NOT_SO):
            return Values(datatype, [read(value) for value in values])
    try:
        return _as_they_are(datatype, values)
    except _NOT_SO:
        # Not raised from that: it would repeat the value.
        reason = "a text is missing, or values differ in kind, which no tensor holds; use HTTP"
        raise InvalidInput(f"input '{name}': {reason}") from None


def raw_values(datatype: str, data: bytes) -> list[Any]:
    """Of an output that came raw."""
    if datatype == "BYTES":
        texts, at = [], 0
        while at < len(data):
            (length,) = _LENGTH.unpack_from(data, at)
            texts.append(data[at + 4 : at + 4 + length])
            at += 4 + length
        return texts
    letter = _RAW[datatype]
    return list(struct.unpack(f"<{len(data) // struct.calcsize('<' + letter)}{letter}", data))


def _as_they_are(datatype: str, values: list[Any]) -> Values:
    """ValueError, TypeError or OverflowError for what no tensor can hold."""
    kinds = {type(value) for value in values}
    if kinds == {bool}:
        return Values("BOOL", values)
    if kinds == {int} and all(-(2**63) <= value < 2**63 for value in values):
        return Values("INT64", values)
    if kinds <= {int, float, bool, type(None)} and (datatype != "BYTES" or type(None) not in kinds):
        return Values("FP64", [_number(value) for value in values])
    return Values("BYTES", [_text(value) for value in values])


def _number(value: Any) -> float:
    return float("nan") if value is None else float(value)


def _whole(low: int, high: int) -> Callable[[Any], int]:
    """A reader of whole numbers in that range; what JSON has as 2.5 is cut there, and so here."""

    def read(value: Any) -> int:
        found = int(value)
        if not low <= found <= high:
            raise ValueError("out of range")
        return found

    return read


def _truth(value: Any) -> bool:
    if not isinstance(value, bool | int | float):
        raise TypeError("no boolean")
    return bool(value)


def _text(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if not isinstance(value, str):
        raise TypeError("no text")
    return value.encode()


_READ: dict[str, Callable[[Any], Any]] = {
    "BOOL": _truth,
    **{f"INT{bits}": _whole(-(1 << bits - 1), (1 << bits - 1) - 1) for bits in (8, 16, 32, 64)},
    **{f"UINT{bits}": _whole(0, (1 << bits) - 1) for bits in (8, 16, 32, 64)},
    "FP32": _number,
    "FP64": _number,
    "BYTES": _text,
}
