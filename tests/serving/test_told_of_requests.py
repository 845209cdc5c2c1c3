"""What the log of the real process says of requests: whose each was, and nothing of what was sent or is secret."""

import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from serving.rpc.generated import open_inference_pb2 as pb
from serving.rpc.generated import slipway_pb2
from serving.rpc.generated.open_inference_pb2_grpc import GRPCInferenceServiceStub
from serving.rpc.generated.slipway_pb2_grpc import PredictionsStub
from tests.servers import eventually, free_port
from tests.serving.working.house import MODEL, House, ended, house, rows, submit

MARK = "zqx-payload"
SECRET = "zqx-secret-of-the-settings"  # noqa: S105 - looked for in the log
SECRETS = {
    "AWS_SECRET_ACCESS_KEY": SECRET,
    "SERVING_WEBHOOK_SECRET": SECRET,
    "SERVING_JOBS__CALLBACK_SECRET": SECRET,
    "MLFLOW_TRACKING_PASSWORD": SECRET,
    "MLFLOW_TRACKING_TOKEN": SECRET,
    "OTEL_EXPORTER_OTLP_HEADERS": f"api-key={SECRET}",
}
TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"

BODIES = [
    MARK,
    f"{{{MARK}",
    json.dumps({MARK: MARK}),
    json.dumps({"instances": [{"x": MARK, "size": 1}]}),
    json.dumps({"inputs": [{"name": MARK, "datatype": "BYTES", "shape": [1], "data": [MARK]}]}),
    json.dumps({"inputs": [{"name": "rows", "datatype": MARK, "shape": [1, 2], "data": [1, 2]}]}),
    json.dumps({"inputs": [], "parameters": {MARK: 1}}),
    json.dumps({"dataframe_split": {"columns": ["x", "size"], "data": [[1.0, 1.0], [MARK, 2.0]]}}),
    json.dumps({**rows(1.0), "params": {MARK: MARK}}),
    json.dumps(rows(1.0)),
    f'{{"x": 1, "size": 1}}\n{{"x": "{MARK}", "size": 1}}\n{MARK}\n',
    f"x,size\n1,{MARK}\n",
    json.dumps({"input": f"s3://{MARK}/in.csv", "output": f"s3://{MARK}/out.csv"}),
]  # fmt: skip
TYPES = ["application/json", "text/csv", "application/x-ndjson", "application/vnd.apache.parquet", MARK, ""]
HEADERS = {
    "x-request-id": f"not sane {MARK}",
    "tracestate": f"{MARK}=1,=\x7f{MARK}",
    "authorization": f"Bearer {MARK}",
    "inference-header-content-length": MARK,
    "x-request-timeout-ms": MARK,
    "idempotency-key": MARK,
    "prefer": "respond-async",
    "content-encoding": "gzip",
    "user-agent": MARK,
}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    names = {
        "SERVING_LOG_LEVEL": "debug",
        "SERVING_LOG_REQUESTS": "all",
        "SERVING_GRPC_PORT": str(free_port()),
        "SERVING_TRACING__ENDPOINT": f"http://me:{SECRET}@127.0.0.1:{free_port()}",
    }
    with house(tmp_path_factory.mktemp("house"), **SECRETS, **names) as made:
        yield made


@pytest.fixture(scope="module")
def http(built: House) -> Iterator[httpx.Client]:
    with built.serving("--jobs") as found:
        yield found


@pytest.fixture(scope="module")
def channel(built: House, http: httpx.Client) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{built.env['SERVING_GRPC_PORT']}") as made:
        yield made


@pytest.fixture(scope="module")
def routes(http: httpx.Client) -> list[tuple[str, str]]:
    """Method and path of every one, and some that are none."""
    paths: dict[str, dict[str, Any]] = http.get("/openapi.json").json()["paths"]
    found = [(method.upper(), path) for path, methods in paths.items() for method in methods]
    assert len(found) > 15
    return [*found, ("GET", f"/{MARK}"), ("DELETE", "/invocations"), ("POST", f"/v2/models/{MARK}/infer")]


def lines(built: House) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (built.folder / "serving.log").read_text().splitlines()]


