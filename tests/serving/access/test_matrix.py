"""Every route, over every protocol, asked by everybody: who may, and who may not.

The routes are those that the servers themselves list. What each needs is written down here once more: a new route must
be given a line, or this fails.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from grpc import StatusCode
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from serving.access.guard import Guard
from serving.access.issuer import IssuerKeys
from serving.access.keys import Keys
from serving.access.rates import Rates
from serving.access.scopes import Scope
from serving.access.tokens import Expected, Tokens
from serving.app import More, build
from serving.engine import Engine
from serving.jobs.opening import Opening
from serving.lineup import Lineup, Served, Standing
from serving.rest import webhook
from serving.rpc.generated import open_inference_pb2, slipway_pb2
from serving.settings import Jobs
from tests import fakes
from tests.serving.access.conftest import AUDIENCE, ISSUER, Issuer, MakeKey
from tests.serving.tensor_models import TensorModel

OPEN, KNOWN, OF_MODEL = "open", "known", "of its model"
JOBS, PREDICT, METRICS = "jobs", "predict", "metrics"

REST = {
    "/ping": OPEN,
    "/health": OPEN,
    "/version": KNOWN,
    "/metrics": METRICS,
    "/invocations": PREDICT,
    "/v1/models/{name}/invocations": PREDICT,
    "/v1/models/{name}/jobs": JOBS,
    "/v1/models/{name}/jobs/{job}": JOBS,
    "/v1/models/{name}/jobs/{job}/result": JOBS,
    "/v1/models/{name}/jobs/{job}/retry": JOBS,
    "/v1/webhooks/mlflow": OPEN,  # signed instead: tests/serving/rest/test_webhook.py
    "/v2": KNOWN,
    "/v2/health/live": OPEN,
    "/v2/health/ready": OPEN,
    "/v2/models/{name}": OF_MODEL,
    "/v2/models/{name}/infer": PREDICT,
    "/v2/models/{name}/ready": OF_MODEL,
    "/v2/models/{name}/versions/{version}": OF_MODEL,
    "/v2/models/{name}/versions/{version}/infer": PREDICT,
    "/v2/models/{name}/versions/{version}/ready": OF_MODEL,
}
UNLISTED = dict.fromkeys(("/docs", "/redoc", "/not/there", "/v1/models/{name}/else"), KNOWN)
UNLISTED["/openapi.json"] = OF_MODEL  # of the first one, which it describes

GRPC = {
    "ServerLive": OPEN,
    "ServerReady": OPEN,
    "ModelReady": OF_MODEL,
    "ServerMetadata": KNOWN,
    "ModelMetadata": OF_MODEL,
    "ModelInfer": PREDICT,
    "ModelStreamInfer": PREDICT,
    "Predict": PREDICT,
    "PredictStream": PREDICT,
    "PredictCollect": PREDICT,
    "Check": OPEN,
    "Watch": OPEN,
    "ServerReflectionInfo": KNOWN,
}


@dataclass(frozen=True)
class Asker:
    """`scopes` None: not known, however it says so."""

    name: str
    headers: dict[str, str]
    scopes: tuple[str, ...] | None

    def may(self, need: str) -> bool:
        """About the model iris."""
        if need == OPEN:
            return True
        if self.scopes is None:
            return False
        if need == KNOWN:
            return {each.partition(":")[0] for each in self.scopes} != {METRICS}
        here = {scope for scope, _, model in (each.partition(":") for each in self.scopes) if model in ("", "iris")}
        if need == OF_MODEL:
            return bool(here - {METRICS})
        everywhere = {each for each in self.scopes if ":" not in each}
        return bool({need, "admin"} & (everywhere if need == METRICS else here))


@pytest.fixture
def askers(make_key: MakeKey, issuer: Issuer) -> list[Asker]:
    sets = [(each.value,) for each in Scope]
    sets += [(f"{each}:{model}",) for each in Scope for model in ("iris", "wine")]
    found = [
        Asker("nobody", {}, None),
        Asker("basic", {"authorization": "Basic aXJpczppcmlz"}, None),
        Asker("an invented key", {"authorization": "Bearer slipway_0123456789ab_secret"}, None),
        Asker("an expired key", {"x-api-key": make_key("admin", expires_in=-1)}, None),
        Asker("an expired token", {"authorization": f"Bearer {issuer.token('admin', exp=1)}"}, None),
        Asker("no scope", {"authorization": f"Bearer {issuer.token('')}"}, ()),
    ]
    for scopes in sets:
        found.append(Asker(f"key {scopes}", {"x-api-key": make_key(*scopes)}, scopes))
        token = issuer.token(" ".join(scopes))
        found.append(Asker(f"token {scopes}", {"authorization": f"Bearer {token}"}, scopes))
    return found


@pytest.fixture
def guard(askers: list[Asker], key_path: Path, issuer: Issuer) -> Guard:
    assert askers  # their keys are in the file by now
    tokens = Tokens(Expected(ISSUER, AUDIENCE), IssuerKeys(str(issuer.path)))
    return Guard(Keys(key_path), tokens, Rates(None, 1))


@pytest.fixture
def engine(lineup: Lineup) -> Iterator[Engine]:
    for name in ("iris", "wine"):
        lineup.put(Standing(name, Served(fakes.a_version(1, name=name), TensorModel())))
    made = Engine(lineup)
    yield made
    made.close()


@pytest.fixture
async def http(engine: Engine, guard: Guard, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    opening = Opening(Jobs(database=f"sqlite:///{tmp_path}/jobs.sqlite"))
    front = build(engine, more=More((webhook.router("a secret of the webhook", print),), opening, guard))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(front), base_url="http://slipway") as client:
        yield client


async def test_every_route_lets_in_exactly_whom_it_should_over_http(
    http: httpx.AsyncClient, askers: list[Asker]
) -> None:
    admin = next(each for each in askers if each.scopes == ("admin",))
    document = (await http.get("/openapi.json", headers=admin.headers)).json()
    assert set(document["paths"]) == set(REST), "a route without a line here, or a line without a route"

    wrong = []
    for path, need in (REST | UNLISTED).items():
        place = path.format(name="iris", version="1", job="7")
        for method in document["paths"].get(path, {"get": {}}):
            for asker in askers:
                answer = await http.request(method, place, headers=asker.headers, content=b"{}")
                refused = answer.status_code in (401, 403) and path != "/v1/webhooks/mlflow"
                unknown = asker.scopes is None
                fits = answer.status_code == (401 if unknown else 403) if refused else True
                if refused == asker.may(need) or not fits:
                    wrong.append((method, path, asker.name, answer.status_code))
    assert wrong == []


@pytest.mark.parametrize("end", ["%0A", "%0D", "%00", "%7F"])
async def test_no_path_is_another_one_by_what_cannot_be_seen_of_it(
    http: httpx.AsyncClient, askers: list[Asker], end: str
) -> None:
    """A pattern that ends with `$` matches before a line's end as well; so its route had another need than its path."""
    let_in = []
    for path in REST | UNLISTED:
        place = path.format(name="iris", version="1", job="7") + end
        for asker in askers:
            answer = await http.get(place, headers=asker.headers)
            if answer.status_code not in (401, 403, 404) or "x-request-id" not in answer.headers:
                let_in.append((path, asker.name, answer.status_code))
    assert let_in == []


