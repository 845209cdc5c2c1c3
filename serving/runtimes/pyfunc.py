"""A version as MLflow's pyfunc, which any MLflow model is. Beside `following/registry.py`, no other knows MLflow."""

# mypy: allow-untyped-calls
# Half of MLflow's functions have no annotations.

import copy
import io
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from mlflow.pyfunc import PyFuncModel, load_model, scoring_server

from serving.decoding import plan
from serving.decoding.explain import explain, missing_value
from serving.errors import InvalidInput, PredictionFailed, RowsRefused, too_many_rows
from serving.protocol import CSV, PARQUET, PREDICT, Answer, Decoder, NotRows, Rows, Tensor
from serving.runtimes.mlmodel import MlModel

STOCK = frozenset({"sklearn", "xgboost", "lightgbm", "catboost", "pytorch"})
"""Flavours whose answer to a row does not depend on the rows beside it. What a PythonModel does, nobody knows."""

_CODE = "code"
"""The folder in which a version brings modules of its own."""

CALLERS_FAULT = (ValueError, TypeError, LookupError)
"""What models raise for rows they cannot predict, as in MLflow's own server."""


class PyfuncModel:
    runtime = "pyfunc"

    def __init__(self, about: MlModel, loaded: PyFuncModel) -> None:
        self.signature, self.platform, self.example = about.signature, about.platform, about.example
        self.pyfunc = loaded
        self.raw = _raw(loaded)
        self.joins = about.native in STOCK
        self.probabilities = hasattr(self.raw, "predict_proba")
        self._schema = loaded.metadata.get_input_schema()
        self.plan: Decoder | None = plan.compile(about.signature) if about.signature.inputs else plan.FreePlan()
        self._predicting = self._without_check(self.plan)

    def predict(self, rows: Rows) -> Answer:
        given = self.given(rows)
        try:
            if rows.method == PREDICT:
                return answer_of(self._predicting.predict(given, params=dict(rows.params) or None), rows.count)
            return answer_of(self.raw.predict_proba(given), rows.count)
        except NotRows:
            self.plan = None  # from now on MLflow itself reads and writes
            raise
        except MlflowException as error:
            raise refused(error, self.plan, rows) from error
        except CALLERS_FAULT as error:
            raise refused(error, self.plan, rows) from error

    def invoke(self, media_type: str, body: bytes, most_rows: int | None = None) -> bytes:
        try:
            rows, params, unwrapped = self._parse(media_type, body)
        except Exception:  # noqa: BLE001 - whatever pandas and numpy raise here is about the body, and quotes it
            raise InvalidInput(explain(self.signature, media_type, body)) from None
        if most_rows is not None and not unwrapped and _count(rows) > most_rows:
            raise too_many_rows(most_rows)
        try:
            predictions = self.pyfunc.predict(rows, params=params)
        except MlflowException:
            raise InvalidInput(explain(self.signature, media_type, body)) from None
        except CALLERS_FAULT as error:
            raise RowsRefused(self._refused(error, media_type, body)) from error
        except Exception as error:
            raise PredictionFailed from error
        answer = io.StringIO()
        write = scoring_server.unwrapped_predictions_to_json if unwrapped else scoring_server.predictions_to_json
        write(predictions, answer)
        return answer.getvalue().encode()

    def given(self, rows: Rows) -> Any:
        """What MLflow's own server would hand to the model: a table, an array, or arrays by name."""
        if rows.names is not None:
            return dict(zip(rows.names, rows.blocks, strict=True))
        if not isinstance(self.plan, plan.Plan):
            return rows.blocks[0]
        if isinstance(self.signature.inputs[0], Tensor):
            names = [each.name for each in self.signature.inputs]
            return rows.blocks[0] if names == [None] else dict(zip(names, rows.blocks, strict=True))
        return _table(self.plan, rows)

    def _without_check(self, decoder: Decoder | None) -> PyFuncModel:
        """The model without MLflow's check of its rows, most of a call's time, where the plan has checked the same.

        That is so for numbers: what else MLflow lets through, and turns into what, may be more than `Rows` says.
        """
        plain = decoder is not None and all(np.dtype(block.dtype).kind in "biuf" for block in decoder.blocks)
        if not (plain and decoder and decoder.blocks and self.joins) or self.signature.params:
            return self.pyfunc
        unchecked, about = copy.copy(self.pyfunc), copy.copy(self.pyfunc.metadata)
        about.signature = None
        unchecked._model_meta = about  # private: no public way takes a signature away
        return unchecked

    def _parse(self, media_type: str, body: bytes) -> tuple[Any, dict[str, object] | None, bool]:
        if media_type == CSV:
            return scoring_server.parse_csv_input(io.StringIO(body.decode()), self._schema), None, False
        if media_type == PARQUET:
            return pd.read_parquet(io.BytesIO(body)), None, False
        # Private: every public one answers in MLflow's own error format.
        parsed = scoring_server._parse_json_data(body, self.pyfunc.metadata, self._schema)
        return parsed.data, parsed.params, parsed.is_unified_llm_input

    def _refused(self, error: Exception, media_type: str, body: bytes) -> str:
        hint = missing_value(self.signature, media_type, body)
        reason = f"the model cannot predict this input ({type(error).__name__})"
        return f"{reason}; {hint}" if hint else reason


