"""Models that plain MLflow registered, all in one server: every route answers alike, as MLflow itself predicts.

`serving` knows nothing of them but the registry; no Slipway pipeline has seen them.
"""

import json
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import grpc
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
from tests.servers import Stack, eventually, free_port, server

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
    "plain-python": log_python,
}
TABLES = ("plain-columns", "plain-xgboost", "plain-python")
ARRAYS = ("plain-tensor", "plain-torch", "plain-unsigned")


@dataclass(frozen=True)
class Served:
    caller: Caller
    predict: Callable[[str, Any], list[Any]]
    """MLflow's own prediction, by the model's name."""


@pytest.fixture(scope="module")
def served(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("any-registry")
    mlflow.set_tracking_uri(stack.tracking_uri)
    mlflow.set_experiment("any-registry")
    client = MlflowClient()
    loaded = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, log in MODELS.items():
            with mlflow.start_run():
                uri = log().model_uri
            mlflow.register_model(uri, name)
            client.set_registered_model_alias(name, "production", "1")
            loaded[name] = mlflow.pyfunc.load_model(f"models:/{name}/1")
    port, grpc_port = free_port(), free_port()
    env = {
        **stack.env,
        "SERVING_PORT": str(port),
        "SERVING_GRPC_PORT": str(grpc_port),
        "SERVING_MODELS": ",".join([*MODELS, "plain-absent"]),
        "SERVING_STORE": str(folder / "store"),
        "SERVING_WORKERS": "1",
    }
    command = [sys.executable, "-m", "serving"]
    with server("serving", command, port=port, env=env, folder=folder, ready="/ping") as running:
        eventually(lambda: all(running.finds(f"/v2/models/{name}") for name in MODELS), seconds=180)
        yield Served(Caller(port, grpc_port), lambda name, rows: np.asarray(loaded[name].predict(rows)).tolist())


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
