"""Every body is also put to MLflow's own scoring server, over HTTP: same accepts, same rejects, same numbers."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow.models import infer_signature
from mlflow.pyfunc import load_model, scoring_server
from mlflow.pyfunc.model import PythonModel
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from serving.admission.rules import Rules
from serving.app import build
from serving.engine import Engine
from serving.lineup import Lineup, Served
from serving.protocol import CSV, JSON, Column, Model, Param, Signature, Tensor
from serving.runtimes import choice
from tests.fakes import a_version
from tests.serving.conftest import TABLE, quiet, slope

MARKER = "secret-payload"
NUMBERS = np.array([[1.0, 2.0], [2.0, 1.0], [3.0, 5.0]])
MIXED = pd.DataFrame({"kind": ["a", "b", "a"]})


with quiet():  # MLflow asks for annotations, from which it would then infer another signature

    class Doubler(PythonModel):
        def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
            if (params or {}).get("crash"):
                raise RuntimeError(f"broken with {model_input}")
            return model_input["x"] * (params or {"factor": 2})["factor"]


def sklearn_model(fitted: Any, example: Any) -> Callable[[Path], None]:
    def save(folder: Path) -> None:
        mlflow.sklearn.save_model(
            fitted,
            str(folder),
            serialization_format="skops",
            signature=infer_signature(example, fitted.predict(example)),
            input_example=example[:1],
            pip_requirements=["scikit-learn"],
        )

    return save


def python_model(folder: Path) -> None:
    params = ParamSchema([ParamSpec("factor", DataType.double, 2.0), ParamSpec("crash", DataType.boolean, False)])
    signature = mlflow.models.ModelSignature(Schema([ColSpec("double", "x")]), None, params)
    mlflow.pyfunc.save_model(str(folder), python_model=Doubler(), signature=signature, pip_requirements=["mlflow"])


MODELS = {
    "table": sklearn_model(slope(3), TABLE),
    "tensor": sklearn_model(LogisticRegression().fit(NUMBERS, [0, 1, 1]), NUMBERS),
    "text": sklearn_model(make_pipeline(OneHotEncoder(), LinearRegression()).fit(MIXED, [1.0, 2.0, 1.0]), MIXED),
    "python": python_model,
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    made = {name: tmp_path_factory.mktemp("models") / name for name in MODELS}
    with quiet():
        for name, save in MODELS.items():
            save(made[name])
    return made


def split(columns: list[str], *data: list[Any]) -> dict[str, Any]:
    return {"dataframe_split": {"columns": columns, "data": data}}


async def ask(app: httpx.ASGITransport, media_type: str, body: bytes) -> httpx.Response:
    async with httpx.AsyncClient(transport=app, base_url="http://model") as http:
        return await http.post("/invocations", content=body, headers={"content-type": media_type})


CASES: list[tuple[str, str, Any]] = [
    ("table", JSON, split(["x", "size"], [1.5, 2.0], [2, 3])),
    ("table", JSON, split(["size", "x", "extra"], [1.5, 2.0, MARKER])),
    ("table", JSON, split(["x", "size"], ["1.5", True])),
    ("table", JSON, {"dataframe_records": [{"x": 1.0, "size": 0.5}, {"x": 2, "size": 1}]}),
    ("table", JSON, {"instances": [{"x": 1.0, "size": 0.5}]}),
    ("table", JSON, {"inputs": {"x": [1.0, 2.0], "size": [0.5, 1.5]}}),
    ("table", JSON, {"inputs": [{"x": 1.0, "size": 0.5}]}),
    ("table", JSON, {**split(["x", "size"], [1.5, 2.0]), "params": {"ignored": MARKER}}),
    ("table", CSV, "x,size\n1.5,2\n2.5,3\n"),
    ("table", CSV, "size,x\n1.5,2\n"),
    ("table", JSON, split(["x"], [1.5])),
    ("table", JSON, split(["x", "size"], [1.5, MARKER])),
    ("table", JSON, split(["x", "size"], [1.5, None])),
    ("table", JSON, split(["x", "size"], [1, 2, 3])),
    ("table", JSON, split(["x", "size"], [[1], 2])),
    ("table", JSON, {"dataframe_split": [MARKER]}),
    ("table", JSON, {"dataframe_records": [MARKER]}),
    ("table", JSON, {"instances": [[1.0, MARKER]]}),
    ("table", JSON, {"inputs": {"x": [1.0, 2.0], "size": [0.5]}}),
    ("table", JSON, {"inputs": MARKER}),
    ("table", JSON, {"inputs": [], "instances": []}),
    ("table", JSON, {"prompt": MARKER}),
    ("table", JSON, [MARKER]),
    ("table", JSON, MARKER),
    ("table", JSON, {}),
    ("table", CSV, f"x,size\n1.5,{MARKER}\n"),
    ("table", CSV, f"{MARKER},size\n1.5,2\n"),
    ("table", CSV, "x,size\n1,2,3\n4,5,6,7\n"),
    ("table", CSV, ""),
    ("tensor", JSON, {"instances": [[1.0, 2.0], [5.0, 1.0]]}),
    ("tensor", JSON, {"inputs": [[1, 2]]}),
    ("tensor", JSON, split(["a", "b"], [1.0, 2.0])),
    ("tensor", JSON, {"inputs": [[1.0]]}),
    ("tensor", JSON, {"inputs": [[1.0, 2.0], [3.0]]}),
    ("tensor", JSON, {"inputs": [[1.0, MARKER]]}),
    ("tensor", JSON, {"inputs": {"a": [MARKER]}}),
    ("text", JSON, split(["kind"], ["a"], ["b"])),
    ("text", JSON, {"inputs": ["a", "b"]}),
    ("text", JSON, split(["kind"], [MARKER])),
    ("python", JSON, split(["x"], [1.5])),
    ("python", JSON, {**split(["x"], [1.5]), "params": {"factor": 10}}),
    ("python", JSON, {**split(["x"], [1.5]), "params": {"factor": MARKER}}),
    ("python", JSON, {**split(["x"], [1.5]), "params": [MARKER]}),
    ("python", JSON, {**split(["x"], [1.5]), "params": {MARKER: 1}}),
]


@pytest.fixture(scope="module", params=["auto", "pyfunc"])
def loaded(request: pytest.FixtureRequest, folders: dict[str, Path]) -> dict[str, Model]:
    with quiet():
        return {name: choice.load(folder, request.param, Rules(code=True)) for name, folder in folders.items()}


@pytest.fixture
def ours(loaded: dict[str, Model]) -> dict[str, httpx.ASGITransport]:
    """Serving's app for each model."""
    apps = {}
    for name, each in loaded.items():
        lineup = Lineup((name,))
        lineup.put(replace(lineup.standing(), served=Served(a_version(1, name=name), each, inline_rows=1)))
        apps[name] = httpx.ASGITransport(build(Engine(lineup)))
    return apps


