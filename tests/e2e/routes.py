"""Every way to ask one running server for predictions: a table's rows in, predictions and the version's number out."""

import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import httpx
import numpy as np
import pandas as pd
from tritonclient import grpc as triton_grpc
from tritonclient import http as triton_http

from serving.rpc.generated import slipway_pb2 as messages
from serving.rpc.generated.open_inference_pb2 import ModelInferRequest
from serving.rpc.generated.slipway_pb2_grpc import PredictionsStub


@dataclass(frozen=True)
class Answer:
    version: str
    predictions: list[Any]


@dataclass(frozen=True)
class Caller:
    """A client of every protocol, of the server on these ports."""

    port: int
    grpc_port: int

    def rest(self, model: str, media_type: str, body: bytes) -> Answer:
        answer = self.post(f"/v1/models/{model}/invocations", media_type, body)
        assert answer.status_code == 200, answer.text
        return Answer(answer.headers["x-model-version"], answer.json()["predictions"])

    def post(self, path: str, media_type: str, body: bytes) -> httpx.Response:
        url = f"http://127.0.0.1:{self.port}{path}"
        return httpx.post(url, content=body, headers={"content-type": media_type}, timeout=30)

    def json(self, model: str, content: dict[str, Any]) -> Answer:
        return self.rest(model, "application/json", json.dumps(content).encode())

    def lines(self, model: str, rows: list[Any]) -> Answer:
        body = "".join(json.dumps(row) + "\n" for row in rows).encode()
        answer = self.post(f"/v1/models/{model}/invocations", "application/x-ndjson", body)
        return Answer(
            answer.headers["x-model-version"], [json.loads(each)["prediction"] for each in answer.iter_lines()]
        )

    def triton(self, kind: Any, model: str, tensors: dict[str, np.ndarray[Any, Any]], **options: Any) -> Answer:
        """By tritonclient's `http` or `grpc`."""
        port = self.port if kind is triton_http else self.grpc_port
        client = kind.InferenceServerClient(f"127.0.0.1:{port}")
        try:
            inputs = [_input(kind, name, values, **options) for name, values in tensors.items()]
            found = client.infer(model, inputs)
            response = found.get_response() if kind is triton_http else found.get_response(as_json=True)
            return Answer(response["model_version"], _plain(found.as_numpy(response["outputs"][0]["name"])))
        finally:
            client.close()

    def triton_stream(self, model: str, tensors: dict[str, np.ndarray[Any, Any]]) -> Answer:
        """Each row as a message of one ModelStreamInfer."""
        count = len(next(iter(tensors.values())))
        answers: list[Any] = []
        with triton_grpc.InferenceServerClient(f"127.0.0.1:{self.grpc_port}") as client:
            client.start_stream(lambda result, error: answers.append(error or result))
            for at in range(count):
                rows = {name: values[at : at + 1] for name, values in tensors.items()}
                client.async_stream_infer(model, [_input(triton_grpc, *each) for each in rows.items()])
            client.stop_stream()
        responses = [each.get_response(as_json=True) for each in answers]
        outputs = [
            each.as_numpy(response["outputs"][0]["name"]) for each, response in zip(answers, responses, strict=True)
        ]
        (version,) = {response["model_version"] for response in responses}
        return Answer(version, [value for each in outputs for value in _plain(each)])

    def own(self, model: str, tensors: dict[str, np.ndarray[Any, Any]], how: str) -> Answer:
        """By our own service: `unary`, `down` (answers in chunks of one row) or `up` (a row a message)."""
        with self.channel() as channel:
            stub = PredictionsStub(channel)  # type: ignore[no-untyped-call]  # generated
            whole = _request(model, tensors)
            count = len(next(iter(tensors.values())))
            if how == "unary":
                return _answer([stub.Predict(messages.PredictRequest(infer=whole)).infer])
            if how == "down":
                chunks = stub.PredictStream(messages.PredictStreamRequest(infer=whole, rows_per_chunk=1))
                return _answer([each.infer for each in chunks])
            rows = ({name: values[at : at + 1] for name, values in tensors.items()} for at in range(count))
            sent = (messages.PredictCollectRequest(infer=_request(model, each)) for each in rows)
            return _answer([stub.PredictCollect(sent).infer])

    @contextmanager
    def channel(self) -> Iterator[grpc.Channel]:
        with grpc.insecure_channel(f"127.0.0.1:{self.grpc_port}") as channel:
            yield channel


