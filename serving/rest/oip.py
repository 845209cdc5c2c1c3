"""The Open Inference Protocol's routes but `infer`, which is in `front.py`. https://github.com/kserve/open-inference-protocol"""

import time
from asyncio import to_thread
from typing import Any

from fastapi import APIRouter, Request

from serving import __version__, interface
from serving.errors import NotReady
from serving.inference import served_as, served_soon
from serving.interface import TensorInfo
from serving.lineup import Served, Standing
from serving.rest import trials
from serving.rest.context import EngineOf, TrialsOf, answered_by, knows

router = APIRouter(prefix="/v2", tags=["Open Inference Protocol"])


@router.get("", summary="Server metadata")
async def server(request: Request, engine: EngineOf, folder: TrialsOf) -> dict[str, Any]:
    standings, offline = list(engine.lineup), engine.lineup.offline
    ago = [each for standing in standings if (each := standing.read_seconds_ago(time.time())) is not None]
    shown = [each for each in standings if knows(request, each.name)]
    candidates = await to_thread(trials.members, shown, folder)
    return {
        "name": "slipway",
        "version": __version__,
        "extensions": ["binary_tensor_data"],
        # Slipway's own members. Models that the caller has a scope for; of all, the first is what /invocations asks.
        "models": [each.name for each in shown],
        # Of the model for which they are worst.
        "offline": offline,
        "stale": not offline and any(standing.stale for standing in standings),
        "registry_reachable": not offline and all(standing.reaches_registry for standing in standings),
        "registry_read_seconds_ago": max(ago) if len(ago) == len(standings) else None,
        "candidates": candidates,
    }


@router.get("/health/live", summary="Is the process up?")
async def live() -> dict[str, bool]:
    return {"live": True}


@router.get("/health/ready", summary="Does every model answer?")
async def ready(engine: EngineOf) -> dict[str, bool]:
    if why_not := engine.lineup.why_not_ready():
        raise NotReady(why_not)
    # The written protocol names the member `live`, KServe answers `ready`; clients look for either.
    return {"live": True, "ready": True}


@router.get("/models/{name}", summary="Model metadata")
@router.get("/models/{name}/versions/{version}", summary="Version metadata")
async def model(request: Request, engine: EngineOf, folder: TrialsOf, name: str, version: str = "") -> dict[str, Any]:
    await served_soon(engine.lineup, name)
    standing = engine.lineup.standing(name)
    told = _metadata(_served(request, engine, name, version), standing)
    told["candidate"] = await to_thread(trials.member, standing, folder)
    # Of a store that was filled elsewhere the last word is from then.
    return {**told, "registry_reachable": False} if engine.lineup.offline else told


@router.get("/models/{name}/ready", summary="Does this model answer?")
@router.get("/models/{name}/versions/{version}/ready", summary="Does this version answer?")
async def model_ready(request: Request, engine: EngineOf, name: str, version: str = "") -> dict[str, Any]:
    served = _served(request, engine, name, version)
    return {"name": served.version.name, "live": True, "ready": True}


def _served(request: Request, engine: EngineOf, name: str, version: str) -> Served:
    served = served_as(engine.lineup, name, version)
    answered_by(request, served)
    return served


def _metadata(served: Served, standing: Standing) -> dict[str, Any]:
    signature, refusal = served.model.signature, standing.refusal
    return {
        "name": served.version.name,
        "versions": _numbers(standing),
        "platform": served.model.platform,
        "inputs": [_tensor(each) for each in interface.inputs(signature)],
        "outputs": [_tensor(each) for each in interface.outputs(served.model)],
        # Slipway's own members from here on.
        "parameters": _parameters(served),
        "version": served.version.number,
        "runtime": served.model.runtime,
        "trust": served.trust,
        "tags": dict(served.version.tags),
        "disagreements": list(standing.disagreements),
        "last_refusal": refusal and {"version": refusal.number, "reason": refusal.reason},
        "stale": standing.stale,
        "registry_reachable": standing.reaches_registry,
        "registry_read_seconds_ago": standing.read_seconds_ago(time.time()),
    }


def _numbers(standing: Standing) -> list[str]:
    """Of all versions that can be asked by their number."""
    beside = standing.candidate.served if standing.candidate is not None else None
    return [str(each.version.number) for each in (standing.served, beside) if each is not None]


def _parameters(served: Served) -> dict[str, Any]:
    """`one_tensor`: what may be sent, under any name, instead of a tensor for each column."""
    table = interface.table(served.model.signature)
    return {"one_tensor": {"datatype": table.datatype, "shape": [-1, table.width]}} if table else {}


def _tensor(each: TensorInfo) -> dict[str, Any]:
    """A column is one tensor with a value a row; `parameters` keeps MLflow's type, which BYTES would hide."""
    tensor: dict[str, Any] = {"name": each.name, "datatype": each.datatype, "shape": list(each.shape)}
    return tensor if each.type is None else {**tensor, "parameters": {"type": each.type}}
