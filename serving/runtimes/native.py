"""A version's own library on plain arrays: what pyfunc would compute, without its tables and its checks.

Used only where it answers the version's own example as pyfunc does. The rows were checked when they were decoded.
"""

import copy
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from serving.protocol import PREDICT, PREDICT_PROBA, Answer, Array, Rows
from serving.runtimes.pyfunc import CALLERS_FAULT, PyfuncModel, answer_of, refused

Call = Callable[[Array], Any]
CLOSE = 1e-6
"""Relative: sums of float32 in another order."""


class NativeModel:
    runtime = "native"
    joins = True

    def __init__(self, pyfunc: PyfuncModel, calls: dict[str, Call], names: tuple[str, ...] | None) -> None:
        """`calls`: by method, on one array [n, ...]. `names`: of the answer's columns, as pyfunc gives them."""
        self.signature, self.platform, self.example = pyfunc.signature, pyfunc.platform, pyfunc.example
        self.plan, self.probabilities = pyfunc.plan, PREDICT_PROBA in calls
        self.invoke = pyfunc.invoke
        self._calls, self._names = calls, names
        self._places = [block.at for block in pyfunc.plan.blocks]  # type: ignore[union-attr]  # `of` has looked

    def predict(self, rows: Rows) -> Answer:
        try:
            answer = answer_of(self._calls[rows.method](self._array(rows)), rows.count)
        except CALLERS_FAULT as error:
            raise refused(error, self.plan, rows) from error
        if self._names is None or rows.method != PREDICT:
            return answer
        return Answer(tuple(answer.outputs[0].reshape(rows.count, -1).T), self._names)

    def _array(self, rows: Rows) -> Array:
        if len(rows.blocks) == 1:
            return rows.blocks[0]
        table = np.empty((rows.count, sum(len(places) for places in self._places)), object)
        for places, block in zip(self._places, rows.blocks, strict=True):
            table[:, places] = block
        return table


def of(pyfunc: PyfuncModel) -> NativeModel | None:
    """None where the library cannot be called with arrays, or does not answer the example as pyfunc does."""
    # Known, and why `plan.py` puts columns in the signature's order.
    warnings.filterwarnings("ignore", message="X does not have valid feature names", category=UserWarning)
    if pyfunc.example is None or not getattr(pyfunc.plan, "blocks", None):
        return None
    try:
        calls = _calls(pyfunc)
        rows = pyfunc.plan.rows("application/json", pyfunc.example.encode())  # type: ignore[union-attr]
        wanted = {method: pyfunc.predict(Rows(rows.blocks, rows.count, method)) for method in calls}
        native = NativeModel(pyfunc, calls, wanted[PREDICT].names)
        same = all(_equal(native.predict(Rows(rows.blocks, rows.count, each)), wanted[each]) for each in calls)
    except Exception:  # noqa: BLE001 - whatever it raises: it cannot be called so, and pyfunc can
        return None
    return native if calls and same else None


def _calls(pyfunc: PyfuncModel) -> dict[str, Call]:
    raw, flavour = pyfunc.raw, pyfunc.platform.removeprefix("mlflow_")
    if flavour == "pytorch":
        return {PREDICT: _torch(raw)}
    if flavour not in {"sklearn", "xgboost", "lightgbm"} or not hasattr(raw, "predict"):
        return {}
    if hasattr(raw, "inplace_predict"):  # xgboost's own Booster, which wants a matrix of its own otherwise
        return {PREDICT: raw.inplace_predict}
    raw = _by_position(raw, [each.name for each in pyfunc.signature.inputs])
    calls: dict[str, Call] = {PREDICT: raw.predict}
    if hasattr(raw, "predict_proba"):
        calls[PREDICT_PROBA] = raw.predict_proba
    return calls


def _by_position(raw: Any, names: list[str | None]) -> Any:
    """A scikit-learn pipeline that picks columns by name, as one that picks them by place; anything else as it is."""
    first: Any = raw.steps[0][1] if getattr(raw, "steps", None) else None
    if not hasattr(first, "transformers_") or not hasattr(first, "feature_names_in_"):
        return raw
    # Shallow: the fitted parts are shared with the original, which pyfunc goes on using.
    chooser, pipeline = copy.copy(first), copy.copy(raw)
    chooser.transformers_ = [(name, part, _places(columns, names)) for name, part, columns in first.transformers_]
    del chooser.feature_names_in_
    pipeline.steps = [(raw.steps[0][0], chooser), *raw.steps[1:]]
    return pipeline


def _places(columns: Any, names: list[str | None]) -> Any:
    if isinstance(columns, list) and all(isinstance(each, str) for each in columns):
        return [names.index(each) for each in columns]
    return columns


def _torch(module: Any) -> Call:
    import torch

    with suppress(NotImplementedError):  # an exported program is in its final mode already
        module.eval()

    def call(array: Array) -> Array:
        with torch.inference_mode():
            found: Array = module(torch.from_numpy(np.ascontiguousarray(array))).numpy()
            return found

    return call


def _equal(one: Answer, other: Answer) -> bool:
    if one.names != other.names or len(one.outputs) != len(other.outputs):
        return False
    return all(_same(mine, theirs) for mine, theirs in zip(one.outputs, other.outputs, strict=True))


def _same(one: Array, other: Array) -> bool:
    if one.shape != other.shape:
        return False
    if one.dtype.kind == "f" and other.dtype.kind == "f":
        return bool(np.allclose(one, other, rtol=CLOSE, atol=0, equal_nan=True))
    return one.dtype.kind == other.dtype.kind and bool((one == other).all())
