"""The Open Inference Protocol's metadata and health routes. https://github.com/kserve/open-inference-protocol"""

from typing import Any

from fastapi import APIRouter, Request

from serving import __version__
from serving.errors import NotReady, UnknownVersion
from serving.lineup import Served, Standing
from serving.protocol import Column, Tensor
from serving.rest.context import EngineOf, answered_by

router = APIRouter(prefix="/v2", tags=["Open Inference Protocol"])

DATATYPES = {
    "boolean": "BOOL",
    "integer": "INT32",
    "long": "INT64",
    "float": "FP32",
    "double": "FP64",
    "bool": "BOOL",
    **{f"int{bits}": f"INT{bits}" for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": f"UINT{bits}" for bits in (8, 16, 32, 64)},
    **{f"float{bits}": f"FP{bits}" for bits in (16, 32, 64)},
}
"""By the type of a column or the dtype of a tensor; everything else travels as BYTES."""


@router.get("", summary="Server metadata")
async def server() -> dict[str, Any]:
    return {"name": "slipway", "version": __version__, "extensions": []}


@router.get("/health/live", summary="Is the process up?")
async def live() -> dict[str, bool]:
    return {"live": True}


@router.get("/health/ready", summary="Does every model answer?")
async def ready(engine: EngineOf) -> dict[str, bool]:
    waiting = [standing.why_not for standing in engine.lineup if standing.served is None]
    if waiting:
        raise NotReady("; ".join(waiting))
    # The written protocol names the member `live`, KServe answers `ready`; clients look for either.
    return {"live": True, "ready": True}


@router.get("/models/{name}", summary="Model metadata")
@router.get("/models/{name}/versions/{version}", summary="Version metadata")
async def model(request: Request, engine: EngineOf, name: str, version: str | None = None) -> dict[str, Any]:
    return _metadata(_served(request, engine, name, version), engine.lineup.standing(name))


@router.get("/models/{name}/ready", summary="Does this model answer?")
@router.get("/models/{name}/versions/{version}/ready", summary="Does this version answer?")
async def model_ready(request: Request, engine: EngineOf, name: str, version: str | None = None) -> dict[str, Any]:
    served = _served(request, engine, name, version)
    return {"name": served.version.name, "live": True, "ready": True}


def _served(request: Request, engine: EngineOf, name: str, version: str | None) -> Served:
    served = engine.lineup.served(name)
    if version not in {None, str(served.version.number)}:
        raise UnknownVersion(name, served.version.number)
    answered_by(request, served)
    return served


def _metadata(served: Served, standing: Standing) -> dict[str, Any]:
    signature, refusal = served.model.signature, standing.refusal
    return {
        "name": served.version.name,
        "versions": [str(served.version.number)],
        "platform": served.model.platform,
        "inputs": [_tensor(each, f"input-{at}") for at, each in enumerate(signature.inputs)],
        "outputs": [_tensor(each, "predictions") for each in signature.outputs],
        # Slipway's own members from here on.
        "version": served.version.number,
        "runtime": served.model.runtime,
        "tags": dict(served.version.tags),
        "disagreements": list(standing.disagreements),
        "last_refusal": refusal and {"version": refusal.number, "reason": refusal.reason},
        "registry_reachable": standing.registry_reachable,
    }


def _tensor(each: Column | Tensor, nameless: str) -> dict[str, Any]:
    """A column is one tensor with a value a row; `parameters` keeps MLflow's type, which BYTES would hide."""
    if isinstance(each, Tensor):
        return {
            "name": each.name or nameless,
            "datatype": DATATYPES.get(each.dtype, "BYTES"),
            "shape": list(each.shape),
        }
    datatype = DATATYPES.get(each.type, "BYTES")
    return {"name": each.name or nameless, "datatype": datatype, "shape": [-1], "parameters": {"type": each.type}}
