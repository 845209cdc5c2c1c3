"""Traces of the real `python -m serving` and of its job workers, as a collector gets them."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import numpy as np
import psutil
import pytest

from serving.rpc.generated import open_inference_pb2 as pb
from serving.rpc.generated import slipway_pb2
from serving.rpc.generated.open_inference_pb2_grpc import GRPCInferenceServiceStub
from serving.rpc.generated.slipway_pb2_grpc import PredictionsStub
from tests.servers import ROOT, eventually, free_port
from tests.serving.tracing.collector import Collector, Span, collecting
from tests.serving.working.house import MODEL, House, ended, house, rows, submit

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GIVEN = {"traceparent": f"00-{TRACE}-{CALLER}-01", "tracestate": "congo=t61rcWkgMzE,rojo=1"}
MARKER = "secret-payload"
SERVER, CONSUMER = 2, 5
PATH = "POST /invocations"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as made:
        yield made


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[House]:
    names = {"SERVING_TRACING__ENDPOINT": collector.url, "SERVING_TRACING__SERVICE": "tests"}
    with house(tmp_path_factory.mktemp("house"), SERVING_GRPC_PORT=str(free_port()), **names) as made:
        yield made


@pytest.fixture(scope="module")
def http(built: House) -> Iterator[httpx.Client]:
    with built.serving() as found:
        yield found


@pytest.fixture
def channel(built: House, http: httpx.Client) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(f"127.0.0.1:{built.env['SERVING_GRPC_PORT']}") as made:
        yield made


@pytest.fixture
def trace() -> str:
    """An id that no other test uses."""
    return f"{time.time_ns():032x}"


@pytest.fixture
def unwanted() -> str:
    """One more."""
    return f"{time.time_ns():032x}"


def given(trace: str) -> dict[str, str]:
    return {"traceparent": f"00-{trace}-{CALLER}-01"}


def of(collector: Collector, trace: str, name: str) -> Span:
    def look() -> Span | None:
        return next((each for each in list(collector.spans) if (each.trace, each.name) == (trace, name)), None)

    found = eventually(look)
    assert found is not None
    return found


def a_request(*values: float, **fields: object) -> pb.ModelInferRequest:
    table = np.array([[value, 1.0] for value in values])
    tensor = pb.ModelInferRequest.InferInputTensor(name="rows", datatype="FP64", shape=table.shape)
    return pb.ModelInferRequest(model_name=MODEL, inputs=[tensor], raw_input_contents=[table.tobytes()], **fields)  # type: ignore[arg-type]  # by field name


def test_a_request_continues_its_callers_trace_and_says_what_it_did(http: httpx.Client, collector: Collector) -> None:
    answer = http.post("/invocations", json=rows(1.5), headers={**GIVEN, "x-request-id": "mine"})
    assert answer.status_code == 200

    span = of(collector, TRACE, PATH)

    assert (span.parent, span.kind, span.failed, span.service) == (CALLER, SERVER, False, "tests")
    assert span.state == GIVEN["tracestate"]
    assert span.attributes == {
        "http.request.method": "POST",
        "url.scheme": "http",
        "network.protocol.version": "1.1",
        "server.address": "127.0.0.1",
        "server.port": int(http.base_url.port or 0),
        "http.route": "/invocations",
        "http.response.status_code": 200,
        "slipway.code": "ok",
        "slipway.request_id": "mine",
        "slipway.model": MODEL,
        "slipway.version": 1,
    }
    parts = collector.below(span)
    assert [each.name for each in parts] == ["decode", "predict", "encode"]
    assert parts[1].attributes["slipway.rows"] == 1
    ends = [span.began, *(at for each in parts for at in (each.began, each.ended)), span.ended]
    assert ends == sorted(ends)


@pytest.mark.parametrize(
    ("asked", "status", "code", "name"),
    [
        (("POST", "/invocations", f"{{{MARKER}"), 400, "invalid-input", "POST /invocations"),
        (
            ("POST", f"/v1/models/{MARKER}/invocations", "{}"),
            *(404, "unknown-model", "POST /v1/models/{name}/invocations"),
        ),
        (("POST", f"/v2/models/{MARKER}/infer", "{}"), 404, "unknown-model", "POST /v2/models/{name}/infer"),
        (("GET", f"/v2/models/{MODEL}", ""), 200, "ok", "GET /v2/models/{name}"),
        (("GET", f"/{MARKER}", ""), 404, "not-found", "GET"),
    ],
)
def test_refusals_are_told_and_nothing_that_was_sent(
    http: httpx.Client, collector: Collector, asked: tuple[str, str, str], *, status: int, code: str, name: str
) -> None:
    method, path, body = asked
    trace = f"{time.time_ns():032x}"
    headers = {**given(trace), "content-type": "application/json", "user-agent": MARKER}
    assert http.request(method, path, content=body, headers=headers).status_code == status

    span = of(collector, trace, name)

    assert (span.attributes["http.response.status_code"], span.attributes["slipway.code"]) == (status, code)
    assert not span.failed, "who is refused is at fault, not this server"
    assert MARKER not in repr(collector.spans)


def test_what_keeps_servers_up_is_not_traced(http: httpx.Client, collector: Collector, trace: str) -> None:
    for path in ("/ping", "/health", "/metrics", "/v2/health/ready", "/v2/health/live"):
        http.get(path, headers=given(trace))
    http.post("/invocations", json=rows(1.0), headers=given(trace))

    of(collector, trace, PATH)
    assert {each.name for each in collector.spans if each.trace == trace and each.kind == SERVER} == {PATH}


def test_a_stream_of_lines_is_one_request_with_its_predictions(
    http: httpx.Client, collector: Collector, trace: str
) -> None:
    lines = b"".join(b'{"x": %d.0, "size": 1.0}\n' % number for number in range(600))
    answer = http.post("/invocations", content=lines, headers={**given(trace), "content-type": "application/x-ndjson"})
    assert len(answer.text.splitlines()) == 600

    span = of(collector, trace, PATH)

    predictions = [each for each in collector.below(span) if each.name == "predict"]
    assert sum(each.attributes["slipway.rows"] for each in predictions) == 600
    assert not span.failed


def test_a_caller_who_does_not_want_its_trace_sampled_gets_its_way(
    http: httpx.Client, collector: Collector, trace: str, unwanted: str
) -> None:
    no = {"traceparent": f"00-{unwanted}-{CALLER}-00"}
    assert http.post("/invocations", json=rows(1.0), headers=no).status_code == 200
    assert http.post("/invocations", json=rows(1.0), headers=given(trace)).status_code == 200

    of(collector, trace, PATH)
    assert [each for each in collector.spans if each.trace == unwanted] == []


def test_a_unary_call_continues_its_callers_trace(channel: grpc.Channel, collector: Collector, trace: str) -> None:
    metadata = [*given(trace).items(), ("tracestate", "congo=1"), ("x-request-id", "mine")]
    GRPCInferenceServiceStub(channel).ModelInfer(a_request(1.0, 2.0), metadata=metadata)  # type: ignore[no-untyped-call]  # generated

    span = of(collector, trace, "inference.GRPCInferenceService/ModelInfer")

    assert (span.parent, span.state, span.kind, span.failed) == (CALLER, "congo=1", SERVER, False)
    assert span.attributes == {
        "rpc.system": "grpc",
        "rpc.service": "inference.GRPCInferenceService",
        "rpc.method": "ModelInfer",
        "rpc.grpc.status_code": 0,
        "slipway.code": "ok",
        "slipway.request_id": "mine",
        "slipway.model": MODEL,
        "slipway.version": 1,
    }
    assert [each.name for each in collector.below(span)] == ["decode", "predict", "encode"]


def test_a_refused_call_says_which_status(channel: grpc.Channel, collector: Collector, trace: str) -> None:
    with pytest.raises(grpc.RpcError):
        GRPCInferenceServiceStub(channel).ModelInfer(  # type: ignore[no-untyped-call]  # generated
            pb.ModelInferRequest(model_name=MARKER), metadata=[*given(trace).items()]
        )

    span = of(collector, trace, "inference.GRPCInferenceService/ModelInfer")

    assert span.attributes["rpc.grpc.status_code"] == grpc.StatusCode.NOT_FOUND.value[0]
    assert (span.attributes["error.type"], span.failed) == ("unknown-model", False)


def test_each_message_of_a_stream_is_a_part_of_its_call(
    channel: grpc.Channel, collector: Collector, trace: str
) -> None:
    sent = [a_request(1.0), a_request(2.0, 3.0), pb.ModelInferRequest(model_name="none")]
    stub = GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call]  # generated
    answers = list(stub.ModelStreamInfer(iter(sent), metadata=[*given(trace).items()]))
    assert len(answers) == 3

    call = of(collector, trace, "inference.GRPCInferenceService/ModelStreamInfer")

    messages = collector.below(call)
    assert [each.name for each in messages] == ["message"] * 3
    assert [each.failed for each in messages].count(True) == 1
    good = [each for each in messages if not each.failed]
    assert {part.name for each in good for part in collector.below(each)} == {"decode", "predict", "encode"}
    assert (call.parent, call.attributes["rpc.grpc.status_code"]) == (CALLER, 0)


def test_an_answer_in_parts_is_one_call(channel: grpc.Channel, collector: Collector, trace: str) -> None:
    asked = slipway_pb2.PredictStreamRequest(infer=a_request(*map(float, range(10))), rows_per_chunk=4)
    stub = PredictionsStub(channel)  # type: ignore[no-untyped-call]  # generated
    assert len(list(stub.PredictStream(asked, metadata=[*given(trace).items()]))) == 3

    call = of(collector, trace, "slipway.v1.Predictions/PredictStream")

    predictions = [each.attributes["slipway.rows"] for each in collector.below(call) if each.name == "predict"]
    assert predictions == [4, 4, 2]


def test_a_job_continues_the_trace_of_the_request_that_submitted_it(
    built: House, http: httpx.Client, collector: Collector, trace: str
) -> None:
    job = submit(http, 1.5, 2.5, headers={**given(trace), "tracestate": "congo=1", "x-request-id": "mine"})
    with built.workers():
        assert ended(http, job)["state"] == "succeeded"
        span = of(collector, trace, "job")

    request = of(collector, trace, "POST /v1/models/{name}/jobs")
    assert (request.parent, request.attributes["http.response.status_code"]) == (CALLER, 202)
    assert (span.parent, span.state, span.kind, span.failed) == (request.id, "congo=1", CONSUMER, False)
    assert span.attributes == {
        "slipway.job": job["id"],
        "slipway.job.start": 1,
        "slipway.model": MODEL,
        "slipway.version": 1,
        "slipway.state": "succeeded",
        "slipway.code": "ok",
        "slipway.request_id": "mine",
    }
    assert [each.name for each in collector.below(span)] == ["predict"]
    assert [each.name for each in collector.below(request)] == ["queue", "job"]


@pytest.mark.slow
def test_a_collector_that_is_down_slows_neither_requests_nor_the_end(tmp_path: Path) -> None:
    """It takes connections and never answers: worse than one that refuses them."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with house(tmp_path, SERVING_TRACING__ENDPOINT=endpoint) as made, made.serving() as http:
            until = time.monotonic() + 2.5  # longer than spans wait to be sent
            while time.monotonic() < until:
                assert http.post("/invocations", json=rows(1.0), timeout=3).status_code == 200
            serving = psutil.Process(made.supervisor)
            serving.terminate()
            assert serving.wait(6) == 0