def _count(parsed: Any) -> int:
    """Of what MLflow has made of a body: a table, an array, or arrays or lists by name."""
    if isinstance(parsed, dict):
        return max((_count(each) for each in parsed.values()), default=0)
    if isinstance(parsed, np.ndarray):
        return parsed.shape[0] if parsed.ndim else 1
    return len(parsed) if isinstance(parsed, pd.DataFrame | list) else 1


def flavors(about: MlModel) -> Mapping[str, Any]:
    """As MLflow reads them when it loads the version: its YAML parser is another one, and may see something else."""
    read: Mapping[str, Any] = Model.load(str(about.folder)).flavors
    return read


def load(about: MlModel) -> PyfuncModel:
    """Raises whatever the model's own loader raises."""
    _forget_older_code(about)
    # Its warnings are about every installed package, a second's work at each load, and no log here shows them.
    return PyfuncModel(about, load_model(str(about.folder), suppress_warnings=True))


def _forget_older_code(about: MlModel) -> None:
    """Python keeps modules by name: those of the version before would be taken for this one's."""
    code, store = about.folder.absolute() / _CODE, about.folder.absolute().parent.parent
    own = {each.stem for each in code.glob("*")}
    if not own:  # to look at each of the thousands of modules would take most of the time that loading does
        return
    for name in [each for each in sys.modules if each.partition(".")[0] in own]:
        file = Path(getattr(sys.modules[name], "__file__", None) or "")
        if not file.is_relative_to(store) or file.is_relative_to(code):
            continue
        if file.relative_to(store).parts[2:3] == (_CODE,):
            del sys.modules[name]


def refused(error: Exception, decoder: Decoder | None, rows: Rows) -> RowsRefused:
    """What a caller is told when the model itself refuses rows."""
    hint = _missing_number(decoder, rows) if decoder is not None else None
    reason = f"the model cannot predict this input ({type(error).__name__})"
    return RowsRefused(f"{reason}; {hint}" if hint else reason)


def answer_of(predictions: Any, count: int) -> Answer:
    """Arrays of what a model answered. NotRows when it is not one entry a row."""
    if isinstance(predictions, pd.DataFrame):
        columns = tuple(predictions[name].to_numpy() for name in predictions.columns)
        return Answer(_checked(columns, count), tuple(str(name) for name in predictions.columns))
    if isinstance(predictions, dict):
        return Answer(_checked(tuple(np.asarray(each) for each in predictions.values()), count), tuple(predictions))
    if isinstance(predictions, pd.Series):  # MLflow writes one as a table of one column
        return Answer(_checked((predictions.to_numpy(),), count), (str(predictions.name or 0),))
    return Answer(_checked((np.asarray(predictions),), count))


def _checked(outputs: tuple[Any, ...], count: int) -> tuple[Any, ...]:
    if any(each.ndim == 0 or len(each) != count or each.dtype.kind in "mMV" for each in outputs):
        raise NotRows
    return outputs


def _raw(loaded: PyFuncModel) -> Any:
    """The flavour's own object; None for flavours that do not show it."""
    try:
        return loaded.get_raw_model()
    except (MlflowException, NotImplementedError, AttributeError):
        return None


def _table(decoder: "plan.Plan", rows: Rows) -> pd.DataFrame:
    if len(rows.blocks) == 1:
        return pd.DataFrame(rows.blocks[0], columns=list(decoder.blocks[0].names), copy=False)
    width = sum(len(block.names) for block in decoder.blocks)
    names: list[str] = [""] * width
    columns: list[Any] = [None] * width
    for block, array in zip(decoder.blocks, rows.blocks, strict=True):
        for column, (name, at) in enumerate(zip(block.names, block.at, strict=True)):
            names[at], columns[at] = name, array[:, column]
    return pd.DataFrame(dict(zip(names, columns, strict=True)), copy=False)


def _missing_number(decoder: Decoder, rows: Rows) -> str | None:
    """Where a number is missing, which many models cannot predict."""
    for block, array in zip(decoder.blocks, rows.blocks, strict=False):
        if array.dtype.kind == "f" and array.ndim == 2 and np.isnan(array).any():
            row, column = np.argwhere(np.isnan(array))[0].tolist()
            return f"row {row + 1}, column '{block.names[column]}': expected a number, got null"
    return None
