"""The bodies of `infer`: JSON, and JSON with binary tensors behind it. Only `infer.py` calls it.

https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md
"""

from typing import Any

import msgspec
from msgspec import Raw, Struct

from serving.errors import InvalidInput
from serving.inference import Outputs
from serving.lineup import Served
from serving.listed import from_json, to_json
from serving.protocol import JSON, Array
from serving.tensors import called, from_binary, portable, to_binary

HEADER_LENGTH = "inference-header-content-length"
"""Of the JSON that stands before binary data; a request has it only with such data, an answer too."""

BINARY = "application/octet-stream"

_ABSENT = Raw()


class _Input(Struct, gc=False):
    name: str
    shape: list[int]
    datatype: str
    data: Raw = _ABSENT
    parameters: dict[str, Any] | None = None


class _Output(Struct, gc=False):
    name: str
    parameters: dict[str, Any] | None = None


class InferRequest(Struct, gc=False):
    inputs: list[_Input]
    id: str | None = None
    parameters: dict[str, Any] | None = None
    outputs: list[_Output] | None = None


_decode = msgspec.json.Decoder(InferRequest).decode
_encode = msgspec.json.Encoder().encode


def parts(body: bytes, length: str | None) -> tuple[InferRequest, memoryview]:
    """The JSON, and the binary data behind it."""
    end = len(body)
    if length is not None:
        if not (length.isascii() and length.isdigit() and len(length) < 20 and int(length) <= end):
            raise InvalidInput("Inference-Header-Content-Length must be the bytes of JSON that the body begins with")
        end = int(length)
    view = memoryview(body)
    try:
        return _decode(view[:end]), view[end:]
    except msgspec.MsgspecError as error:  # says where, never what was there
        raise InvalidInput(f"the body is no inference request: {error}") from None
    except (ValueError, RecursionError):
        raise InvalidInput("the body is no inference request") from None


def tensors(inputs: list[_Input], data: memoryview) -> list[tuple[str, Array]]:
    tensors = []
    for each in inputs:
        size = each.parameters.get("binary_data_size") if each.parameters else None
        if size is None:
            if each.data is _ABSENT:
                raise InvalidInput(f"{called(each.name)}: has neither data nor binary_data_size")
            tensors.append((each.name, from_json(each.name, each.datatype, each.shape, each.data)))
            continue
        if each.data is not _ABSENT:
            raise InvalidInput(f"{called(each.name)}: has both data and binary_data_size")
        if type(size) is not int or not 0 <= size <= len(data):
            raise InvalidInput(f"{called(each.name)}: binary_data_size must count the bytes of its own behind the JSON")
        tensors.append((each.name, from_binary(each.name, each.datatype, each.shape, data[:size])))
        data = data[size:]
    if data:
        raise InvalidInput(f"{len(data)} bytes behind the JSON belong to no input")
    return tensors


def answer(served: Served, request: InferRequest, outputs: Outputs) -> tuple[bytes, str, dict[str, str]]:
    version = served.version
    content: dict[str, Any] = {"model_name": version.name, "model_version": str(version.number)}
    if request.id is not None:
        content["id"] = request.id
    binary = _is_binary(request)
    chunks: list[bytes] = []
    content["outputs"] = [
        _tensor(name, array, chunks if binary[at if request.outputs else 0] else None)
        for at, (name, array) in enumerate(outputs)
    ]
    text = _encode(content)
    if not chunks:
        return text, JSON, {}
    return b"".join([text, *chunks]), BINARY, {HEADER_LENGTH: str(len(text))}


def _is_binary(request: InferRequest) -> list[bool]:
    """For each output that is asked for by name; else one for all."""
    default = bool((request.parameters or {}).get("binary_data_output", False))
    if not request.outputs:
        return [default]
    return [bool((each.parameters or {}).get("binary_data", default)) for each in request.outputs]


def _tensor(name: str, array: Array, chunks: list[bytes] | None) -> dict[str, Any]:
    """Its data in it, or as one more of `chunks`."""
    datatype, array = portable(array)
    tensor: dict[str, Any] = {"name": name, "shape": array.shape, "datatype": datatype}
    if chunks is None:
        tensor["data"] = to_json(datatype, array)
        return tensor
    data = to_binary(datatype, array)
    chunks.append(data)
    tensor["parameters"] = {"binary_data_size": len(data)}
    return tensor