def for_a_table(caller: Caller, model: str, rows: pd.DataFrame) -> dict[str, Callable[[], Answer]]:
    """Every route that takes columns."""
    records = rows.to_dict(orient="records")
    columns = {str(name): rows[name].to_numpy() for name in rows}
    parquet = io.BytesIO()
    rows.to_parquet(parquet, index=False)
    return {
        "split": lambda: caller.json(model, {"dataframe_split": rows.to_dict(orient="split", index=False)}),
        "records": lambda: caller.json(model, {"dataframe_records": records}),
        "instances": lambda: caller.json(model, {"instances": records}),
        "inputs": lambda: caller.json(model, {"inputs": {name: values.tolist() for name, values in columns.items()}}),
        "csv": lambda: caller.rest(model, "text/csv", rows.to_csv(index=False).encode()),
        "parquet": lambda: caller.rest(model, "application/vnd.apache.parquet", parquet.getvalue()),
        "lines": lambda: caller.lines(model, records),
        **for_tensors(caller, model, columns),
    }


def for_an_array(caller: Caller, model: str, rows: np.ndarray[Any, Any]) -> dict[str, Callable[[], Answer]]:
    """Every route that takes one tensor."""
    return {
        "instances": lambda: caller.json(model, {"instances": rows.tolist()}),
        "inputs": lambda: caller.json(model, {"inputs": rows.tolist()}),
        "lines": lambda: caller.lines(model, rows.tolist()),
        **for_tensors(caller, model, {"input-0": rows}),
    }


def for_tensors(
    caller: Caller, model: str, tensors: dict[str, np.ndarray[Any, Any]]
) -> dict[str, Callable[[], Answer]]:
    """Every route of the Open Inference Protocol, and our own service."""
    return {
        "infer, JSON": lambda: caller.triton(triton_http, model, tensors, binary_data=False),
        "infer, binary": lambda: caller.triton(triton_http, model, tensors),
        "ModelInfer": lambda: caller.triton(triton_grpc, model, tensors),
        "ModelStreamInfer": lambda: caller.triton_stream(model, tensors),
        "Predict": lambda: caller.own(model, tensors, "unary"),
        "PredictStream": lambda: caller.own(model, tensors, "down"),
        "PredictCollect": lambda: caller.own(model, tensors, "up"),
    }


_DATATYPES = {"float64": "FP64", "float32": "FP32", "int64": "INT64", "object": "BYTES", "str": "BYTES"}


def _input(kind: Any, name: str, values: np.ndarray[Any, Any], **options: Any) -> Any:
    made = kind.InferInput(name, list(values.shape), _DATATYPES[str(values.dtype)])
    made.set_data_from_numpy(values, **options)
    return made


def _request(model: str, tensors: dict[str, np.ndarray[Any, Any]]) -> ModelInferRequest:
    request = ModelInferRequest(model_name=model)
    for name, values in tensors.items():
        request.inputs.add(name=name, datatype=_DATATYPES[str(values.dtype)], shape=values.shape)
        request.raw_input_contents.append(_raw(values))
    return request


def _raw(values: np.ndarray[Any, Any]) -> bytes:
    if values.dtype != object:
        return values.tobytes()
    texts = [str(each).encode() for each in values.reshape(-1)]
    return b"".join(len(text).to_bytes(4, "little") + text for text in texts)


def _answer(responses: list[Any]) -> Answer:
    (version,) = {each.model_version for each in responses}
    return Answer(version, [value for each in responses for value in _values(each)])


def _values(response: Any) -> list[Any]:
    output, raw = response.outputs[0], response.raw_output_contents[0]
    numpy = {datatype: name for name, datatype in _DATATYPES.items() if name not in {"object", "str"}}
    return _plain(np.frombuffer(raw, numpy[output.datatype]).reshape(tuple(output.shape)))


def _plain(values: np.ndarray[Any, Any]) -> list[Any]:
    return [each.decode() if isinstance(each, bytes) else each for each in values.tolist()]
