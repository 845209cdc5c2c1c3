"""Fit the tensors of an Open Inference request to a signature. Only `plan.py` calls it.

A dtype fits a column as it would in a DataFrame that MLflow checks; a tensor must be of the signature's own dtype.
Pure. InvalidInput says which input is wrong.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from serving.decoding import growth
from serving.decoding.columns import Misfit, enforce, objects
from serving.decoding.fields import called
from serving.decoding.nested import fits_shape
from serving.errors import InvalidInput
from serving.protocol import Array, Column, Tensor


def columns(wanted: Sequence[Column], sent: Mapping[str, Array]) -> list[Array]:
    """The signature's columns in order, from a tensor for each, or from one [n, k] for all."""
    names = [each.name or str(at) for at, each in enumerate(wanted)]
    found = _table(names, sent) or [_flat(name, sent.get(name)) for name in names]
    _same_length(found)
    return [_column(f"column '{name}'", values, each) for name, values, each in zip(names, found, wanted, strict=True)]


def tensors(wanted: Sequence[Tensor], sent: Mapping[str, Array]) -> list[Array]:
    """The signature's tensors in order; a nameless one may be called anything."""
    if wanted[0].name is None and len(sent) == 1:
        found = [_tensor("the input", next(iter(sent.values())), wanted[0])]
    else:
        found = [_tensor(f"input '{each.name}'", sent.get(each.name or ""), each) for each in wanted]
    _same_length(found)
    return found


def _table(names: list[str], sent: Mapping[str, Array]) -> list[Array] | None:
    if len(sent) > 1 or any(name in sent for name in names):
        return None
    tables = [each for each in sent.values() if each.ndim == 2]
    if len(tables) == 1 and tables[0].shape[1] != len(names):
        raise InvalidInput(f"expected {len(names)} columns, got {tables[0].shape[1]}")
    return list(tables[0].T) if tables else None


def _flat(name: str, values: Array | None) -> Array:
    if values is None:
        raise InvalidInput(f"column '{name}' is missing")
    if values.ndim == 1 or values.shape[1:] == (1,):
        return values.reshape(-1)
    raise InvalidInput(f"column '{name}': expected shape [n] or [n, 1], got {list(values.shape)}")


def _column(where: str, values: Array, wanted: Column) -> Array:
    try:
        return enforce(values if wanted.type == "binary" else _texts(values), wanted.type)
    except Misfit:
        got = "texts" if values.dtype == object else values.dtype
        raise InvalidInput(f"{where}: expected {called(wanted.type)}, got {got}") from None
    except UnicodeDecodeError:
        raise InvalidInput(f"{where}: a text is not UTF-8") from None


def _texts(values: Array) -> Array:
    if values.dtype != object:
        return values
    return objects([each.decode() if isinstance(each, bytes) else each for each in values.ravel().tolist()]).reshape(
        values.shape
    )


def _tensor(where: str, values: Array | None, wanted: Tensor) -> Array:
    if values is None:
        raise InvalidInput(f"{where} is missing")
    dtype = np.dtype(wanted.dtype)
    try:
        # numpy's own dtypes for text have a length, so that any number of them is of the signature's.
        if values.dtype.hasobject and dtype.kind in "US":
            growth.check_texts(values.ravel().tolist())
            values = (_texts(values) if dtype.kind == "U" else values).astype(dtype)
        elif values.dtype.hasobject and dtype.hasobject:
            values = _texts(values)
    except UnicodeDecodeError:
        raise InvalidInput(f"{where}: a text is not UTF-8") from None
    except growth.Sprawling as error:
        raise InvalidInput(f"{where}: {error}") from None
    if values.dtype.kind != dtype.kind or (dtype.kind not in "US" and values.dtype != dtype):
        raise InvalidInput(f"{where}: expected {wanted.dtype}, got {values.dtype}")
    if not fits_shape(values.shape, wanted.shape):
        raise InvalidInput(f"{where}: expected shape {list(wanted.shape)}, got {list(values.shape)}")
    return values


def _same_length(found: Sequence[Array]) -> None:
    if any(not each.ndim or len(each) != len(found[0]) for each in found):
        raise InvalidInput("the inputs differ in their number of rows")
