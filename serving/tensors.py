"""The Open Inference Protocol's tensors as numpy arrays: datatypes, shapes and the binary representation. Pure.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md and, for the
binary representation, https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
Texts are bytes in an array of dtype object. `listed.py` has the representations that are lists of values.
"""

import re
import struct
from collections.abc import Sequence

import msgspec
import numpy as np

from serving.errors import InvalidInput
from serving.protocol import Array

BYTES = "BYTES"
BF16 = "BF16"
"""The upper half of an FP32, which numpy does not have: taken as one, and never answered."""

DTYPES: dict[str, "np.dtype[np.generic]"] = {
    "BOOL": np.dtype("bool"),
    **{f"UINT{bits}": np.dtype(f"<u{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"INT{bits}": np.dtype(f"<i{bits // 8}") for bits in (8, 16, 32, 64)},
    **{f"FP{bits}": np.dtype(f"<f{bits // 8}") for bits in (16, 32, 64)},
    BYTES: np.dtype(object),
}
"""Little-endian, as they travel."""

_DATATYPES = {dtype: datatype for datatype, dtype in DTYPES.items()}
_NATURAL = frozenset("biuf")
_MOST_DIMENSIONS = 32
_MOST_VALUES = 1 << 40
_SANE = re.compile(r"[\w .:/()-]{1,64}")
_LENGTH = struct.Struct("<I")


def called(name: str) -> str:
    """How a message names a tensor; not by its name when that could be anything."""
    return f"tensor '{name}'" if _SANE.fullmatch(name) else "a tensor"


def dtype_of(name: str, datatype: str) -> "np.dtype[np.generic]":
    """InvalidInput for a datatype that the protocol or we do not have."""
    dtype = DTYPES.get(datatype)
    if dtype is None:
        raise InvalidInput(f"{called(name)}: datatype must be one of {', '.join(DTYPES)}, or raw, {BF16}")
    return dtype


def datatype_named(dtype: str) -> str:
    """Of numpy's name of a dtype, as a signature has it; BYTES for what the protocol has no datatype for."""
    try:
        return _DATATYPES.get(np.dtype(dtype), BYTES)
    except TypeError:
        return BYTES


def count_of(name: str, shape: Sequence[int]) -> int:
    """How many values a tensor of this shape has. InvalidInput for a shape that no tensor has."""
    if not 0 < len(shape) <= _MOST_DIMENSIONS:
        raise InvalidInput(f"{called(name)}: shape must have 1 to {_MOST_DIMENSIONS} lengths")
    count = possible = 1
    for length in shape:
        count *= length
        possible *= length or 1  # also where a length is 0, numpy wants the others to be a size that could exist
        if length < 0 or possible > _MOST_VALUES:
            raise InvalidInput(f"{called(name)}: a length of its shape is out of range")
    return count


def from_binary(name: str, datatype: str, shape: Sequence[int], data: bytes | memoryview) -> Array:
    """An array over `data`, without a copy for numbers. InvalidInput when shape and data do not agree."""
    if datatype == BF16:
        halves = from_binary(name, "UINT16", shape, data).astype(np.uint32)
        found: Array = (halves << 16).view(np.float32)
        return found
    dtype = dtype_of(name, datatype)
    count = count_of(name, shape)
    if datatype == BYTES:
        return shaped(_split(name, data, count), shape)
    if len(data) != count * dtype.itemsize:
        raise InvalidInput(
            f"{called(name)}: its shape and datatype need {count * dtype.itemsize} bytes, it has {len(data)}"
        )
    # As bytes first: what numpy makes of a boolean that is neither 0 nor 1 is undefined.
    array: Array = np.frombuffer(data, np.uint8) != 0 if datatype == "BOOL" else np.frombuffer(data, dtype)
    return array.reshape(shape)


def to_binary(datatype: str, array: Array) -> bytes:
    """Of what `portable` gave."""
    if datatype != BYTES:
        return array.tobytes()
    return b"".join([_LENGTH.pack(len(each)) + each for each in array.reshape(-1).tolist()])


def portable(array: Array) -> tuple[str, Array]:
    """The datatype that an answer travels as, and the array in it: numbers as they are, everything else as bytes."""
    datatype = _DATATYPES.get(array.dtype)
    if datatype is not None and datatype != BYTES:
        return datatype, array
    if datatype == BYTES:
        found = _numbers(array)
        return portable(found) if found is not None else (BYTES, _bytes(array))
    if array.dtype.kind in _NATURAL:  # of the other byte order, or wider than the protocol knows
        little = array.dtype.newbyteorder("<")
        return portable(array.astype(little if little in _DATATYPES else np.float64))
    return BYTES, _bytes(array)


def shaped(values: list[bytes], shape: Sequence[int]) -> Array:
    """Texts in an array of exactly this shape."""
    array = np.empty(len(values), object)
    array[:] = values
    return array.reshape(shape)


def _split(name: str, data: bytes | memoryview, count: int) -> list[bytes]:
    values: list[bytes] = []
    view = memoryview(data)
    at, end = 0, len(view)
    while at + 4 <= end and len(values) < count:
        (length,) = _LENGTH.unpack_from(view, at)
        at += 4 + length
        if at > end:
            break
        values.append(view[at - length : at].tobytes())
    if at != end or len(values) != count:
        raise InvalidInput(f"{called(name)}: its data is not {count} texts, each behind its length in 4 bytes")
    return values


def _numbers(array: Array) -> Array | None:
    """What pandas and Python models wrap into objects; None when there is anything but numbers and booleans."""
    values = array.reshape(-1).tolist()
    if not values or not all(isinstance(each, bool | int | float) for each in values):
        return None
    found = np.array(values)
    return found.reshape(array.shape) if found.dtype.kind in _NATURAL else None


def _bytes(array: Array) -> Array:
    return shaped([_text(each) for each in array.reshape(-1).tolist()], array.shape)


def _text(value: object) -> bytes:
    """Nothing is the empty text: the protocol has no null. What is no text is JSON."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode(errors="replace")
    return b"" if value is None else msgspec.json.encode(value, enc_hook=str)
