"""A candidate in the real server: MLflow's tag drives it, workers try it, the syncer judges it."""

import json
import sys
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import grpc
import httpx
import mlflow
import numpy as np
import pytest
from mlflow.exceptions import MlflowException
from mlflow.models import ModelSignature, set_signature
from mlflow.pyfunc.model import PythonModel
from mlflow.types import ColSpec, DataType, Schema

from serving.protocol import Trial
from serving.rpc.generated import open_inference_pb2 as pb
from serving.rpc.generated.open_inference_pb2_grpc import GRPCInferenceServiceStub
from serving.trials.traffic import on_canary
from tests.fakes import a_version
from tests.servers import Server, Stack, eventually, free_port, server
from tests.serving.conftest import Registrar, quiet, rows, slope

pytestmark = pytest.mark.slow

KEYS = [f"tenant-{number}" for number in range(60)]
PATIENT = {"SERVING_CANDIDATE__MAX_P99_RATIO": "1000"}
"""A machine that many tests share is slow by chance."""

with warnings.catch_warnings():  # MLflow asks for annotations, from which it would then infer another signature
    warnings.simplefilter("ignore")

    class Broken(PythonModel):
        """Loads, and raises on every row."""

        def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
            raise RuntimeError("cannot")


KEPT = httpx.Limits(max_keepalive_connections=None)
"""With fewer than threads, one thread's spare connection may be closed just as another is given it."""


@dataclass
class Delivery:
    """The real server with version 1 in Production, and whoever changes the tag."""

    registrar: Registrar
    server: Server
    http: httpx.Client
    grpc_port: int

    def say(self, version: int, mode: str, percent: float = 0, *, since_ms: int = 1) -> None:
        tag = {"version": str(version), "mode": mode, "percent": percent, "since_ms": since_ms}
        self.registrar.client.set_registered_model_tag(self.registrar.name, "slipway.candidate", json.dumps(tag))

    def trial(self, version: int, percent: float) -> Trial:
        return Trial(a_version(version, name=self.registrar.name), "canary", percent, 1)

    @property
    def candidate(self) -> dict[str, Any]:
        found = self.http.get(f"/v2/models/{self.registrar.name}").json()["candidate"]
        return found or {}

    def told(self, when: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """What is said of the candidate, once `when` is true of it."""
        eventually(lambda: when(self.candidate))
        return self.candidate

    def version(self, key: str) -> str:
        """That answers this caller, on whichever worker takes a new connection."""
        answer = httpx.post(f"{self.server.url}/invocations", json=rows(2.0), headers={"x-caller-key": key}, timeout=20)
        assert answer.status_code == 200, answer.text
        version: str = answer.headers["x-model-version"]
        assert answer.json()["predictions"] == pytest.approx([2.0 * int(version)])
        return version

    def versions(self, keys: Sequence[str]) -> list[str]:
        """That answer these callers, each with as many of the others beside it as there are threads."""
        with ThreadPoolExecutor(32) as callers:
            return list(callers.map(self.named, keys))

    def named(self, key: str) -> str:
        answer = self.http.post("/invocations", json=rows(2.0), headers={"x-caller-key": key})
        version: str = answer.headers["x-model-version"]
        assert answer.json()["predictions"] == pytest.approx([2.0 * int(version)])
        return version

    def untried(self) -> bool:
        found = httpx.get(f"{self.server.url}/v2/models/{self.registrar.name}", timeout=20)
        return found.is_success and found.json()["version"] == 1 and found.json()["candidate"] is None

    def everywhere(self, look: Callable[[], bool]) -> None:
        """Until every worker says so, as far as many new connections can tell."""
        eventually(lambda: all(look() for _ in range(15)), seconds=60)

    def over_grpc(self, key: str) -> str:
        tensors = [
            pb.ModelInferRequest.InferInputTensor(name=name, datatype="FP64", shape=[1]) for name in ("x", "size")
        ]
        request = pb.ModelInferRequest(
            model_name=self.registrar.name, inputs=tensors, raw_input_contents=[np.array([2.0]).tobytes()] * 2
        )
        with grpc.insecure_channel(f"127.0.0.1:{self.grpc_port}") as channel:
            stub = GRPCInferenceServiceStub(channel)  # type: ignore[no-untyped-call]  # generated
            answer = stub.ModelInfer(request, metadata=[("x-caller-key", key)], timeout=20)
        return str(answer.model_version)

    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.server.log.read_text().splitlines() if line.startswith("{")]

    def count(self, event: str, **fields: Any) -> int:
        """How often the log says so."""
        wanted = {"event": event, **fields}
        return sum(all(each.get(name) == value for name, value in wanted.items()) for each in self.events())


@pytest.fixture(scope="module")
def running(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Delivery]:
    """Two workers, over versions 1 and 2 of one model."""
    registrar, folder = Registrar(stack, "progressive"), tmp_path_factory.mktemp("progressive")
    for factor in (1, 2):
        registrar.register(slope(factor))
    registrar.stage(1)
    port, grpc_port = free_port(), free_port()
    env = {
        **stack.env,
        **PATIENT,
        "SERVING_PORT": str(port),
        "SERVING_GRPC_PORT": str(grpc_port),
        "SERVING_MODELS": registrar.name,
        "SERVING_POLL_SECONDS": "0.3",
        "SERVING_WORKERS": "2",
        "SERVING_ALLOW_CODE": "true",
        "SERVING_STORE": str(folder / "store"),
    }
    command = [sys.executable, "-m", "serving"]
    with (
        server("serving", command, port=port, env=env, folder=folder, ready="/ping") as serving,
        httpx.Client(base_url=serving.url, timeout=20, limits=KEPT) as http,
    ):
        yield Delivery(registrar, serving, http, grpc_port)