def told_of(built: House, name: str, event: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        return next((line for line in lines(built) if (line.get("request_id"), line["event"]) == (name, event)), None)

    found = eventually(look)
    assert found is not None
    return found


def silent(built: House) -> None:
    text = (built.folder / "serving.log").read_text()
    at = text.find("zqx-")
    assert at < 0, text[max(at - 500, 0) : at + 200]


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_request_over_http_is_repeated_whatever_comes_of_it(
    built: House, http: httpx.Client, routes: list[tuple[str, str]], data: st.DataObject
) -> None:
    method, path = data.draw(st.sampled_from(routes))
    names = st.sampled_from([MODEL, MARK, "1"])
    for each in ("name", "version", "job"):
        path = path.replace(f"{{{each}}}", data.draw(names))
    headers = {"content-type": data.draw(st.sampled_from(TYPES))}
    headers |= {each: HEADERS[each] for each in data.draw(st.sets(st.sampled_from(sorted(HEADERS)), max_size=3))}
    query = data.draw(st.sampled_from(["", f"?version={MARK}", f"?callback=https://{MARK}/", f"?state={MARK}"]))

    http.request(method, path + query, content=data.draw(st.sampled_from(BODIES)).encode(), headers=headers)

    silent(built)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_call_over_grpc_is_repeated_whatever_comes_of_it(
    built: House, channel: grpc.Channel, data: st.DataObject
) -> None:
    some = st.sampled_from([MARK, "rows", "x"])
    contents = pb.InferTensorContents(bytes_contents=[MARK.encode()])
    tensor = pb.ModelInferRequest.InferInputTensor(
        name=data.draw(some), datatype=data.draw(st.sampled_from([MARK, "BYTES", "FP64"])), shape=[1], contents=contents
    )
    request = pb.ModelInferRequest(
        model_name=data.draw(st.sampled_from([MODEL, MARK])),
        id=MARK,
        model_version=data.draw(st.sampled_from(["", MARK])),
    )
    request.inputs.extend([tensor])
    request.parameters[MARK].string_param = MARK
    inference, own = GRPCInferenceServiceStub(channel), PredictionsStub(channel)  # type: ignore[no-untyped-call]
    asked = slipway_pb2.PredictStreamRequest(infer=request)
    calls = [
        lambda metadata: inference.ModelInfer(request, metadata=metadata),
        lambda metadata: list(inference.ModelStreamInfer(iter([request, request]), metadata=metadata)),
        lambda metadata: list(own.PredictStream(asked, metadata=metadata)),
        lambda metadata: inference.ModelMetadata(pb.ModelMetadataRequest(name=MARK), metadata=metadata),
    ]
    metadata = [("x-request-id", f"not sane {MARK}"), ("authorization", MARK), ("tracestate", MARK)]
    call = data.draw(st.sampled_from(calls))
    with suppress(grpc.RpcError):
        call(metadata)

    silent(built)


def test_every_line_about_a_request_says_whose_it_was(built: House, http: httpx.Client) -> None:
    mine = {"traceparent": TRACEPARENT}
    http.post("/invocations", json=rows(1.0), headers={**mine, "x-request-id": "good"})
    http.post("/invocations", json={}, headers={**mine, "x-request-id": "bad"})
    http.get(f"/v2/models/{MODEL}", headers={**mine, "x-request-id": "other"})
    in_lines = {"x-request-id": "lines", "content-type": "application/x-ndjson"}
    http.post("/invocations", content=b'{"x": 1, "size": 1}\n' * 3, headers={**mine, **in_lines})

    whose = {"trace_id": TRACE, "model": MODEL, "version": 1, "protocol": "rest"}
    for name, event, about in (
        ("good", "request answered", {"status": 200, "route": "/invocations", "level": "info"}),
        ("bad", "request refused", {"status": 400, "route": "/invocations", "code": "invalid-input", "level": "info"}),
        ("other", "request answered", {"status": 200, "route": "/v2/models/{name}"}),
        ("lines", "request answered", {"status": 200, "route": "/invocations"}),
    ):
        told = told_of(built, name, event)
        assert told | whose | about == told
        assert told["ms"] > 0


def test_every_line_about_a_call_says_whose_it_was(built: House, channel: grpc.Channel) -> None:
    stub = GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call]  # generated
    request = pb.ModelInferRequest(model_name=MODEL)
    with pytest.raises(grpc.RpcError):
        stub.ModelInfer(request, metadata=[("x-request-id", "call"), ("traceparent", TRACEPARENT)])

    told = told_of(built, "call", "request refused")

    expected = {"trace_id": TRACE, "model": MODEL, "version": 1, "protocol": "grpc", "route": "ModelInfer"}
    assert told | expected | {"status": "INVALID_ARGUMENT", "code": "invalid-input"} == told


def test_the_end_of_a_job_says_which_request_it_came_with(built: House, http: httpx.Client) -> None:
    job = submit(http, 1.5, headers={"x-request-id": "job-asked", "traceparent": TRACEPARENT})
    assert ended(http, job)["state"] == "succeeded"

    told = told_of(built, "job-asked", "job ended")

    assert told | {"job": job["id"], "trace_id": TRACE, "model": MODEL, "version": 1, "state": "succeeded"} == told


def test_by_default_only_what_was_refused_has_a_line(tmp_path: Path) -> None:
    with house(tmp_path) as made:
        with made.serving() as http:
            for name, body in (("good", rows(1.0)), ("bad", {})):
                http.post("/invocations", json=body, headers={"x-request-id": name})
            told_of(made, "bad", "request refused")

        assert not [line for line in lines(made) if line.get("request_id") == "good"]
