"""Answer the body of an `infer` request of the Open Inference Protocol, its binary tensor extension included.

https://github.com/kserve/open-inference-protocol/blob/main/specification/protocol/inference_rest.md#inference
Knows no FastAPI, so that a shorter way than its routing can call it too.
"""

import time
from asyncio import to_thread
from collections.abc import Mapping

from serving.engine import Call, Engine
from serving.inference import ask, rows_for
from serving.lineup import Served
from serving.protocol import Model, Rows
from serving.rest import tensor_bodies
from serving.rest.tensor_bodies import HEADER_LENGTH, InferRequest

__all__ = ["HEADER_LENGTH", "answer", "read", "rows"]

LONG_BODY = 256 << 10
"""Bytes of JSON; decoding more than this would hold up everybody else's request."""


Question = tuple[InferRequest, Rows]


async def read(served: Served, headers: Mapping[str, str], body: bytes, call: Call) -> Question:
    """What the body asks. `headers` by lower-case name. InvalidInput. Sets a time of `call`."""
    began = time.perf_counter()
    length = headers.get(HEADER_LENGTH)
    if length is None and len(body) > LONG_BODY:
        question = await to_thread(_read, served.model, body, length)
    else:
        question = _read(served.model, body, length)
    call.decode = time.perf_counter() - began
    return question


async def answer(engine: Engine, served: Served, question: Question, call: Call) -> tuple[bytes, str, dict[str, str]]:
    """The body of the answer, its content type and the headers it needs besides.

    InvalidInput, and the errors of `Engine.answer`. Sets times of `call`.
    """
    request, rows = question
    wanted = request.outputs or ()
    outputs = await ask(engine, served, rows, [each.name for each in wanted], call)
    began = time.perf_counter()
    found = tensor_bodies.answer(served, request, outputs)
    call.encode = time.perf_counter() - began
    return found


def rows(content: tuple[bytes, str | None], model: Model) -> Rows:
    """Of a body and the length of its JSON, as that model takes it. InvalidInput."""
    return _read(model, *content)[1]


def _read(model: Model, body: bytes, length: str | None) -> Question:
    request, data = tensor_bodies.parts(body, length)
    return request, rows_for(model, tensor_bodies.tensors(request.inputs, data), request.parameters)
