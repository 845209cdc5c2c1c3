"""What a model is asked of a chunk of a file: which columns, and how they become rows. Pure."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from serving.decoding.plan import Plan
from serving.protocol import PREDICT_PROBA, Array, Column, Model, Rows, Tensor
from serving.scoring import casting
from serving.scoring.refusal import BadInput, NotScored

_TYPES_OF_DTYPES = {"float32": "float", "float64": "double", "int32": "integer", "int64": "long"}


class Question:
    """`columns`: those of the file that the model is asked about, in the order of its inputs."""

    def __init__(self, model: Model, names: Sequence[str], *, keys: Sequence[str] = (), is_text: bool) -> None:
        """`names`: of the file's columns. NotScored where no table can hold what the model takes.

        Inputs without names, and those of a tensor [-1, k], are the file's first columns that are no keys.
        """
        if not isinstance(model.plan, Plan):
            raise NotScored(
                "the version has no signature of plain columns, so that nothing says which columns it takes; "
                "register it with one (infer_signature)"
            )
        self._plan, self._is_text = model.plan, is_text
        inputs = model.signature.inputs
        free = [name for name in names if name not in keys]
        self._tensor = _one(inputs) if isinstance(inputs[0], Tensor) else None
        found = _side_by_side(self._tensor, free) if self._tensor is not None else _named(inputs, free)
        self.columns = tuple(name for name, _ in found)
        self._types = tuple(kind for _, kind in found)

    def rows(self, chunk: Any, before: int, *, probabilities: bool = False) -> Rows:
        """`before`: how many rows of the file came before the chunk. BadInput names row and column."""
        arrays = [
            self._array(chunk.column(name), name, kind, before)
            for name, kind in zip(self.columns, self._types, strict=True)
        ]
        params = {PREDICT_PROBA: True} if probabilities else None
        if self._tensor is not None:
            return self._plan.tensors({self._tensor.name or "input-0": np.column_stack(arrays)}, params)
        named = [each.name or str(at) for at, each in enumerate(self._plan.signature.inputs)]
        return self._plan.tensors(dict(zip(named, arrays, strict=True)), params)

    def _array(self, column: Any, name: str, kind: str, before: int) -> Array:
        try:
            return casting.array(column, kind, is_text=self._is_text)
        except casting.Misfit as misfit:
            where = f"column {name!r}" if misfit.row is None else f"row {before + misfit.row + 1}, column {name!r}"
            raise BadInput(f"{where}: {misfit}") from misfit


def _one(inputs: Sequence[Column | Tensor]) -> Tensor:
    first = inputs[0]
    if len(inputs) > 1 or not isinstance(first, Tensor) or len(first.shape) != 2:
        raise NotScored("the version takes tensors that are no table: more than one, or not of shape [-1, k]")
    return first


def _side_by_side(tensor: Tensor, free: Sequence[str]) -> list[tuple[str, str]]:
    """Names of columns, and MLflow's types of what is read of them."""
    known = _TYPES_OF_DTYPES.get(tensor.dtype)
    if known is None:
        raise NotScored(f"the version takes a tensor of {tensor.dtype}, which is not read from a file")
    return [(name, known) for name in _first(free, tensor.shape[1])]


def _named(inputs: Sequence[Column | Tensor], free: Sequence[str]) -> list[tuple[str, str]]:
    columns = [each for each in inputs if isinstance(each, Column)]
    names = [each.name or "" for each in columns] if columns[0].name else _first(free, len(columns))
    return list(zip(names, (each.type for each in columns), strict=True))


def _first(names: Sequence[str], count: int) -> Sequence[str]:
    if count == -1:
        return names
    if len(names) < count:
        raise NotScored(f"the version takes {count} columns, and the file has {len(names)} that are no keys")
    return names[:count]
