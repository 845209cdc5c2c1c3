import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from serving.errors import InvalidInput, PredictionFailed, RowsRefused, TooLarge
from serving.protocol import CSV, JSON, PARQUET, Column, NotRows, Rows, Signature
from serving.runtimes import mlmodel, pyfunc
from tests.serving.conftest import quiet
from tests.serving.decoding.oracle import Oracle
from tests.serving.twins import write_mlmodel

X = Signature((Column("x", "double"), Column("kind", "string"), Column("y", "double")), (Column("z", "double"),))
Made = Callable[..., pyfunc.PyfuncModel]


@pytest.fixture
def made(tmp_path: Path, unique_name: str) -> Made:
    """A pyfunc version by hand: `predicting` is the body of its predict(rows, params)."""
    module = "loader_" + "".join(each if each.isalnum() else "_" for each in unique_name)

    def write(predicting: str, signature: Signature = X) -> pyfunc.PyfuncModel:
        (tmp_path / "code").mkdir()
        (tmp_path / "code" / f"{module}.py").write_text(
            f"import numpy as np, pandas as pd\n"
            f"class Model:\n    def predict(self, rows, params=None):\n        {predicting}\n"
            f"def _load_pyfunc(path):\n    return Model()\n"
        )
        write_mlmodel(tmp_path, signature)
        about = json.loads((tmp_path / "MLmodel").read_text())
        about["flavors"] = {"python_function": {"loader_module": module, "code": "code", "env": {}}}
        if not signature.inputs:
            del about["signature"]
        (tmp_path / "MLmodel").write_text(json.dumps(about))
        with quiet():
            return pyfunc.load(mlmodel.read(tmp_path))

    return write


ROWS = Rows((np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([["a"], [None]], object)), 2)
BODY = b'{"dataframe_split": {"columns": ["x", "kind", "y"], "data": [[1, "a", 2], [3, null, 4]]}}'


def test_a_model_gets_the_table_that_mlflow_would_give_it(made: Made) -> None:
    arrived = Oracle(X)(JSON, BODY)
    assert arrived is not None

    pd.testing.assert_frame_equal(made("return rows").given(ROWS), arrived[0])


@pytest.mark.parametrize(
    ("predicting", "names", "outputs"),
    [
        ("return rows['x'].to_numpy()", None, [[1, 3]]),
        ("return rows['x'].tolist()", None, [[1, 3]]),
        ("return rows['x']", ("x",), [[1, 3]]),
        ("return rows[['y', 'x']]", ("y", "x"), [[2, 4], [1, 3]]),
        ("return {'a': rows['x'].to_numpy(), 'b': ['u', 'v']}", ("a", "b"), [[1, 3], ["u", "v"]]),
        ("return rows[['x', 'y']].to_numpy()", None, [[[1, 2], [3, 4]]]),
    ],
)
def test_an_answer_becomes_arrays(made: Made, predicting: str, names: tuple[str, ...] | None, outputs: Any) -> None:
    answer = made(predicting).predict(ROWS)

    assert (answer.names, [each.tolist() for each in answer.outputs]) == (names, outputs)


@pytest.mark.parametrize(
    "predicting", ["return 1.0", "return [1.0]", "return {'sum': 1.0}", "return rows['x'].to_numpy()[:1]"]
)
def test_an_answer_without_an_entry_a_row_is_mlflows_to_write(made: Made, predicting: str) -> None:
    whole = made(predicting)

    with pytest.raises(NotRows):
        whole.predict(ROWS)

    assert whole.plan is None  # from now on
    assert "1.0" in whole.invoke(JSON, BODY).decode()


@pytest.mark.parametrize("error", ["ValueError", "TypeError", "KeyError"])
def test_what_a_model_says_about_rows_is_the_callers_and_quotes_nothing(made: Made, error: str) -> None:
    refusing = made(f"raise {error}('secret-payload')")

    for ask in (lambda: refusing.predict(ROWS), lambda: refusing.invoke(JSON, BODY)):
        with pytest.raises(RowsRefused, match=rf"^the model cannot predict this input \({error}\)$"):
            ask()


def test_a_missing_number_is_named(made: Made) -> None:
    refusing = made("raise ValueError")
    lacking = Rows((np.array([[1.0, 2.0], [3.0, np.nan]]), ROWS.blocks[1]), 2)

    with pytest.raises(RowsRefused, match="row 2, column 'y': expected a number, got null"):
        refusing.predict(lacking)


