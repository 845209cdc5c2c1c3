import json
import logging
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pytest
import skl2onnx
from mlflow.models import infer_signature
from onnx import TensorProto, helper, numpy_helper
from skl2onnx.common.data_types import FloatTensorType
from sklearn.linear_model import LogisticRegression

from serving.errors import InvalidInput, VersionRefused
from serving.protocol import PREDICT_PROBA, Column, Rows, Signature
from serving.runtimes import choice, mlmodel, twin
from tests.servers import ROOT
from tests.serving.conftest import quiet
from tests.serving.twins import MEASURED, a_twin, change_card, write_mlmodel, write_twin

FLOWERS = pd.DataFrame(np.random.default_rng(1).normal(size=(60, 3)), columns=["a", "b", "c"])
KINDS = np.where(FLOWERS["a"] > 0.4, 2, np.where(FLOWERS["b"] > 0, 1, 0))


@pytest.fixture(scope="module")
def classifier() -> LogisticRegression:
    return LogisticRegression().fit(FLOWERS, KINDS)


@pytest.fixture(scope="module")
def original(classifier: LogisticRegression, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scikit-learn version and its twin. To be copied, not changed."""
    folder = tmp_path_factory.mktemp("twin") / "classifier"
    with quiet():
        mlflow.sklearn.save_model(
            classifier,
            str(folder),
            serialization_format="skops",
            signature=infer_signature(FLOWERS, KINDS),
            input_example=FLOWERS.head(2),
            pip_requirements=["scikit-learn"],
        )
        graph = skl2onnx.to_onnx(
            classifier, initial_types=[("rows", FloatTensorType([None, 3]))], options={"zipmap": False}
        )
    inputs = [{"name": "rows", "dtype": "float32", "columns": ["a", "b", "c"]}]
    write_twin(folder, graph, inputs, {"predict": "label", PREDICT_PROBA: "probabilities"})
    return folder


@pytest.fixture
def version(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "version"))


def rows(table: pd.DataFrame, **question: Any) -> Rows:
    return Rows((table.to_numpy(),), len(table), **question)


def refusals(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [vars(record)["reason"] for record in caplog.records if record.message == "twin not used"]


def test_it_answers_as_scikit_learn_does(version: Path, classifier: LogisticRegression) -> None:
    loaded = choice.load(version)

    labels, shares = (loaded.predict(rows(FLOWERS, **ask)) for ask in ({}, {"method": PREDICT_PROBA}))

    assert loaded.runtime == "onnx"
    assert loaded.probabilities
    assert (labels.outputs[0] == classifier.predict(FLOWERS)).all()
    np.testing.assert_allclose(shares.outputs[0], classifier.predict_proba(FLOWERS), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"sha256": "0" * 64}, "model.onnx is not the file that was measured"),
        ({"parity": {**MEASURED, "labels_equal": False}}, "does not show that the twin answers as the model does"),
        ({"parity": {**MEASURED, "largest_relative": 2e-5}}, "does not show that the twin"),
        ({"parity": {**MEASURED, "largest_relative": 2e-5, "tolerance": 1}}, "does not show that the twin"),
        ({"parity": {**MEASURED, "largest_relative": 1e-7, "tolerance": 1e-8}}, "does not show that the twin"),
        ({"parity": {**MEASURED, "rows": 0}}, "does not show that the twin"),
        ({"parity": None}, "twin.json: Expected `object`, got `null`"),
        ({"format": 2}, "twin.json: Invalid enum value 2"),
        ({"outputs": {PREDICT_PROBA: "probabilities"}}, "names no output for predict"),
        ({"inputs": [{"name": "rows", "dtype": "float32", "columns": ["a", "z"]}]}, "wants column 'z'"),
    ],
)
def test_a_twin_that_was_not_shown_to_be_one_is_not_used(
    version: Path, caplog: pytest.LogCaptureFixture, changes: dict[str, Any], reason: str
) -> None:
    change_card(version, **changes)

    with quiet():
        loaded = choice.load(version)

    assert loaded.runtime == "native"
    (told,) = refusals(caplog)
    assert reason in told
    with quiet(), pytest.raises(VersionRefused, match="no usable ONNX twin"):
        choice.load(version, "onnx")


@pytest.mark.parametrize("damage", ["graph is gone", "graph is another", "ONNX Runtime does not know it"])
def test_a_graph_that_cannot_be_used_is_not_used(version: Path, caplog: pytest.LogCaptureFixture, damage: str) -> None:
    if damage == "graph is gone":
        (version / "model.onnx").unlink()
    elif damage == "graph is another":
        (version / "model.onnx").write_bytes(b"not what was measured")
    else:
        unknown = helper.make_graph([helper.make_node("NoSuchOperator", ["x"], ["label"])], "odd", [], [])
        write_twin(version, unknown, [{"name": "x", "dtype": "float32", "columns": ["a", "b", "c"]}])

    with quiet():
        loaded = choice.load(version)

    assert loaded.runtime == "native"
    assert len(refusals(caplog)) == 1


def test_a_graph_that_reads_another_file_is_not_used(version: Path, caplog: pytest.LogCaptureFixture) -> None:
    """That file is not what was measured; it may be anything that serving can read."""
    (version / "weights").write_bytes(np.zeros(3, np.float32).tobytes())
    elsewhere = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[3], data_location=TensorProto.EXTERNAL)
    elsewhere.external_data.add(key="location", value="weights")
    rows = helper.make_tensor_value_info("rows", TensorProto.FLOAT, [None, 3])
    label = helper.make_tensor_value_info("label", TensorProto.FLOAT, [None])
    node = helper.make_node("MatMul", ["rows", "w"], ["label"])
    graph = helper.make_graph([node], "elsewhere", [rows], [label], [elsewhere])
    write_twin(version, graph, [{"name": "rows", "dtype": "float32", "columns": ["a", "b", "c"]}])

    with quiet():
        assert choice.load(version).runtime == "native"

    assert refusals(caplog)[0].startswith("ONNX Runtime cannot load model.onnx")


@pytest.mark.parametrize("example", ['{"inputs": {"a": [1]}}', '{"inputs": {"a": [1], "b": [null], "c": ["x"]}}'])
def test_a_twin_that_cannot_read_the_versions_own_example_is_not_used(
    version: Path, caplog: pytest.LogCaptureFixture, example: str
) -> None:
    """As where an optional column is left out: the library may well know what to do."""
    (version / "serving_input_example.json").write_text(example)

    with quiet(), pytest.raises(InvalidInput):  # so does the library here, but that is its own affair
        choice.load(version)

    assert len(refusals(caplog)) == 1


def test_a_signature_without_a_plan_has_no_twin(version: Path, caplog: pytest.LogCaptureFixture) -> None:
    about = mlmodel.read(version)
    nested = mlmodel.MlModel(about.folder, about.flavors, Signature((Column("a", "object"),)))

    with pytest.raises(VersionRefused, match="types that only MLflow itself can check"):
        twin.load(nested)


def test_a_version_without_a_card_has_none_and_nothing_is_said(version: Path, caplog: pytest.LogCaptureFixture) -> None:
    (version / "twin.json").unlink()

    with quiet():
        assert choice.load(version).runtime == "native"

    assert refusals(caplog) == []


def test_a_missing_text_has_its_own_name_in_the_graph(tmp_path: Path) -> None:
    signature = Signature((Column("x", "double"), Column("kind", "string"), Column("town", "string")))
    write_mlmodel(tmp_path, signature)
    codes = helper.make_node(
        "LabelEncoder",
        ["kind"],
        ["codes"],
        domain="ai.onnx.ml",
        keys_strings=["a", "b", "(none)"],
        values_int64s=[1, 2, 3],
        default_int64=-1,
    )
    graph = helper.make_graph(
        [codes, helper.make_node("ReduceSum", ["codes", "axes"], ["label"], keepdims=0)],
        "codes",
        [helper.make_tensor_value_info("kind", TensorProto.STRING, [None, 2])],
        [helper.make_tensor_value_info("label", TensorProto.INT64, [None])],
        [numpy_helper.from_array(np.array([1]), "axes")],
    )
    for columns in (["kind", "town"], ["town", "kind"]):
        write_twin(tmp_path, graph, [{"name": "kind", "dtype": "string", "columns": columns, "missing": "(none)"}])
        loaded = choice.load(tmp_path, "onnx")
        assert loaded.plan is not None
        data = [[1.0, "a", None], [1.0, None, None], [1.0, "b", "a"], [1.0, "other", "other"]]
        body = {"dataframe_split": {"columns": ["x", "kind", "town"], "data": data}}

        answer = loaded.predict(loaded.plan.rows("application/json", json.dumps(body).encode()))

        assert answer.outputs[0].tolist() == [4, 6, 3, -2]


def test_columns_are_gathered_in_the_graphs_order(tmp_path: Path) -> None:
    folder = a_twin(tmp_path / "slope", factor=10)
    change_card(folder, inputs=[{"name": "rows", "dtype": "float64", "columns": ["size", "x"]}])

    loaded = choice.load(folder)

    assert loaded.predict(Rows((np.array([[1.0, 2.0], [3.0, 4.0]]),), 2)).outputs[0].tolist() == [20, 40]


def test_a_worker_on_a_twin_imports_no_machine_learning_library_and_no_mlflow(tmp_path: Path) -> None:
    folder = a_twin(tmp_path / "slope")
    program = f"""
import sys
from pathlib import Path
from serving import settings
from serving.runtimes import choice, examples
from serving.app import create

create(settings.read(), Path("/no/hosts"))
loaded = choice.load(Path({str(folder)!r}))
assert loaded.runtime == "onnx" and examples.inline_rows(loaded) > 0
print(*sorted({{"mlflow", "pandas", "sklearn", "torch", "scipy", "xgboost", "onnx"}} & set(sys.modules)), sep=",")
"""
    env = {"SERVING_MODELS": "iris", "MLFLOW_TRACKING_URI": "http://127.0.0.1:1", "SERVING_STORE": str(tmp_path)}

    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=env, capture_output=True, text=True, check=True
    )

    assert ended.stdout == "\n"


@pytest.fixture(autouse=True)
def _warnings(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
