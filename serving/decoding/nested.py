"""Read any JSON body for a signature of tensors, by all of MLflow's rules. Only `plan.py` calls it.

Pure. Raises Misfit, or what numpy raises for such values, where MLflow refuses.
"""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from serving.decoding import frames, growth
from serving.decoding.columns import Misfit, inferred, squeeze
from serving.protocol import Array, Tensor


def tensors(wanted: Sequence[Tensor], form: str, content: Any) -> list[Array]:
    """An array for each tensor, in the signature's order."""
    if form in {"dataframe_split", "dataframe_records"}:
        frame = frames.split(content) if form == "dataframe_split" else frames.records(content)
        return _framed(wanted, frame)
    types = {each.name: each.dtype for each in wanted if each.name is not None}
    if form == "instances" and isinstance(content, list) and content and isinstance(content[0], dict):
        return enforce(wanted, _gathered(types, content)) if types else _refuse_names()
    if isinstance(content, dict):
        found = {name: _array(value, types.get(name)) for name, value in content.items()}
        return enforce(wanted, found) if types else _refuse_names()
    return enforce(wanted, {wanted[0].name or "": _bare(wanted, content)})


def enforce(wanted: Sequence[Tensor], found: Mapping[str, Array]) -> list[Array]:
    """The tensors as they must be, under the signature's names: nothing is converted."""
    if any((each.name or "") not in found for each in wanted):
        raise Misfit("a tensor is missing")
    arrays = [found[each.name or ""] for each in wanted]
    for array, each in zip(arrays, wanted, strict=True):
        _check(array, each)
    if len({len(array) for array in arrays}) > 1:
        raise Misfit("tensors differ in their number of rows")
    return arrays


def _refuse_names() -> list[Array]:
    raise Misfit("the one tensor has no name")


def _check(array: Array, wanted: Tensor) -> None:
    dtype = np.dtype(wanted.dtype)
    if array.ndim and dtype.hasobject and wanted.shape == (-1,):
        return
    if array.dtype.hasobject and array.ndim == 1 and -1 in wanted.shape[1:]:
        return
    if not array.ndim or not fits_shape(array.shape, wanted.shape):
        raise Misfit("another shape")
    # The length of the longest text is no part of the type.
    if array.dtype.kind != dtype.kind or (dtype.kind not in "US" and array.dtype != dtype):
        raise Misfit("another dtype")


def fits_shape(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    return len(shape) == len(wanted) and all(want in {-1, got} for want, got in zip(wanted, shape, strict=True))


def _array(value: object, dtype: str | None) -> Array:
    if dtype is None or np.dtype(dtype).kind in "US":
        growth.check_texts(value)
    with np.errstate(over="ignore", invalid="ignore"):
        if dtype is None or not dtype.startswith("datetime64"):
            return np.array(value, dtype)
        with warnings.catch_warnings():  # about time zones, which numpy then converts
            warnings.simplefilter("ignore")
            return np.array(value, dtype)


def _bare(wanted: Sequence[Tensor], content: Any) -> Array:
    """A list for the one tensor. An empty one is to MLflow a list of objects, unless the tensor has a name."""
    objects = isinstance(content, list) and all(isinstance(each, dict) for each in content)
    if len(wanted) > 1 or (objects and (content or wanted[0].name is None)) or content is None:
        raise Misfit("not by name, objects, or nothing")
    return _array(content, wanted[0].dtype)


def _gathered(types: Mapping[str, str], items: list[Any]) -> dict[str, Array]:
    """`instances` as objects: value by value into tensors."""
    found: dict[str, list[Array]] = {}
    for item in items:
        if not isinstance(item, dict):
            raise Misfit("not all instances are objects")
        for name, value in item.items():
            found.setdefault(name, []).append(_array(value, types.get(name)))
    for values in found.values():
        growth.check_arrays(values)
    return {name: np.array(values) for name, values in found.items()}


def _framed(wanted: Sequence[Tensor], frame: frames.Frame) -> list[Array]:
    if not frame.count or any(np.dtype(each.dtype).kind not in "biuf" for each in wanted):
        raise Misfit("no rows, or no numbers")
    if wanted[0].name is not None:
        return [_column(frame, frame.of(str(each.name)), each) for each in wanted]
    (tensor,) = wanted
    if len(frame.columns) == 1:
        return [_column(frame, frame.columns[0], tensor)]
    if tensor.shape != (-1, len(frame.columns)) or any(isinstance(values[0], list) for values in frame.columns):
        raise Misfit("another number of columns")
    return [np.stack([squeeze(inferred(values), np.dtype(tensor.dtype)) for values in frame.columns], axis=1)]


def _column(frame: frames.Frame, values: list[Any], wanted: Tensor) -> Array:
    """One column as a whole tensor: of single values, or of flat lists that are brought into shape."""
    if -1 in wanted.shape[1:]:
        raise Misfit("only the first length may be open")
    first = values[_row_called_0(frame)]
    if not isinstance(values[0], list):
        if wanted.shape not in {(-1,), (-1, 1)}:
            raise Misfit("single values for a tensor of more")
        return squeeze(inferred(values), np.dtype(wanted.dtype)).reshape(wanted.shape)
    if not isinstance(first, list) or not first or not np.isscalar(first[0]):
        raise Misfit("neither single values nor flat lists")
    with np.errstate(over="ignore", invalid="ignore"):
        table = np.vstack(values).reshape(wanted.shape).astype(wanted.dtype)
    if len(table) != len(values):
        raise Misfit("another number of values")
    return table


def _row_called_0(frame: frames.Frame) -> int:
    """MLflow looks at the row of that label to see what the column holds."""
    if frame.index is None:
        return 0
    if not all(type(label) is int for label in frame.index) or frame.index.count(0) != 1:
        raise Misfit("no row is called 0")
    return frame.index.index(0)
