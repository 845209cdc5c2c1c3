"""What MLflow makes of a request: its scoring server's parsers, then its schema enforcement, up to the model itself."""

import io
import logging
import warnings
from typing import Any

# mypy: allow-untyped-calls
# Half of MLflow's functions have no annotations.
import numpy as np
import pandas as pd
from mlflow.models import Model, ModelSignature
from mlflow.pyfunc import PyFuncModel, scoring_server
from mlflow.types import ColSpec, ParamSchema, ParamSpec, Schema, TensorSpec

from serving.protocol import CSV, JSON, Array, Column, Rows, Signature, Tensor

# It warns of every column that the signature does not have.
logging.getLogger("mlflow.models.utils").setLevel(logging.ERROR)


class Echo:
    def predict(self, rows: Any, params: dict[str, Any] | None = None) -> Any:
        return rows, params


class Oracle:
    def __init__(self, signature: Signature) -> None:
        params = [
            ParamSpec(each.name, each.type, each.default, (-1,) if each.is_list else None) for each in signature.params
        ]
        schema = Schema([_spec(each) for each in signature.inputs])
        taken: Any = ParamSchema(params) if params else None
        about = Model(signature=ModelSignature(schema, None, taken))
        about.add_flavor("python_function", loader_module="serving")
        self._schema = schema
        self._model = PyFuncModel(about, Echo())

    def __call__(self, media_type: str, body: bytes) -> tuple[Any, dict[str, Any]] | None:
        """What reaches the model; None when MLflow refuses."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                rows, params = self._parse(media_type, body)
                arrived, own = self._predict(rows, params)
            except Exception:  # noqa: BLE001 - it raises whatever pandas and numpy raise
                return None
        return arrived, own or {}

    def frame(self, rows: pd.DataFrame) -> Any:
        """What reaches the model of a DataFrame; None when MLflow refuses."""
        try:
            return self._predict(rows, None)[0]
        except Exception:  # noqa: BLE001 - as above
            return None

    def _predict(self, rows: Any, params: Any) -> Any:
        return self._model.predict(rows, params=params)

    def _parse(self, media_type: str, body: bytes) -> tuple[Any, Any]:
        if media_type == JSON:
            parsed = scoring_server._parse_json_data(body, self._model.metadata, self._schema)
            if parsed.is_unified_llm_input:
                raise ValueError("a chat")
            return parsed.data, parsed.params
        if media_type == CSV:
            return scoring_server.parse_csv_input(io.StringIO(body.decode()), self._schema), None
        return scoring_server.parse_parquet_input(io.BytesIO(body)), None


def difference(signature: Signature, blocks: tuple[Any, ...], rows: Rows, arrived: Any) -> str | None:
    """Where the arrays are not what reached MLflow's model; None when they are."""
    for block, array in zip(blocks, rows.blocks, strict=True):
        first = signature.inputs[block.at[0]]
        if len(array) != rows.count:
            return f"{len(array)} rows, not {rows.count}"
        if isinstance(first, Tensor):
            expected = arrived if first.name is None else arrived[first.name]
            if expected.shape != array.shape or not _same(expected.ravel().tolist(), array.ravel().tolist()):
                return f"{expected!r} became {array!r}"
            continue
        if array.dtype != np.dtype(block.dtype) or array.shape != (rows.count, *block.shape):
            return f"{array.dtype} {array.shape} for {block}"
        for place, at in enumerate(block.at):
            column = arrived.iloc[:, at] if first.name is None else arrived[signature.inputs[at].name]
            if not _same(_plain(column, array), array[:, place].tolist()):
                return f"{column.tolist()} became {array[:, place].tolist()}"
    return None


def _plain(column: "pd.Series[Any]", array: Array) -> list[Any]:
    return column.tolist() if array.dtype == object else list(column.to_numpy(array.dtype).tolist())


def _same(expected: list[Any], got: list[Any]) -> bool:
    return len(expected) == len(got) and all(_equal(*pair) for pair in zip(expected, got, strict=True))


def _equal(expected: Any, got: Any) -> bool:
    """Of the same type, to the last bit; any missing text is None."""
    if expected is pd.NA or expected is None or expected != expected:  # noqa: PLR0124 - NaN
        return got is None or got != got  # noqa: PLR0124 - NaN
    if isinstance(expected, bytes):
        return bool(expected == got)
    return type(expected) is type(got) and bool(expected == got) and str(expected) == str(got)


def _spec(each: Column | Tensor) -> ColSpec | TensorSpec:
    if isinstance(each, Tensor):
        return TensorSpec(np.dtype(each.dtype), each.shape, each.name)
    return ColSpec(each.type, each.name, each.required)
