"""A model tried on the example that came with it: does it answer, and how quickly?"""

import time

import numpy as np

from serving.errors import InvalidInput
from serving.protocol import JSON, Decoder, Model, Rows, Unplanned

QUICK_SECONDS = 0.0003
"""What a queue and a thread cost a request; a model that needs less is called at once."""
_TRIED_ROWS = (1, 4, 16, 64, 256)
_REPEATS = 5


def try_out(model: Model) -> None:
    """Predict its own input example, if it has one. Whatever the model raises."""
    rows = _rows(model)
    if rows is not None:
        model.predict(rows)
    elif model.example is not None:
        model.invoke(JSON, model.example.encode())


def inline_rows(model: Model) -> int:
    """Up to how many rows it answers quicker than a queue would let it; 0 where that is not known."""
    if model.runtime != "onnx":  # its host is a queue and a thread away, whatever it needs itself
        return 0
    one = _rows(model)
    if one is None or not model.joins or not one.count:
        return 0
    quick = 0
    for count in _TRIED_ROWS:
        rows = Rows(tuple(np.resize(block[:1], (count, *block.shape[1:])) for block in one.blocks), count)
        if min(_seconds(model, rows) for _ in range(_REPEATS)) > QUICK_SECONDS:
            break
        quick = count
    return quick


def _rows(model: Model) -> Rows | None:
    """The example; None where there is none, or where only MLflow can read it."""
    decoder: Decoder | None = model.plan
    if decoder is None or model.example is None:
        return None
    try:
        return decoder.fast(model.example.encode())
    except Unplanned:
        pass
    try:
        return decoder.rows(JSON, model.example.encode())
    except InvalidInput:
        return None


def _seconds(model: Model, rows: Rows) -> float:
    began = time.perf_counter()
    model.predict(rows)
    return time.perf_counter() - began
