"""A PyTorch module as a graph, for a signature of one tensor."""

import io
import warnings
from typing import Any

import onnx
import torch
from numpy.typing import NDArray
from onnx import ModelProto

OPSET = 18


def convert(module: Any, rows: NDArray[Any]) -> ModelProto:
    """Input `numbers`, output `answer`, any number of rows; `rows` are one example of what comes.

    PyTorch's older exporter first: it is done in a tenth of a second and the newer one in ten, but it does not take
    every module.
    """
    example = (torch.from_numpy(rows),)
    try:
        return _traced(module, example)
    except Exception:  # noqa: BLE001 - whatever it does not know, the other exporter may
        return _dynamo(module, example)


def _traced(module: Any, example: tuple[Any, ...]) -> ModelProto:
    file: Any = io.BytesIO()
    names: dict[str, Any] = {"input_names": ["numbers"], "output_names": ["answer"]}
    axes = {"numbers": {0: "rows"}, "answer": {0: "rows"}}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it is the older one
        torch.onnx.export(module, example, file, dynamo=False, opset_version=OPSET, dynamic_axes=axes, **names)
    return onnx.load_from_string(file.getvalue())


def _dynamo(module: Any, example: tuple[Any, ...]) -> ModelProto:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            module,
            example,
            dynamo=True,
            input_names=["numbers"],
            output_names=["answer"],
            dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
            verbose=False,
        )
    if program is None:
        raise RuntimeError("PyTorch's exporter made nothing")
    proto: ModelProto = program.model_proto
    return proto
