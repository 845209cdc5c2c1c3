"""Models that plain MLflow registered, all in one server: every route answers alike, as MLflow itself predicts.

`serving` knows nothing of them but the registry; no Slipway pipeline has seen them. Those that bring code along take a
setting.
"""

import json
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import httpx
import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
import xgboost
from mlflow import MlflowClient
from mlflow.models import ModelSignature, infer_signature
from mlflow.pyfunc.model import PythonModel
from mlflow.pyfunc.scoring_server.client import ScoringServerClient
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from sklearn.linear_model import LogisticRegression

from serving.rpc.generated.open_inference_pb2 import ModelInferRequest
from serving.rpc.generated.open_inference_pb2_grpc import GRPCInferenceServiceStub
from tests.e2e.routes import Caller, for_a_table, for_an_array
from tests.servers import Server, Stack, eventually, free_port, server

RANDOM = np.random.default_rng(7)
TABLE = pd.DataFrame(RANDOM.normal(size=(60, 4)), columns=["a", "b", "c", "d"])
LABELS = (TABLE["a"] + TABLE["b"] > 0).astype(int)
ARRAY = TABLE.to_numpy()
GOLDEN = 5
"""Rows of the golden set."""

with warnings.catch_warnings():  # MLflow asks for annotations, from which it would then infer another signature
    warnings.simplefilter("ignore")

    class Scaled(PythonModel):
        """The sum of a row, times the param `factor`."""

        def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
            return np.asarray(model_input.sum(axis=1) * (params or {"factor": 2.0})["factor"])


def network() -> torch.nn.Module:
    torch.manual_seed(7)
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))


def log_sklearn(fitted: Any, example: Any, **options: Any) -> Any:
    return mlflow.sklearn.log_model(
        fitted, name="m", serialization_format="skops", pip_requirements=["scikit-learn"], **options
    )


def log_columns() -> Any:
    fitted = LogisticRegression().fit(TABLE, LABELS)
    return log_sklearn(fitted, TABLE, signature=infer_signature(TABLE, LABELS), input_example=TABLE.head(2))


def log_tensor() -> Any:
    fitted = LogisticRegression().fit(ARRAY, LABELS)
    return log_sklearn(fitted, ARRAY, signature=infer_signature(ARRAY, LABELS.to_numpy()), input_example=ARRAY[:2])


def log_nothing_known() -> Any:
    return log_sklearn(LogisticRegression().fit(ARRAY, LABELS), ARRAY)


def log_torch() -> Any:
    example = ARRAY[:2].astype(np.float32)
    answer = network()(torch.from_numpy(example)).detach().numpy()
    return mlflow.pytorch.log_model(
        network(),
        name="m",
        signature=infer_signature(example, answer),
        input_example=example,
        serialization_format="pt2",
        pip_requirements=["torch"],
    )


def log_xgboost() -> Any:
    fitted = xgboost.XGBClassifier(n_estimators=5).fit(TABLE, LABELS)
    signature = infer_signature(TABLE, LABELS)
    return mlflow.xgboost.log_model(
        fitted, name="m", signature=signature, input_example=TABLE.head(2), pip_requirements=["xgboost"]
    )


def log_pickle() -> Any:
    fitted = LogisticRegression().fit(TABLE, LABELS)
    return mlflow.sklearn.log_model(
        fitted,
        name="m",
        serialization_format="cloudpickle",
        signature=infer_signature(TABLE, LABELS),
        input_example=TABLE.head(2),
        pip_requirements=["scikit-learn"],
    )


def log_python() -> Any:
    columns = Schema([ColSpec(DataType.double, str(name)) for name in TABLE])
    params = ParamSchema([ParamSpec("factor", DataType.double, 2.0)])
    signature = ModelSignature(columns, Schema([ColSpec(DataType.double)]), params)
    return mlflow.pyfunc.log_model(name="m", python_model=Scaled(), signature=signature, pip_requirements=["mlflow"])


MODELS: dict[str, Callable[[], Any]] = {
    "plain-columns": log_columns,
    "plain-tensor": log_tensor,
    "plain-unsigned": log_nothing_known,
    "plain-torch": log_torch,
    "plain-xgboost": log_xgboost,
    "plain-pickle": log_pickle,
    "plain-python": log_python,
}
BRING_CODE = {
    "plain-torch": "PyTorch's formats hold pickles (pt2 too)",
    "plain-pickle": "its scikit-learn model 'model.pkl' is written as 'cloudpickle'",
    "plain-python": "it is a PythonModel ('python_model.pkl')",
}
TABLES = ("plain-columns", "plain-xgboost", "plain-pickle", "plain-python")
ARRAYS = ("plain-tensor", "plain-torch", "plain-unsigned")