@pytest.mark.slow
def test_a_collector_that_comes_back_is_told_again_and_the_log_says_both_once(tmp_path: Path) -> None:
    port = free_port()
    with (
        house(tmp_path, SERVING_TRACING__ENDPOINT=f"http://127.0.0.1:{port}/v1/traces") as made,
        made.serving() as http,
    ):
        log = tmp_path / "serving.log"

        def told(event: str) -> bool:
            http.post("/invocations", json=rows(1.0))
            return event in log.read_text()

        eventually(lambda: told("traces not exported"), seconds=30)
        with collecting(port) as collector:
            eventually(lambda: told("traces are exported again"), seconds=30)
            assert collector.paths == {"/v1/traces"}
            assert collector.named(PATH)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    events = [(each["event"], each["collector"]) for each in lines if "traces" in each["event"]]
    assert events == [(event, f"127.0.0.1:{port}") for event in ("traces not exported", "traces are exported again")]


@pytest.mark.slow
def test_without_an_endpoint_nobody_is_connected_to(tmp_path: Path) -> None:
    """Nor what OpenTelemetry's own names lead to."""
    with collecting() as collector, house(tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=collector.url) as made:
        with made.serving("--jobs") as http:
            assert http.post("/invocations", json=rows(1.0), headers=GIVEN).status_code == 200
            assert ended(http, submit(http, 1.5, headers=GIVEN))["state"] == "succeeded"

        assert collector.connections == 0


def test_without_an_endpoint_a_worker_imports_no_more_of_opentelemetry_than_fastapi_does(tmp_path: Path) -> None:
    program = """
import sys
from pathlib import Path
from serving import app, settings, worker
from serving.rpc import server
app.create(settings.read(), Path("nowhere/door"))
print([name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter"))])
"""
    with house(tmp_path) as made:
        command = [sys.executable, "-c", program]
        ran = subprocess.run(command, env=made.env, cwd=ROOT, capture_output=True, text=True, check=True)

    assert ran.stdout == "[]\n"
