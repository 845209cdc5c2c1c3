"""MLflow's own scoring protocol, so that its clients work unchanged: one body in, MLflow's JSON answer out.

https://mlflow.org/docs/latest/ml/deployment/deploy-model-locally/#local-inference-server-spec
"""

import time
from asyncio import to_thread
from importlib import metadata

from fastapi import APIRouter, Response

from serving import invocations
from serving.engine import Call, Engine
from serving.lineup import Served
from serving.protocol import Answer, NotRows, Rows

router = APIRouter(tags=["MLflow scoring"])

LONG_BODY = 256 << 10
"""Bytes; decoding more than this would hold up everybody else's request."""
MANY_ROWS = 4096


def at_once(engine: Engine, served: Served, content: tuple[str, bytes], call: Call) -> bytes | Rows | None:
    """MLflow's answer to `content`, a media type and a body, where no waiting is needed.

    Else the rows, for `score`; or None, where decoding them would hold up others. Errors as there.
    """
    decoder = served.model.plan
    if decoder is None or not decoder.blocks or len(content[1]) > LONG_BODY:
        return None
    began = time.perf_counter()
    rows = invocations.rows(decoder, content)
    call.decode = time.perf_counter() - began
    answer = engine.at_once(served, rows, call)
    return rows if answer is None else _encoded(answer, call)


async def score(engine: Engine, served: Served, content: tuple[str, bytes, Rows | None], call: Call) -> bytes:
    """What `at_once` did not answer. Every error of the tree that a caller may meet."""
    media_type, body, rows = content
    decoder = served.model.plan
    if decoder is None or not decoder.blocks:
        return await engine.invoke(served, media_type, body, call)
    if rows is None:
        began = time.perf_counter()
        rows = await to_thread(invocations.rows, decoder, (media_type, body))
        call.decode = time.perf_counter() - began
    try:
        answer = await engine.answer(served, rows, call)
    except NotRows:  # only MLflow's own writer knows such answers
        return await engine.invoke(served, media_type, body, call)
    return _encoded(answer, call) if rows.count < MANY_ROWS else await to_thread(_encoded, answer, call)


def _encoded(answer: Answer, call: Call) -> bytes:
    began = time.perf_counter()
    text = invocations.encode(answer)
    call.encode = time.perf_counter() - began
    return text


def _mlflow_version() -> str:
    """Of the MLflow in this environment, whose protocol is spoken; empty where there is none."""
    for name in ("mlflow", "mlflow-skinny"):
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return ""


_MLFLOW = _mlflow_version()


@router.get("/ping", summary="Is the process up?")
@router.get("/health", summary="Is the process up?")
async def ping() -> Response:
    """Up, not ready: /v2/health/ready says whether a model answers."""
    return Response("\n", media_type="application/json")


@router.get("/version", summary="MLflow's version")
async def version() -> Response:
    """Bare text under MLflow's own content type, as its server answers."""
    return Response(_MLFLOW, media_type="application/json")
