"""Messages for every method of our gRPC services: well formed, nearly so, and bytes that are no message."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from serving.rpc.generated import open_inference_pb2 as oip
from serving.rpc.generated import slipway_pb2 as slipway
from tests.fuzz.bodies import damaged

_TABLE = np.array([[1.0, 0.5], [2.0, 0.25]])


def _infer(**fields: object) -> oip.ModelInferRequest:
    tensor = oip.ModelInferRequest.InferInputTensor(name="rows", datatype="FP64", shape=_TABLE.shape)
    filled = {"model_name": "iris", "inputs": [tensor], "raw_input_contents": [_TABLE.tobytes()], **fields}
    return oip.ModelInferRequest(**filled)  # type: ignore[arg-type]  # by field name


def _listed(datatype: str, shape: list[int]) -> oip.ModelInferRequest:
    tensor = oip.ModelInferRequest.InferInputTensor(name="rows", datatype=datatype, shape=shape)
    tensor.contents.fp64_contents.extend([1.0, float("nan"), 1e308, float("inf")])
    return oip.ModelInferRequest(model_name="iris", inputs=[tensor])


_asked = [
    _infer(),
    _infer(model_version="7", id="a", outputs=[oip.ModelInferRequest.InferRequestedOutputTensor(name="y")]),
    _infer(model_version="-1"),
    _infer(raw_input_contents=[b""]),
    _infer(raw_input_contents=[]),
    _infer(inputs=[]),
    _infer(parameters={"predict_proba": oip.InferParameter(bool_param=True), "": oip.InferParameter()}),
    *(_listed("FP64", shape) for shape in ([2, 2], [2**62, 0], [-1, 2], [], [4], [2, 2, 1])),
    *(_listed(datatype, [2, 2]) for datatype in ("BYTES", "FP16", "BF16", "", "\ud7ff")),
]
_model = [oip.ModelReadyRequest(name="iris", version=version) for version in ("", "7", "x")]


@dataclass(frozen=True)
class Method:
    path: str
    good: tuple[bytes, ...]
    takes_a_stream: bool = False
    answers_a_stream: bool = False


def _bytes(messages: list[Any]) -> tuple[bytes, ...]:
    return tuple(each.SerializeToString() for each in messages)


_SERVICE = "/inference.GRPCInferenceService/"
_OWN = "/slipway.v1.Predictions/"
METHODS = (
    Method(f"{_SERVICE}ServerLive", (b"",)),
    Method(f"{_SERVICE}ServerReady", (b"",)),
    Method(f"{_SERVICE}ServerMetadata", (b"",)),
    Method(f"{_SERVICE}ModelReady", _bytes(_model)),
    Method(f"{_SERVICE}ModelMetadata", _bytes(_model)),
    Method(f"{_SERVICE}ModelInfer", _bytes(_asked)),
    Method(f"{_SERVICE}ModelStreamInfer", _bytes(_asked), takes_a_stream=True, answers_a_stream=True),
    Method(f"{_OWN}Predict", _bytes([slipway.PredictRequest(infer=each) for each in _asked])),
    Method(
        f"{_OWN}PredictStream",
        _bytes([slipway.PredictStreamRequest(infer=each, rows_per_chunk=at % 3) for at, each in enumerate(_asked)]),
        answers_a_stream=True,
    ),
    Method(
        f"{_OWN}PredictCollect",
        _bytes([slipway.PredictCollectRequest(infer=each) for each in _asked]),
        takes_a_stream=True,
    ),
    Method("/grpc.health.v1.Health/Check", (b"", b"\n\x04iris")),
)


def messages(method: Method) -> st.SearchStrategy[bytes]:
    near = st.builds(damaged, st.sampled_from(method.good), st.integers(0, 2**32))
    return st.sampled_from(method.good) | near | st.binary(max_size=60)


def named(method: Method) -> str:
    return method.path.rpartition("/")[2]
