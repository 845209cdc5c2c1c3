import asyncio
from collections.abc import AsyncIterator
from typing import Any

import grpc
import numpy as np
import pytest
from grpc import StatusCode

from serving.lineup import Lineup
from serving.protocol import Answer, Rows
from serving.rpc.generated import open_inference_pb2 as pb
from serving.rpc.generated.open_inference_pb2_grpc import GRPCInferenceServiceStub
from tests.serving.rpc.conftest import OPTIONS, ROWS, Watched, a_request, labels
from tests.serving.tensor_models import Held, TensorModel, put


@pytest.fixture
def stub(channel: grpc.aio.Channel) -> GRPCInferenceServiceStub:
    return GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call]  # generated


async def refusal(call: "grpc.aio.UnaryUnaryCall[pb.ModelInferRequest, pb.ModelInferResponse]") -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return refused.value


async def test_an_answer_names_its_version_and_id(stub: GRPCInferenceServiceStub, lineup: Lineup) -> None:
    put(lineup)

    call = stub.ModelInfer(a_request(id="mine"), metadata=[("x-request-id", "trace-1")])
    answer = await call

    assert (answer.id, answer.model_name, answer.model_version) == ("mine", "iris", "7")
    assert [(each.name, each.datatype, list(each.shape)) for each in answer.outputs] == [("label", "INT64", [2])]
    assert labels(answer) == [6, 15]
    trailers = dict(await call.trailing_metadata())
    assert trailers == {"x-request-id": "trace-1"}


async def test_contents_are_answered_by_contents(stub: GRPCInferenceServiceStub, lineup: Lineup) -> None:
    put(lineup)
    tensor = pb.ModelInferRequest.InferInputTensor(name="rows", datatype="FP64", shape=[2, 3])
    tensor.contents.fp64_contents.extend(ROWS.reshape(-1).tolist())

    answer = await stub.ModelInfer(a_request(inputs=[tensor], raw_input_contents=[]))

    assert list(answer.outputs[0].contents.int64_contents) == [6, 15]
    assert not answer.raw_output_contents


async def test_probabilities_are_a_parameter_or_an_output(stub: GRPCInferenceServiceStub, lineup: Lineup) -> None:
    put(lineup)
    by_parameter = a_request()
    by_parameter.parameters["predict_proba"].bool_param = True
    wanted = [pb.ModelInferRequest.InferRequestedOutputTensor(name=name) for name in ("predict_proba", "predict")]

    first, second = [await stub.ModelInfer(each) for each in (by_parameter, a_request(outputs=wanted))]

    assert [each.name for each in first.outputs] == ["predict_proba"]
    assert [each.name for each in second.outputs] == ["predict_proba", "predict"]
    assert first.raw_output_contents[0] == second.raw_output_contents[0]


REFUSED = [
    ({"model_name": "secret"}, StatusCode.NOT_FOUND, "unknown-model", "no such model here"),
    ({"model_name": "wine"}, StatusCode.UNAVAILABLE, "not-ready", "model 'wine' does not answer yet"),
    ({"model_version": "8"}, StatusCode.NOT_FOUND, "unknown-version", "that version of 'iris' is not served here"),
    ({"raw_input_contents": [b"secret"]}, StatusCode.INVALID_ARGUMENT, "invalid-input", "tensor 'rows': its shape"),
    ({"inputs": [], "raw_input_contents": []}, StatusCode.INVALID_ARGUMENT, "invalid-input", "column 'a' is missing"),
]


@pytest.mark.parametrize(("changes", "expected"), [(changes, expected) for changes, *expected in REFUSED])
async def test_a_refusal_has_a_status_a_code_and_a_reason(
    stub: GRPCInferenceServiceStub, lineup: Lineup, changes: dict[str, Any], expected: tuple[StatusCode, str, str]
) -> None:
    put(lineup)
    status, code, reason = expected

    error = await refusal(stub.ModelInfer(a_request(**changes)))

    assert error.code() is status
    assert (error.details() or "").startswith(reason)
    trailers = dict(error.trailing_metadata())
    assert trailers["x-error-code"] == code
    assert trailers["x-request-id"]
    assert (trailers.get("x-model-version") == "7") == (status is StatusCode.INVALID_ARGUMENT)
    assert "secret" not in str(error)


async def test_a_crash_is_internal_and_says_nothing(
    stub: GRPCInferenceServiceStub, lineup: Lineup, caplog: pytest.LogCaptureFixture
) -> None:
    def unheard_of(_rows: Rows) -> Answer:
        return Answer((object(),))  # type: ignore[arg-type]  # no array: what follows crashes

    put(lineup, TensorModel(answers=unheard_of))

    error = await refusal(stub.ModelInfer(a_request()))

    assert (error.code(), error.details()) == (
        StatusCode.INTERNAL,
        "something went wrong here; the log has the cause",
    )
    assert dict(error.trailing_metadata())["x-error-code"] == "internal-error"
    assert "AttributeError" in caplog.text + str([record.__dict__ for record in caplog.records])


