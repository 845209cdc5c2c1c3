"""A version as MLflow's pyfunc: MLflow parses, checks and predicts, so acceptance and numbers are its own.

With `registry.py` the only module that knows MLflow.
"""

# mypy: allow-untyped-calls
# Half of MLflow's functions have no annotations.

import io
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from mlflow.exceptions import MlflowException
from mlflow.models import Model as Metadata
from mlflow.pyfunc import PyFuncModel, load_model, scoring_server
from mlflow.types import DataType, Schema
from mlflow.types.schema import ColSpec, TensorSpec
from mlflow.version import VERSION as MLFLOW_VERSION

from serving.errors import InvalidInput, PredictionFailed, RowsRefused
from serving.explain import explain, missing_value
from serving.protocol import CSV, JSON, Column, Param, Signature, Tensor

__all__ = ["MLFLOW_VERSION", "PyfuncModel", "load", "preload"]

SERVING_EXAMPLE = "serving_input_example.json"


def preload() -> None:
    """Import what most versions need: seconds that the first promotion then does not have to wait for."""
    for name in ("sklearn", "skops.io"):
        if find_spec(name.partition(".")[0]):
            import_module(name)


def load(folder: Path) -> "PyfuncModel":
    """The model in `folder`, tried on its own input example. Raises whatever the model raises."""
    example = folder / SERVING_EXAMPLE
    model = PyfuncModel(load_model(str(folder)), example.read_text() if example.is_file() else None)
    if model.example is not None:
        model.invoke(JSON, model.example.encode())
    return model


class PyfuncModel:
    runtime = "pyfunc"

    def __init__(self, pyfunc: PyFuncModel, example: str | None) -> None:
        self._pyfunc = pyfunc
        self._schema: Schema | None = pyfunc.metadata.get_input_schema()
        self.example = example
        self.signature = _signature(pyfunc.metadata)
        self.platform = _platform(pyfunc.metadata)

    def invoke(self, media_type: str, body: bytes) -> bytes:
        try:
            rows, params, unwrapped = self._parse(media_type, body)
        except Exception:  # noqa: BLE001 - whatever pandas and numpy raise here is about the body, and quotes it
            raise InvalidInput(explain(self.signature, media_type, body)) from None
        try:
            predictions = self._pyfunc.predict(rows, params=params)
        except MlflowException:
            raise InvalidInput(explain(self.signature, media_type, body)) from None
        except (ValueError, TypeError, LookupError) as error:
            raise RowsRefused(self._refused(error, media_type, body)) from error
        except Exception as error:
            raise PredictionFailed from error
        answer = io.StringIO()
        write = scoring_server.unwrapped_predictions_to_json if unwrapped else scoring_server.predictions_to_json
        write(predictions, answer)
        return answer.getvalue().encode()

    def _parse(self, media_type: str, body: bytes) -> tuple[object, dict[str, object] | None, bool]:
        if media_type == CSV:
            text = io.StringIO(body.decode())
            return scoring_server.parse_csv_input(text, self._schema), None, False  # type: ignore[arg-type]  # None is fine
        # The one private name: every public one answers in MLflow's own error format.
        parsed = scoring_server._parse_json_data(body, self._pyfunc.metadata, self._schema)
        return parsed.data, parsed.params, parsed.is_unified_llm_input

    def _refused(self, error: Exception, media_type: str, body: bytes) -> str:
        hint = missing_value(self.signature, media_type, body)
        reason = f"the model cannot predict this input ({type(error).__name__})"
        return f"{reason}; {hint}" if hint else reason


def _platform(metadata: Metadata) -> str:
    """`mlflow_sklearn`: the flavour the model was logged with."""
    native = [name for name in metadata.flavors if name != "python_function"]
    return f"mlflow_{native[0] if native else 'pyfunc'}"


def _signature(metadata: Metadata) -> Signature:
    params = metadata.get_params_schema()
    return Signature(
        inputs=_fields(metadata.get_input_schema()),
        outputs=_fields(metadata.get_output_schema()),
        params=tuple(
            Param(each.name, _type_name(each.dtype), each.default, each.shape is not None) for each in params or ()
        ),
    )


def _fields(schema: Schema | None) -> tuple[Column | Tensor, ...]:
    return tuple(_field(each) for each in schema.inputs) if schema is not None else ()


def _field(spec: ColSpec | TensorSpec) -> Column | Tensor:
    name = None if spec.name is None else str(spec.name)
    if isinstance(spec, TensorSpec):
        return Tensor(name, spec.type.name, tuple(int(length) for length in spec.shape))
    return Column(name, _type_name(spec.type), spec.required)


def _type_name(of: object) -> str:
    """double, long, ...; array, object, map or any for nested types."""
    return of.name if isinstance(of, DataType) else type(of).__name__.lower().removesuffix("type")