@pytest.fixture(scope="module")
def scorers(folders: dict[str, Path]) -> dict[str, httpx.ASGITransport]:
    """MLflow's own scoring app for each model."""
    with quiet():
        return {
            name: httpx.ASGITransport(scoring_server.init(load_model(str(folder)))) for name, folder in folders.items()
        }


@pytest.mark.filterwarnings("ignore::UserWarning")  # scikit-learn's and pandas' remarks on the bad rows
@pytest.mark.parametrize(("name", "media_type", "payload"), CASES)
async def test_mlflow_and_serving_accept_refuse_and_predict_alike(
    ours: dict[str, httpx.ASGITransport],
    scorers: dict[str, httpx.ASGITransport],
    name: str,
    media_type: str,
    payload: Any,
) -> None:
    body = (payload if media_type == CSV else json.dumps(payload)).encode()
    expected, answer = [await ask(app, media_type, body) for app in (scorers[name], ours[name])]

    assert answer.status_code == expected.status_code, answer.text
    if expected.status_code == 200:
        assert answer.json() == expected.json()
    else:
        assert expected.status_code == 400, expected.text
        assert answer.json()["detail"]
        assert MARKER not in answer.text


@pytest.mark.filterwarnings("ignore::UserWarning")
async def test_the_model_itself_refusing_rows_is_the_callers_error_with_a_hint(
    ours: dict[str, httpx.ASGITransport],
) -> None:
    answer = await ask(ours["table"], JSON, json.dumps(split(["x", "size"], [1.0, 2.0], [1.0, None])).encode())

    assert answer.status_code == 400
    assert "(ValueError); row 2, column 'size': expected a number, got null" in answer.json()["detail"]


async def test_a_model_that_breaks_is_not_the_callers_error(ours: dict[str, httpx.ASGITransport]) -> None:
    body = json.dumps({**split(["x"], [1.5]), "params": {"crash": True}}).encode()

    answer = await ask(ours["python"], JSON, body)

    assert (answer.status_code, answer.json()["type"]) == (500, "urn:slipway:problem:prediction-failed")


@pytest.mark.parametrize("media_type", [JSON, CSV])
async def test_a_body_that_is_not_text_is_refused(ours: dict[str, httpx.ASGITransport], media_type: str) -> None:
    answer = await ask(ours["table"], media_type, b"\xff")

    assert (answer.status_code, answer.json()["detail"]) == (400, "the body is not UTF-8")


def test_the_signature_is_read_in_our_words(loaded: dict[str, Model]) -> None:
    assert loaded["table"].signature == Signature(
        (Column("x", "double"), Column("size", "double")), (Tensor(None, "float64", (-1,)),)
    )
    assert loaded["tensor"].signature.inputs == (Tensor(None, "float64", (-1, 2)),)
    assert loaded["python"].signature.params[0] == Param("factor", "double", 2.0)
    assert loaded["table"].platform == "mlflow_sklearn"


@pytest.mark.parametrize("damage", ["MLmodel", "model.skops", "serving_input_example.json"])
def test_a_damaged_version_does_not_load(folders: dict[str, Path], tmp_path: Path, damage: str) -> None:
    import shutil

    broken = shutil.copytree(folders["table"], tmp_path / "broken")
    (broken / damage).write_text("not what it was")

    with quiet(), pytest.raises(Exception, match=r".+"):
        choice.load(broken)