Predict = Callable[[str, Any], list[Any]]
"""MLflow's own prediction, by the model's name."""


@dataclass(frozen=True)
class Served:
    caller: Caller
    predict: Predict


@pytest.fixture(scope="module")
def registered(stack: Stack) -> Predict:
    """All of them as version 1, with the alias; MLflow's own prediction of each."""
    mlflow.set_tracking_uri(stack.tracking_uri)
    mlflow.set_experiment("any-registry")
    loaded = {}
    for name, log in MODELS.items():
        register(name, log)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            loaded[name] = mlflow.pyfunc.load_model(f"models:/{name}/1")
    return lambda name, rows: np.asarray(loaded[name].predict(rows)).tolist()


def register(name: str, log: Callable[[], Any]) -> None:
    """One more version, which becomes Production."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with mlflow.start_run():
            uri = log().model_uri
        version = mlflow.register_model(uri, name).version
    MlflowClient().set_registered_model_alias(name, "production", version)


@contextmanager
def serving(stack: Stack, folder: Path, models: tuple[str, ...], **settings: str) -> Iterator[tuple[Server, Caller]]:
    port, grpc_port = free_port(), free_port()
    env = {
        **stack.env,
        "SERVING_PORT": str(port),
        "SERVING_GRPC_PORT": str(grpc_port),
        "SERVING_MODELS": ",".join(models),
        "SERVING_STORE": str(folder / "store"),
        "SERVING_WORKERS": "1",
        **settings,
    }
    command = [sys.executable, "-m", "serving"]
    with server("serving", command, port=port, env=env, folder=folder, ready="/ping") as running:
        yield running, Caller(port, grpc_port)


@pytest.fixture(scope="module")
def served(stack: Stack, registered: Predict, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder, models = tmp_path_factory.mktemp("any-registry"), (*MODELS, "plain-absent")
    with serving(stack, folder, models, SERVING_ALLOW_CODE="true") as (running, caller):
        eventually(lambda: all(running.finds(f"/v2/models/{name}") for name in MODELS), seconds=180)
        yield Served(caller, registered)


@pytest.mark.slow
def test_without_a_word_what_is_data_is_served_and_what_brings_code_is_refused_by_the_name_of_the_setting(
    stack: Stack, registered: Predict, tmp_path: Path
) -> None:
    data = MODELS.keys() - BRING_CODE.keys()
    with serving(stack, tmp_path, tuple(MODELS)) as (running, caller):
        eventually(lambda: all(running.finds(f"/v2/models/{name}") for name in data), seconds=180)

        def refused(name: str) -> str:
            """Why nothing answers, once something was refused."""
            said = str(httpx.get(f"{running.url}/v2/models/{name}", timeout=20).json().get("error", ""))
            return said if "was refused" in said else ""

        for name, why in BRING_CODE.items():
            said = eventually(partial(refused, name), seconds=60)
            assert f"version 1 was refused: {why}, and to load that is to run code" in said
            assert "set SERVING_ALLOW_CODE=true" in said
        rows = TABLE.tail(GOLDEN)
        answer = caller.json("plain-columns", {"dataframe_split": rows.to_dict(orient="split", index=False)})
        assert answer.predictions == registered("plain-columns", rows)


def test_a_version_that_brings_code_is_refused_and_the_one_before_it_answers(stack: Stack, tmp_path: Path) -> None:
    mlflow.set_tracking_uri(stack.tracking_uri)
    register("plain-changing", log_columns)
    with serving(stack, tmp_path, ("plain-changing",)) as (running, caller):
        eventually(lambda: running.finds("/v2/models/plain-changing"), seconds=90)

        register("plain-changing", log_pickle)

        def refusal() -> Any:
            return httpx.get(f"{running.url}/v2/models/plain-changing", timeout=20).json()["last_refusal"]

        told = eventually(refusal, seconds=60)
        assert told["version"] == 2
        assert told["reason"].startswith(BRING_CODE["plain-pickle"])
        content = {"dataframe_split": TABLE.head(2).to_dict(orient="split", index=False)}
        assert caller.json("plain-changing", content).version == "1"


@pytest.mark.parametrize("name", TABLES)
def test_every_route_that_takes_a_table_answers_as_mlflow_predicts(served: Served, name: str) -> None:
    rows = TABLE.tail(GOLDEN)
    expected = served.predict(name, rows)

    answers = {route: ask() for route, ask in for_a_table(served.caller, name, rows).items()}

    assert {route: answer.version for route, answer in answers.items()} == dict.fromkeys(answers, "1")
    for route, answer in answers.items():
        assert answer.predictions == pytest.approx(expected), route


@pytest.mark.parametrize("name", ARRAYS)
def test_every_route_that_takes_an_array_answers_as_mlflow_predicts(served: Served, name: str) -> None:
    rows = ARRAY[-GOLDEN:].astype(np.float32 if name == "plain-torch" else np.float64)
    expected = served.predict(name, rows)
    # Without a signature MLflow's formats are MLflow's own to read; lines are not among them.
    left_out = {"lines"} if name == "plain-unsigned" else set()

    routes = for_an_array(served.caller, name, rows)
    answers = {route: ask() for route, ask in routes.items() if route not in left_out}

    for route, answer in answers.items():
        assert answer.version == "1"
        assert np.ravel(answer.predictions).tolist() == pytest.approx(np.ravel(expected), rel=1e-5), route


def test_params_reach_a_python_model(served: Served) -> None:
    content = {"dataframe_split": TABLE.head(2).to_dict(orient="split", index=False), "params": {"factor": 10.0}}

    answer = served.caller.json("plain-python", content)

    assert answer.predictions == pytest.approx((TABLE.head(2).sum(axis=1) * 10).tolist())


@pytest.mark.parametrize("name", ["plain-columns", "plain-xgboost"])
def test_probabilities_by_params_and_by_the_name_of_an_output_are_the_same(served: Served, name: str) -> None:
    rows = TABLE.tail(GOLDEN)
    split = {"dataframe_split": rows.to_dict(orient="split", index=False)}

    by_params = served.caller.json(name, {**split, "params": {"predict_proba": True}})
    tensors = [{"name": "rows", "datatype": "FP64", "shape": list(rows.shape), "data": rows.to_numpy().tolist()}]
    body = {"inputs": tensors, "outputs": [{"name": "predict_proba"}]}
    by_output = served.caller.post(f"/v2/models/{name}/infer", "application/json", json.dumps(body).encode()).json()

    assert np.ravel(by_params.predictions).tolist() == pytest.approx(np.ravel(by_output["outputs"][0]["data"]).tolist())
    assert [sum(row) for row in by_params.predictions] == pytest.approx([1.0] * GOLDEN)


def test_mlflows_own_client_works_unmodified(served: Served) -> None:
    client: Any = ScoringServerClient("127.0.0.1", served.caller.port)  # type: ignore[no-untyped-call]  # MLflow's
    client.ping()

    answer = client.invoke(TABLE.tail(GOLDEN))

    assert answer.get_predictions().iloc[:, 0].tolist() == served.predict("plain-columns", TABLE.tail(GOLDEN))


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("nobody-knows", 404, grpc.StatusCode.NOT_FOUND),
        ("plain-absent", 503, grpc.StatusCode.UNAVAILABLE),
    ],
)
def test_unknown_and_not_ready_are_told_alike_over_every_protocol(
    served: Served, name: str, status: int, code: grpc.StatusCode
) -> None:
    post = served.caller.post
    answers = [
        post(f"/v1/models/{name}/invocations", "application/json", b"{}"),
        post(f"/v1/models/{name}/invocations", "application/x-ndjson", b"{}\n"),
        post(f"/v2/models/{name}/infer", "application/json", b'{"inputs": []}'),
    ]
    with served.caller.channel() as channel, pytest.raises(grpc.RpcError) as refused:
        GRPCInferenceServiceStub(channel).ModelInfer(ModelInferRequest(model_name=name))  # type: ignore[no-untyped-call]  # generated

    assert [each.status_code for each in answers] == [status] * 3
    assert {each.json()["error"] for each in answers} == {refused.value.details()}
    assert refused.value.code() is code


def test_a_body_without_a_content_type_is_415(served: Served) -> None:
    answer = served.caller.post("/invocations", "", b"{}")

    assert answer.status_code == 415
