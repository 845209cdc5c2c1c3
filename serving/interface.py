"""What a model takes and answers, as tensors of the Open Inference Protocol; the same on every transport. Pure."""

from collections.abc import Iterator
from typing import NamedTuple

from serving.decoding.columns import DTYPES
from serving.protocol import PREDICT_PROBA, Column, Model, Signature, Tensor
from serving.tensors import datatype_named

PREDICTIONS = "predictions"
"""What an output without a name of its own is called."""


class TensorInfo(NamedTuple):
    name: str
    datatype: str
    shape: tuple[int, ...]
    """-1 is any length."""
    type: str | None = None
    """MLflow's, of a column: it says more than BYTES."""


class Table(NamedTuple):
    """The one tensor [-1, k] that may be sent instead of k columns."""

    datatype: str
    width: int


def inputs(signature: Signature) -> list[TensorInfo]:
    return [_info(each, f"input-{at}") for at, each in enumerate(signature.inputs)]


def outputs(model: Model) -> list[TensorInfo]:
    """With the probabilities that can be asked for; by default an answer has all but those."""
    return [*_predictions(model.signature), *_probabilities(model)]


def table(signature: Signature) -> Table | None:
    """For columns of one type only: a tensor has one."""
    types = {each.type if isinstance(each, Column) else None for each in signature.inputs}
    if len(signature.inputs) < 2 or len(types) > 1 or None in types:
        return None
    return Table(inputs(signature)[0].datatype, len(signature.inputs))


def output_name(signature: Signature) -> str:
    """Of the array that a model answers with when it answers with one."""
    return (signature.outputs[0].name if len(signature.outputs) == 1 else None) or PREDICTIONS


def _predictions(signature: Signature) -> Iterator[TensorInfo]:
    alone = len(signature.outputs) == 1
    for at, each in enumerate(signature.outputs):
        yield _info(each, PREDICTIONS if alone else f"output-{at}")


def _probabilities(model: Model) -> Iterator[TensorInfo]:
    if model.probabilities and all(each.name != PREDICT_PROBA for each in model.signature.outputs):
        yield TensorInfo(PREDICT_PROBA, "FP64", (-1, -1))


def _info(each: Column | Tensor, nameless: str) -> TensorInfo:
    if isinstance(each, Tensor):
        return TensorInfo(each.name or nameless, datatype_named(each.dtype), each.shape)
    return TensorInfo(each.name or nameless, datatype_named(DTYPES.get(each.type, "object")), (-1,), each.type)
