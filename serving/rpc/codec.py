"""Open Inference messages as arrays, and arrays as messages."""

from collections.abc import Sequence
from typing import Any

from serving.errors import InvalidInput
from serving.inference import Outputs
from serving.lineup import Served
from serving.listed import CONTENTS, from_values
from serving.protocol import Array
from serving.rpc.generated.open_inference_pb2 import ModelInferRequest, ModelInferResponse
from serving.tensors import called, dtype_of, from_binary, portable, to_binary


def tensors_of(request: ModelInferRequest) -> list[tuple[str, Array]]:
    """The inputs in order, over the message's own memory where they came raw. InvalidInput."""
    raw, inputs = request.raw_input_contents, request.inputs
    if not raw:
        return [(each.name, _listed(each)) for each in inputs]
    if len(raw) != len(inputs):
        raise InvalidInput(f"there are {len(inputs)} inputs and {len(raw)} raw_input_contents")
    tensors = []
    for each, data in zip(inputs, raw, strict=True):
        if each.HasField("contents"):
            raise InvalidInput(f"{called(each.name)}: has contents beside raw_input_contents; use one for all inputs")
        tensors.append((each.name, from_binary(each.name, each.datatype, tuple(each.shape), data)))
    return tensors


def params_of(request: ModelInferRequest) -> dict[str, object] | None:
    given = request.parameters
    if not given:
        return None
    return {name: getattr(each, each.WhichOneof("parameter_choice") or "", None) for name, each in given.items()}


def response_of(served: Served, request_id: str, outputs: Outputs, *, raw: bool) -> ModelInferResponse:
    """`raw`: all outputs in raw_output_contents; else in contents, unless one of them has none (FP16)."""
    portables = [(name, *portable(array)) for name, array in outputs]
    version = served.version
    response = ModelInferResponse(model_name=version.name, model_version=str(version.number), id=request_id)
    raw = raw or any(datatype not in CONTENTS for _, datatype, _ in portables)
    for name, datatype, array in portables:
        output = response.outputs.add(name=name, datatype=datatype, shape=array.shape)
        if raw:
            response.raw_output_contents.append(to_binary(datatype, array))
        else:
            getattr(output.contents, CONTENTS[datatype]).extend(array.reshape(-1).tolist())
    return response


def _listed(tensor: ModelInferRequest.InferInputTensor) -> Array:
    name, datatype = tensor.name, tensor.datatype
    dtype_of(name, datatype)
    field = CONTENTS.get(datatype)
    if field is None:
        raise InvalidInput(f"{called(name)}: {datatype} has no contents; send raw_input_contents")
    if any(each.name != field for each, _ in tensor.contents.ListFields()):
        raise InvalidInput(f"{called(name)}: the contents of {datatype} belong into {field}")
    values: Sequence[Any] = getattr(tensor.contents, field)
    return from_values(name, datatype, tuple(tensor.shape), values)
