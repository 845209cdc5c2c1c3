"""The gRPC request that is measured: the rows of a body as one raw FP64 tensor of all columns."""

import json

import numpy as np

from serving.rpc.generated.open_inference_pb2 import ModelInferRequest
from tests.bench.models import Made


def infer_request(made: Made, model: str, rows: int) -> bytes:
    table = np.array(json.loads(made.bodies[rows].read_text())["dataframe_split"]["data"], np.float64)
    tensor = ModelInferRequest.InferInputTensor(name="rows", datatype="FP64", shape=table.shape)
    request = ModelInferRequest(model_name=model, inputs=[tensor], raw_input_contents=[table.tobytes()])
    message: bytes = request.SerializeToString()
    return message
