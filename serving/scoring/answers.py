"""A model's answer to a chunk as columns of a table, beside the keys. Pure."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from serving.interface import output_name
from serving.protocol import PREDICT_PROBA, Answer, Array, Signature
from serving.scoring.refusal import NotScored


def beside(chunk: Any, keys: Sequence[str], answer: Answer, signature: Signature, *, probabilities: bool) -> Any:
    """A table of the keys, as the file has them, and of what was answered to their rows.

    An array [n] is one column, [n, k] is k of them with their place behind the name. NotScored for more dimensions, and
    for a key that has the name of an answer.
    """
    name = PREDICT_PROBA if probabilities else output_name(signature)
    named = zip(answer.names or (name,), answer.outputs, strict=True)
    columns = {key: chunk.column(key) for key in keys}
    for column, values in (found for name, output in named for found in _columns(name, output)):
        if column in columns:
            raise NotScored(f"column {column!r} is a key, and the predictions are called that; rename it in the file")
        columns[column] = values
    return pa.table(columns)


def _columns(name: str, output: Array) -> list[tuple[str, Any]]:
    if output.ndim == 2 and output.shape[1] != 1:
        return [(f"{name}_{place}", _arrow(output[:, place])) for place in range(output.shape[1])]
    if output.size != len(output):
        raise NotScored(
            f"the version answers a row with an array of shape {output.shape[1:]}, which is no row of a table"
        )
    return [(name, _arrow(output.reshape(-1)))]


def _arrow(values: Array) -> Any:
    if values.dtype.kind not in "OUS":
        return pa.array(values)
    try:
        # What a model calls a class may be missing in all rows of a chunk, and is a text in the next.
        found = pa.array(values.tolist())
        return found.cast(pa.string()) if pa.types.is_null(found.type) else found
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise NotScored("the version's answers are of several types, which no column can hold") from error
