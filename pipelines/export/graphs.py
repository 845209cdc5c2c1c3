"""A finished graph: run it as serving does, trim it, and give its outputs the types and shapes of the original's."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipelines.export.feeds import Input, Rows, feeds

Array = NDArray[Any]
NUMERIC = frozenset("fiub")


@dataclass(frozen=True)
class Exported:
    graph: Any
    """An onnx.ModelProto."""
    inputs: tuple[Input, ...]
    outputs: dict[str, str]
    """By method: predict, and predict_proba where there is one."""
    converter: str
    """The package that made it."""


class Runner:
    """On one thread, as serving runs it."""

    def __init__(self, exported: Exported) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4  # what it refuses is raised as well
        self._exported = exported
        self._session = onnxruntime.InferenceSession(
            exported.graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )

    def ask(self, rows: Rows) -> dict[str, Array]:
        return self.run(self.fed(rows))

    def fed(self, rows: Rows) -> Mapping[str, Array]:
        return feeds(self._exported.inputs, rows)

    def run(self, fed: Mapping[str, Array]) -> dict[str, Array]:
        outputs = self._exported.outputs
        found = self._session.run(list(outputs.values()), fed)
        return dict(zip(outputs, (np.asarray(values) for values in found), strict=True))


def as_answered(exported: Exported, wanted: Mapping[str, Array], rows: Rows) -> Exported:
    """Where the graph answers with [rows, 1] for [rows], or with another type of number, it no longer does.

    `wanted` is what the original says of `rows`.
    """
    from onnx import TensorProto, helper

    found = Runner(exported).ask(rows)
    graph = exported.graph.graph
    outputs = {method: _like(graph, name, found[method], wanted[method]) for method, name in exported.outputs.items()}
    del graph.output[:]
    for name, method in {name: method for method, name in outputs.items()}.items():
        dtype = wanted[method].dtype
        kind = helper.np_dtype_to_tensor_dtype(dtype) if dtype.kind in NUMERIC else TensorProto.STRING
        graph.output.append(helper.make_tensor_value_info(name, kind, None))
    _trim(graph)
    return replace(exported, outputs=outputs)


def _like(graph: Any, name: str, found: Array, wanted: Array) -> str:
    """An output's name once it has the shape and type of `wanted`."""
    from onnx import helper, numpy_helper

    if found.ndim == 2 and wanted.ndim == 1:
        graph.initializer.append(numpy_helper.from_array(np.array([-1]), f"{name}_line"))
        last = next(node for node in graph.node if name in node.output)
        source = last.input[0] if last.op_type == "Reshape" else name
        graph.node.append(helper.make_node("Reshape", [source, f"{name}_line"], [f"{name}_flat"]))
        name = f"{name}_flat"
    if found.dtype != wanted.dtype and {found.dtype.kind, wanted.dtype.kind} <= NUMERIC:
        to = helper.np_dtype_to_tensor_dtype(wanted.dtype)
        graph.node.append(helper.make_node("Cast", [name], [f"{name}_typed"], to=to))
        name = f"{name}_typed"
    return name


def _trim(graph: Any) -> None:
    """Take out nodes that pass a value on as it is, and those whose value nobody takes."""
    given = {value.name for value in (*graph.input, *graph.initializer)}
    final = {value.name for value in graph.output}
    for node in [node for node in graph.node if node.op_type == "Identity"]:
        source, made = node.input[0], node.output[0]
        if made in final and (source in given or source in final):
            continue
        graph.node.remove(node)
        old, new = (source, made) if made in final else (made, source)
        for other in graph.node:
            other.input[:] = [new if name == old else name for name in other.input]
            other.output[:] = [new if name == old else name for name in other.output]
    for node in reversed(list(graph.node)):
        if not {*node.output} & (final | {name for other in graph.node for name in other.input}):
            graph.node.remove(node)