async def test_the_callers_deadline_is_the_engines(
    stub: GRPCInferenceServiceStub, engine: Watched, lineup: Lineup
) -> None:
    held = Held()
    put(lineup, TensorModel(answers=held), inline_rows=0)
    first = stub.ModelInfer(a_request())
    assert await asyncio.to_thread(held.started.wait, 20)
    second = stub.ModelInfer(a_request(), timeout=1)
    await engine.has(under_way=2)

    error = await refusal(second)
    await engine.has(under_way=1)  # the caller's own clock may be the first to say so
    held.release.set()

    assert error.code() is StatusCode.DEADLINE_EXCEEDED
    assert [call.deadline is not None for call in engine.calls] == [False, True]
    assert labels(await first) == [6, 15]
    assert held.seen == [2]  # nobody predicted for who had gone


async def test_a_caller_who_hangs_up_leaves_the_queue(
    stub: GRPCInferenceServiceStub, engine: Watched, lineup: Lineup
) -> None:
    held = Held()
    put(lineup, TensorModel(answers=held), inline_rows=0)
    first = stub.ModelInfer(a_request(np.ones((1, 3))))
    assert await asyncio.to_thread(held.started.wait, 20)
    second, third = [stub.ModelInfer(a_request(np.ones((rows, 3)))) for rows in (2, 3)]
    await engine.has(under_way=3)

    second.cancel()
    await engine.has(under_way=2)
    held.release.set()
    await asyncio.gather(first, third)

    assert held.seen == [1, 3]


async def test_a_message_that_is_too_large_is_refused(stub: GRPCInferenceServiceStub, lineup: Lineup) -> None:
    put(lineup)

    error = await refusal(stub.ModelInfer(a_request(np.ones((50_000, 3)))))

    assert error.code() is StatusCode.RESOURCE_EXHAUSTED


async def test_what_the_server_says_of_itself_and_its_models(stub: GRPCInferenceServiceStub, lineup: Lineup) -> None:
    put(lineup)

    assert (await stub.ServerLive(pb.ServerLiveRequest())).live
    assert not (await stub.ServerReady(pb.ServerReadyRequest())).ready  # `wine` is not
    assert (await stub.ModelReady(pb.ModelReadyRequest(name="iris", version="7"))).ready
    assert not (await stub.ModelReady(pb.ModelReadyRequest(name="wine"))).ready
    assert (await stub.ServerMetadata(pb.ServerMetadataRequest())).name == "slipway"
    told = await stub.ModelMetadata(pb.ModelMetadataRequest(name="iris"))
    assert [(each.name, each.datatype, list(each.shape)) for each in told.inputs] == [
        (name, "FP64", [-1]) for name in "abc"
    ]
    assert [each.name for each in told.outputs] == ["label", "predict_proba"]
    assert (list(told.versions), told.platform) == (["7"], "mlflow_fake")


async def test_a_stream_answers_in_order_and_survives_a_bad_message(
    stub: GRPCInferenceServiceStub, lineup: Lineup
) -> None:
    put(lineup)
    good, bad = a_request(id="good"), a_request(id="bad", raw_input_contents=[b"secret"])

    async def messages() -> AsyncIterator[pb.ModelInferRequest]:
        for each in [good, bad] * 20:
            yield each

    answers = [each async for each in stub.ModelStreamInfer(messages())]

    assert [each.infer_response.id for each in answers] == ["good", "bad"] * 20
    assert [bool(each.error_message) for each in answers] == [False, True] * 20
    assert labels(answers[0].infer_response) == [6, 15]
    assert "secret" not in answers[1].error_message
    assert all(each.infer_response.parameters["triton_final_response"].bool_param for each in answers)


async def test_a_stream_reads_no_further_than_it_works(
    stub: GRPCInferenceServiceStub, engine: Watched, lineup: Lineup
) -> None:
    held = Held()
    put(lineup, TensorModel(answers=held, joins=False), inline_rows=0)

    async def messages() -> AsyncIterator[pb.ModelInferRequest]:
        for _ in range(50):
            yield a_request()

    answers = stub.ModelStreamInfer(messages())
    await engine.has(under_way=OPTIONS.stream_ahead)
    for _ in range(50):  # had it read on, it would have while these went there and back
        await stub.ServerLive(pb.ServerLiveRequest())
    held.release.set()

    assert len([each async for each in answers]) == 50
    assert engine.most_under_way == OPTIONS.stream_ahead
