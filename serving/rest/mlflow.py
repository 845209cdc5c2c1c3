"""The routes of MLflow's own scoring server, so that its clients work unchanged."""

from fastapi import APIRouter, Request, Response

from serving.errors import UnsupportedMedia
from serving.protocol import MEDIA_TYPES
from serving.rest.context import EngineOf, answered_by

router = APIRouter(tags=["MLflow scoring"])


@router.post("/invocations", summary="Predict")
async def invocations(request: Request, engine: EngineOf) -> Response:
    """Answers with the version that is Production now; x-model-version names it. Errors count rows from 1."""
    served = engine.lineup.served()
    answered_by(request, served)
    media_type = media_type_of(request.headers.get("content-type", ""))
    answer = await engine.invoke(served, media_type, await request.body())
    return Response(answer, media_type="application/json")


def media_type_of(content_type: str) -> str:
    """Without its parameters. UnsupportedMedia for what MLflow's server answers 415 to, and for none at all."""
    media_type, *parameters = (part.strip().lower() for part in content_type.split(";"))
    if media_type not in MEDIA_TYPES or any(each != "charset=utf-8" for each in parameters):
        raise UnsupportedMedia(MEDIA_TYPES)
    return media_type


@router.get("/ping", summary="Is the process up?")
@router.get("/health", summary="Is the process up?")
async def ping() -> Response:
    """Up, not ready: /v2/health/ready says whether a model answers."""
    return Response("\n", media_type="application/json")


@router.get("/version", summary="MLflow's version")
async def version(request: Request) -> Response:
    """Bare text under MLflow's own content type, as its server answers."""
    return Response(request.app.state.mlflow_version, media_type="application/json")
