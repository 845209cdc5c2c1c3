"""Answer the body of an `infer` request of the Open Inference Protocol, its binary tensor extension included.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md#inference
Knows no FastAPI, so that a shorter way than its routing can call it too.
"""

import time
from asyncio import to_thread
from collections.abc import Mapping

from serving.engine import Call, Engine
from serving.inference import ask, rows_of
from serving.lineup import Served
from serving.protocol import Rows
from serving.rest import tensor_bodies
from serving.rest.tensor_bodies import HEADER_LENGTH, InferRequest

__all__ = ["HEADER_LENGTH", "infer"]

LONG_BODY = 256 << 10
"""Bytes of JSON; decoding more than this would hold up everybody else's request."""


async def infer(
    engine: Engine, served: Served, headers: Mapping[str, str], body: bytes, call: Call
) -> tuple[bytes, str, dict[str, str]]:
    """The body of the answer, its content type and the headers it needs besides. `headers` by lower-case name.

    InvalidInput, and the errors of `Engine.answer`. Sets the times of `call`.
    """
    began = time.perf_counter()
    length = headers.get(HEADER_LENGTH)
    if length is None and len(body) > LONG_BODY:
        request, rows = await to_thread(_read, served, body, length)
    else:
        request, rows = _read(served, body, length)
    call.decode = time.perf_counter() - began
    wanted = request.outputs or ()
    outputs = await ask(engine, served, rows, [each.name for each in wanted], call)
    began = time.perf_counter()
    answer = tensor_bodies.answer(served, request, outputs)
    call.encode = time.perf_counter() - began
    return answer


def _read(served: Served, body: bytes, length: str | None) -> tuple[InferRequest, Rows]:
    request, data = tensor_bodies.parts(body, length)
    return request, rows_of(served, tensor_bodies.tensors(request.inputs, data), request.parameters)
