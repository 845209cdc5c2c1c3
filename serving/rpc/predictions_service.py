"""`slipway.v1.Predictions`: one large answer in chunks, and rows that arrive in parts."""

# ruff: noqa: N802 - the methods have the service's names

from collections.abc import AsyncGenerator, AsyncIterator

import numpy as np

from serving.access import needs
from serving.access.guard import Guard
from serving.engine import Engine
from serving.errors import InvalidInput, PredictionFailed
from serving.inference import Outputs, ask
from serving.protocol import Rows
from serving.rpc.codec import params_of, response_of
from serving.rpc.exchange import Exchange
from serving.rpc.generated import slipway_pb2 as pb
from serving.rpc.generated.slipway_pb2_grpc import PredictionsServicer
from serving.rpc.inference_service import answerer, infer, read
from serving.rpc.status import answers, streams

ROWS_PER_CHUNK = 256
"""Unless the caller says another number: what a batch takes."""


class PredictionsService(PredictionsServicer):
    def __init__(self, engine: Engine, guard: Guard | None = None) -> None:
        self.engine, self.guard = engine, guard

    @answers
    async def Predict(self, request: pb.PredictRequest, exchange: Exchange) -> pb.PredictResponse:
        return pb.PredictResponse(infer=await infer(self.engine, request.infer, exchange, exchange.question))

    @streams
    async def PredictStream(
        self, request: pb.PredictStreamRequest, exchange: Exchange
    ) -> AsyncGenerator[pb.PredictStreamResponse, None]:
        asked = request.infer
        call = exchange.call()
        served = await answerer(self.engine, asked, exchange, call)
        rows = read(served, asked, params_of(asked), call)
        self.engine.refuse_many(rows.count)
        wanted, raw = [each.name for each in asked.outputs], bool(asked.raw_input_contents)
        size = request.rows_per_chunk or ROWS_PER_CHUNK
        if call.sample is not None:  # its parts are asked for, which are not to be read anew
            call.sample.question = None
        for first in range(0, rows.count, size):
            await exchange.recognise_again()  # a caller may take them slowly
            outputs = await ask(self.engine, served, _part(rows, first, size), wanted, exchange.call(call))
            response = response_of(served, asked.id, outputs, raw=raw)
            yield pb.PredictStreamResponse(infer=response, first_row=first)

    @answers
    async def PredictCollect(
        self, requests: AsyncIterator[pb.PredictCollectRequest], exchange: Exchange
    ) -> pb.PredictCollectResponse:
        asked = served = None
        parts: list[Outputs] = []
        count = 0
        async for request in requests:
            if asked is None or served is None:
                asked = request.infer
                call = exchange.call()
                served = await answerer(self.engine, asked, exchange, call)
                params, wanted = params_of(asked), [each.name for each in asked.outputs]
            else:
                await exchange.admit_more(needs.prediction(asked.model_name))
            rows = read(served, request.infer, params, call)
            count += rows.count
            self.engine.refuse_many(count)
            parts.append(await ask(self.engine, served, rows, wanted, exchange.call(call)))
        if asked is None or served is None:
            raise InvalidInput("the stream ended before the first message")
        raw = bool(asked.raw_input_contents)
        return pb.PredictCollectResponse(infer=response_of(served, asked.id, _joined(parts), raw=raw), rows=count)


def _part(rows: Rows, first: int, size: int) -> Rows:
    blocks = tuple(block[first : first + size] for block in rows.blocks)
    return Rows(blocks, len(blocks[0]), rows.method, rows.params, rows.names)


def _joined(parts: list[Outputs]) -> Outputs:
    """All rows of each output, in order."""
    try:
        return [(same[0][0], np.concatenate([array for _, array in same])) for same in zip(*parts, strict=True)]
    except ValueError as error:  # the model answered parts of one table with different widths
        raise PredictionFailed from error