@pytest.fixture
def delivery(running: Delivery) -> Delivery:
    """Version 1 is Production, on every worker, and there is no candidate."""
    running.registrar.stage(1)
    with suppress(MlflowException):
        running.registrar.client.delete_registered_model_tag(running.registrar.name, "slipway.candidate")
    running.everywhere(running.untried)
    return running


def test_a_canary_answers_its_share_by_key_over_both_protocols_and_follows_the_percent(delivery: Delivery) -> None:
    delivery.say(2, "canary", 20)
    heard = next(key for key in KEYS if on_canary(delivery.trial(2, 20), key.encode()))
    delivery.everywhere(lambda: delivery.version(heard) == "2")

    for percent in (20, 70, 100, 0):
        delivery.say(2, "canary", percent)
        changed = [key for key in KEYS if on_canary(delivery.trial(2, percent), key.encode())]
        expected = ["2" if key in changed else "1" for key in KEYS]
        delivery.everywhere(lambda want=percent: delivery.candidate["percent"] == want)  # type: ignore[misc]

        eventually(lambda want=expected: [delivery.version(key) for key in KEYS] == want, seconds=60)  # type: ignore[misc]
        assert [delivery.over_grpc(key) for key in KEYS[:20]] == expected[:20]

    assert delivery.count("candidate swapped", version=2) == 2  # once a worker, whatever the percent
    told = delivery.told(lambda candidate: candidate["requests"] >= 60)
    assert (told["version"], told["mode"], told["state"], told["errors"]) == (2, "canary", "running", 0)
    assert told["production"]["version"] == 1

    delivery.registrar.stage(2)
    delivery.everywhere(lambda: delivery.version("anybody") == "2")
    assert delivery.count("model swapped", version=2, seconds=0) == 2  # they had it loaded


def test_ten_percent_of_ten_thousand_callers_are_answered_by_the_canary_and_stay_there(delivery: Delivery) -> None:
    callers = [f"caller-{number}" for number in range(10_000)]
    delivery.say(2, "canary", 10)
    heard = next(key for key in callers if on_canary(delivery.trial(2, 10), key.encode()))
    delivery.everywhere(lambda: delivery.version(heard) == "2")

    named = delivery.versions(callers)

    assert 900 <= named.count("2") <= 1100
    assert delivery.versions(callers[:1000]) == named[:1000]


def test_a_shadow_answers_nobody_and_its_disagreement_is_counted(delivery: Delivery) -> None:
    delivery.say(2, "shadow")
    delivery.everywhere(lambda: bool(delivery.candidate) and delivery.candidate["state"] == "running")

    assert {delivery.version(key) for key in KEYS} == {"1"}

    told = delivery.told(lambda candidate: candidate["compared"] + candidate["dropped"] >= 60)
    assert told["compared"] == told["disagreed"] == told["requests"] > 0
    assert told["errors"] == 0
    assert told["p99_ms"] > 0
    (in_all,) = delivery.http.get("/v2").json()["candidates"]
    assert in_all["model"] == delivery.registrar.name


@pytest.mark.parametrize(("mode", "percent"), [("canary", 100), ("shadow", 0)])
def test_a_candidate_that_raises_on_every_row_is_taken_out_and_says_why(
    delivery: Delivery, mode: str, percent: float
) -> None:
    broken = log_broken(delivery.registrar)
    delivery.say(broken, mode, percent)
    eventually(lambda: delivery.candidate.get("state") == "running", seconds=60)

    def told_out() -> bool:
        httpx.post(f"{delivery.server.url}/invocations", json=rows(2.0), timeout=20)
        return bool(delivery.candidate["state"] == "out")

    eventually(told_out, seconds=30)

    assert {delivery.version(key) for key in KEYS[:20]} == {"1"}
    assert "requests failed" in delivery.candidate["reason"]
    assert delivery.candidate["errors"] > 0
    assert delivery.count("candidate taken out", version=broken, level="warning") == 1

    delivery.say(2, mode, 100, since_ms=2)  # the next one is tried as if nothing had been
    eventually(lambda: delivery.candidate.get("version") == 2 and delivery.candidate["state"] == "running", seconds=60)


def log_broken(registrar: Registrar) -> int:
    """A version with nothing wrong about it until somebody asks."""
    with quiet(), mlflow.start_run():
        info = mlflow.pyfunc.log_model(name="model", python_model=Broken(), pip_requirements=["mlflow"])
        inputs = Schema([ColSpec(DataType.double, name) for name in ("x", "size")])
        set_signature(info.model_uri, ModelSignature(inputs, Schema([ColSpec(DataType.double)])))
        return int(mlflow.register_model(info.model_uri, registrar.name).version)
