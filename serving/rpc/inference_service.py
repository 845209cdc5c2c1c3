"""`inference.GRPCInferenceService`: the Open Inference Protocol, with Triton's bidirectional stream."""

# ruff: noqa: N802 - the methods have the protocol's names

import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing

from serving import __version__, interface
from serving.access import needs
from serving.access.guard import Guard
from serving.access.needs import Need
from serving.engine import Call, Engine
from serving.errors import CallerError, NotReady
from serving.inference import ask, rows_for, rows_of, served_as, served_soon
from serving.interface import TensorInfo
from serving.lineup import Served
from serving.protocol import Rows
from serving.rpc.codec import params_of, response_of, tensors_of
from serving.rpc.exchange import Exchange, Question
from serving.rpc.generated import open_inference_pb2 as pb
from serving.rpc.generated.open_inference_pb2_grpc import GRPCInferenceServiceServicer
from serving.rpc.ordered import ordered
from serving.rpc.status import answers, code_of, sentence, streams

Params = dict[str, object] | None
_Info = pb.ModelMetadataResponse.TensorMetadata


class InferenceService(GRPCInferenceServiceServicer):
    def __init__(self, engine: Engine, guard: Guard | None = None, *, ahead: int) -> None:
        """`ahead`: of one stream, how many messages are worked on at a time."""
        self.engine, self.guard, self._ahead = engine, guard, ahead

    @answers
    async def ServerLive(self, _request: pb.ServerLiveRequest, _exchange: Exchange) -> pb.ServerLiveResponse:
        return pb.ServerLiveResponse(live=True)

    @answers
    async def ServerReady(self, _request: pb.ServerReadyRequest, _exchange: Exchange) -> pb.ServerReadyResponse:
        return pb.ServerReadyResponse(ready=not self.engine.lineup.why_not_ready())

    @answers
    async def ModelReady(self, request: pb.ModelReadyRequest, exchange: Exchange) -> pb.ModelReadyResponse:
        exchange.admit(Need(model=request.name))
        try:
            exchange.answered_by(served_as(self.engine.lineup, request.name, request.version))
        except NotReady:
            return pb.ModelReadyResponse(ready=False)
        return pb.ModelReadyResponse(ready=True)

    @answers
    async def ServerMetadata(self, _request: pb.ServerMetadataRequest, exchange: Exchange) -> pb.ServerMetadataResponse:
        exchange.admit(Need())
        return pb.ServerMetadataResponse(name="slipway", version=__version__, extensions=["model_stream_infer"])

    @answers
    async def ModelMetadata(self, request: pb.ModelMetadataRequest, exchange: Exchange) -> pb.ModelMetadataResponse:
        exchange.admit(Need(model=request.name))
        served = await served_soon(self.engine.lineup, request.name, request.version)
        exchange.answered_by(served)
        return pb.ModelMetadataResponse(
            name=served.version.name,
            versions=[str(served.version.number)],
            platform=served.model.platform,
            inputs=[_info(each) for each in interface.inputs(served.model.signature)],
            outputs=[_info(each) for each in interface.outputs(served.model)],
        )

    @answers
    async def ModelInfer(self, request: pb.ModelInferRequest, exchange: Exchange) -> pb.ModelInferResponse:
        return await infer(self.engine, request, exchange, exchange.question)

    @streams
    async def ModelStreamInfer(
        self, requests: AsyncIterator[pb.ModelInferRequest], exchange: Exchange
    ) -> AsyncGenerator[pb.ModelStreamInferResponse, None]:
        async def one(request: pb.ModelInferRequest) -> pb.ModelStreamInferResponse:
            await exchange.recognise_again()  # whoever is known no more has no stream
            question = exchange.message()
            try:
                response = await infer(self.engine, request, exchange, question)
                answer = pb.ModelStreamInferResponse(infer_response=response)
                question.ended()
            except Exception as error:  # noqa: BLE001 - a boundary of its own: the stream goes on
                question.ended(code_of(error))
                answer = pb.ModelStreamInferResponse(error_message=sentence(error, question))
                answer.infer_response.id = request.id
            # Every request has one answer, so each is the last one of its request.
            answer.infer_response.parameters["triton_final_response"].bool_param = True
            return answer

        async with aclosing(ordered(requests, one, ahead=self._ahead)) as every:
            async for answer in every:
                yield answer


async def infer(
    engine: Engine, request: pb.ModelInferRequest, exchange: Exchange, question: Question
) -> pb.ModelInferResponse:
    """The answer to one message; raw when its inputs were, as Triton's always are. Errors as ServingError."""
    call = exchange.call()
    served = await answerer(engine, request, exchange, call)
    question.served, question.call, call.trace = served, call, question.sampled
    began = time.perf_counter()
    rows = read(served, request, params_of(request), call)
    call.decode = time.perf_counter() - began
    outputs = await ask(engine, served, rows, [each.name for each in request.outputs], call)
    began = time.perf_counter()
    response = response_of(served, request.id, outputs, raw=bool(request.raw_input_contents))
    call.encode = time.perf_counter() - began
    return response


async def answerer(engine: Engine, request: pb.ModelInferRequest, exchange: Exchange, call: Call) -> Served:
    """The version that answers; `call` is a sample from here on, where that is part of a trial."""
    name, version = request.model_name, request.model_version
    exchange.admit(needs.prediction(name))
    served = await served_soon(engine.lineup, name, version)
    if not version and (standing := engine.lineup.standing(name)).candidate is not None:
        served = engine.pick(standing, served, exchange.key(engine.key_header), call)
    exchange.answered_by(served)
    return served


def read(served: Served, request: pb.ModelInferRequest, params: Params, call: Call) -> Rows:
    """The rows of a message. InvalidInput."""
    tensors = tensors_of(request)
    if call.sample is None:
        return rows_of(served, tensors, params)
    call.sample.asked(lambda model: rows_for(model, tensors, params), sum(array.nbytes for _, array in tensors))
    try:
        return rows_of(served, tensors, params)
    except CallerError as error:
        call.sample.refused(error)
        raise


def _info(each: TensorInfo) -> _Info:
    return _Info(name=each.name, datatype=each.datatype, shape=each.shape)