def test_what_it_raises_otherwise_is_ours(made: Made) -> None:
    broken = made("raise ZeroDivisionError")

    with pytest.raises(ZeroDivisionError):  # the batcher and the engine tell the caller
        broken.predict(ROWS)
    with pytest.raises(PredictionFailed):
        broken.invoke(JSON, BODY)


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        (JSON, BODY),
        (CSV, b"x,kind,y\n1,a,2\n3,,4\n"),
        (PARQUET, pd.DataFrame({"x": [1.0, 3.0], "kind": ["a", None], "y": [2.0, 4.0]}).to_parquet()),
    ],
)
def test_mlflows_own_way_takes_every_media_type(made: Made, media_type: str, body: bytes) -> None:
    answer = made("return (rows['x'] + rows['y']).to_numpy()").invoke(media_type, body)

    assert json.loads(answer) == {"predictions": [3, 7]}


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        (JSON, BODY),
        (CSV, b"x,kind,y\n1,a,2\n3,,4\n"),
        (JSON, b'{"inputs": {"x": [1, 3], "kind": ["a", "b"], "y": [2, 4]}}'),
    ],
)
def test_more_rows_than_a_request_may_have_are_refused(made: Made, media_type: str, body: bytes) -> None:
    model = made("return (rows['x'] + rows['y']).to_numpy()")

    assert json.loads(model.invoke(media_type, body, 2)) == {"predictions": [3, 7]}
    with pytest.raises(TooLarge, match=r"^a request may have 1 rows"):
        model.invoke(media_type, body, 1)


@pytest.mark.parametrize("body", [b"{", b"[]", b"{}", b'{"dataframe_records": [{"x": "secret-payload"}]}', b"\xff"])
def test_mlflows_own_way_refuses_with_a_reason_that_quotes_nothing(made: Made, body: bytes) -> None:
    with pytest.raises(InvalidInput) as refused:
        made("return rows['x']").invoke(JSON, body)

    assert "secret" not in str(refused.value)


def test_without_a_signature_a_model_takes_tensors(made: Made) -> None:
    free = made("return sum(rows.values()) if isinstance(rows, dict) else rows", Signature())
    one, two = np.array([[1.0], [2.0]]), np.array([[10.0], [20.0]])

    assert free.plan is not None
    assert free.plan.blocks == ()
    assert free.predict(Rows((one,), 2)).outputs[0].tolist() == [[1], [2]]
    assert free.predict(Rows((one, two), 2, names=("a", "b"))).outputs[0].tolist() == [[11], [22]]


def test_rows_of_different_requests_are_joined_for_known_libraries_only(made: Made, tmp_path: Path) -> None:
    assert not made("return rows").joins
    about = json.loads((tmp_path / "MLmodel").read_text())
    about["flavors"] |= {"sklearn": {}}
    (tmp_path / "MLmodel").write_text(json.dumps(about))
    with quiet():
        assert pyfunc.load(mlmodel.read(tmp_path)).joins


def test_a_version_runs_its_own_code_although_the_one_before_had_modules_of_the_same_names(tmp_path: Path) -> None:
    """Both stay loaded: while one is drained the other answers."""
    loaded = []
    for number, column in enumerate(("x", "y"), start=1):
        folder = tmp_path / "store" / "iris" / f"{number}-abc"
        (folder / "code" / "of_both").mkdir(parents=True)
        (folder / "code" / "of_both" / "__init__.py").touch()
        (folder / "code" / "of_both" / "columns.py").write_text(f"WANTED = {column!r}\n")
        (folder / "code" / "loader_of_both.py").write_text(
            "from of_both.columns import WANTED\n"
            "class Model:\n    def predict(self, rows, params=None):\n        return rows[WANTED].to_numpy()\n"
            "def _load_pyfunc(path):\n    return Model()\n"
        )
        write_mlmodel(folder, X)
        about = json.loads((folder / "MLmodel").read_text())
        about["flavors"] = {"python_function": {"loader_module": "loader_of_both", "code": "code", "env": {}}}
        (folder / "MLmodel").write_text(json.dumps(about))
        with quiet():
            loaded.append(pyfunc.load(mlmodel.read(folder)))

    assert [each.predict(ROWS).outputs[0].tolist() for each in loaded] == [[1, 3], [2, 4]]