async def test_a_caller_hears_of_the_models_it_has_a_scope_for(http: httpx.AsyncClient, askers: list[Asker]) -> None:
    expected = {("predict:wine",): ["wine"], ("jobs:iris",): ["iris"], ("predict",): ["iris", "wine"], (): []}
    told = {each.scopes: (await http.get("/v2", headers=each.headers)).json().get("models") for each in askers}

    assert {scopes: told[scopes] for scopes in expected} == expected


async def test_a_refusal_says_how_to_be_let_in_and_repeats_no_key(http: httpx.AsyncClient, make_key: MakeKey) -> None:
    key = make_key("predict")  # later than the server read its file

    answer = await http.post("/invocations", headers={"authorization": f"Bearer {key}"}, content=b"{}")

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert answer.json()["type"] == "urn:slipway:problem:unauthenticated"
    assert answer.headers["x-request-id"] == answer.json()["request_id"]
    assert key[10:] not in answer.text


async def test_a_request_that_becomes_a_job_needs_the_scope_of_jobs(
    http: httpx.AsyncClient, askers: list[Asker]
) -> None:
    for asker in askers:
        headers = {**asker.headers, "prefer": "respond-async", "content-type": "application/json"}
        answer = await http.post("/invocations", headers=headers, content=b"{}")
        assert (answer.status_code in (401, 403)) != asker.may(JOBS), asker.name


def _messages() -> Iterator[tuple[str, str, bytes]]:
    """Service, method, and a message about iris, of every service there is."""
    for file in (open_inference_pb2, slipway_pb2, health_pb2, reflection_pb2):
        for service in file.DESCRIPTOR.services_by_name.values():
            for method in service.methods:
                message: Any = getattr(file, method.input_type.name)()
                inner = message.infer if "infer" in method.input_type.fields_by_name else message
                for field in ("model_name", "name"):
                    if field in type(inner).DESCRIPTOR.fields_by_name:
                        setattr(inner, field, "iris")
                yield service.full_name, method.name, message.SerializeToString()


async def test_every_method_lets_in_exactly_whom_it_should_over_grpc(address: str, askers: list[Asker]) -> None:
    methods = list(_messages())
    assert {name for _, name, _ in methods} == set(GRPC), "a method without a line here, or a line without a method"

    wrong = []
    # Not grpc.aio's: what it could not send because it was refused already, it tells as INTERNAL.
    with grpc.insecure_channel(address) as channel:
        statuses = [
            (method, asker, await asyncio.to_thread(_status, channel, f"/{service}/{method}", message, asker))
            for service, method, message in methods
            for asker in askers
        ]
    for method, asker, status in statuses:
        refused = status in (StatusCode.UNAUTHENTICATED, StatusCode.PERMISSION_DENIED)
        unknown = asker.scopes is None
        fits = status is (StatusCode.UNAUTHENTICATED if unknown else StatusCode.PERMISSION_DENIED) or not refused
        if refused == asker.may(GRPC[method]) or not fits:
            wrong.append((method, asker.name, status))
    assert wrong == []


def _status(channel: grpc.Channel, path: str, message: bytes, asker: Asker) -> StatusCode:
    """Of the call; or what the first message says, which in a stream of answers has its errors within."""
    method: Any = channel.stream_stream(path)  # whose stubs know no bytes
    call = method(iter([message]), metadata=tuple(asker.headers.items()), timeout=20)
    try:
        answer = next(call, None)
    except grpc.RpcError:
        answer = None
    if answer is None:
        found: StatusCode = call.code()
        return found
    call.cancel()
    return StatusCode.PERMISSION_DENIED if b"not good for" in answer else StatusCode.OK
