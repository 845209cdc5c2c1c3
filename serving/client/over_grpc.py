"""Questions and answers as gRPC has them: messages of the Open Inference Protocol. Pure: sends nothing.

Imports only the messages that serving generates from its protos. Tensors have no null: where a text or a whole number
is missing, HTTP is the way.
"""

from collections.abc import Generator, Mapping
from typing import Any, NamedTuple

from serving.client.dialect import Question
from serving.client.errors import InvalidInput, Source
from serving.client.given import Nested, Records, Rows, Table, Tensors
from serving.client.interface import Input, Interface
from serving.client.replies import Reply
from serving.client.statuses import Response, check
from serving.client.tensors import FIELDS, Values, fitted, raw_values
from serving.client.values import flat
from serving.rpc.generated import open_inference_pb2 as pb

Shaped = dict[str, tuple[tuple[int, ...], list[Any]]]
"""Shape and values, row by row, by name."""


class Request(NamedTuple):
    method: str
    """Of `inference.GRPCInferenceService`."""
    message: Any
    metadata: dict[str, str]


class OverGrpc:
    """The questions to one model."""

    def __init__(self, model: str) -> None:
        self._model = model

    def needs_interface(self, _rows: Rows) -> bool:
        return True  # a tensor says what its values are

    def learns(self) -> Generator[Question, Any, Interface]:
        request = Request("ModelMetadata", pb.ModelMetadataRequest(name=self._model), {})
        found: Interface = yield Question(request, _interface)
        return found

    def asks(self, rows: Rows, interface: Interface | None, params: Mapping[str, Any], request_id: str) -> Question:
        """InvalidInput for what no tensor, or no parameter, can hold."""
        message = pb.ModelInferRequest(model_name=self._model, id=request_id)
        for name, value in params.items():
            _set(message.parameters[name], name, value)
        for name, shape, values in _tensors(rows, interface.inputs if interface is not None else ()):
            tensor = message.inputs.add(name=name, datatype=values.datatype, shape=shape)
            getattr(tensor.contents, FIELDS[values.datatype]).extend(values.values)
        return Question(Request("ModelInfer", message, {"x-request-id": request_id}), _reply)

    def asks_lines(self, _lines: list[bytes], _request_id: str) -> None:
        return None


def _interface(response: Response) -> Interface:
    check(response)
    told = response.message
    inputs = tuple(Input(each.name, each.datatype, tuple(each.shape)) for each in told.inputs)
    return Interface(told.versions[0], inputs, all(each.shape == (-1,) for each in inputs))


def _reply(response: Response) -> Reply:
    check(response)
    told = response.message
    source = Source(told.model_name, told.model_version, told.id)
    raw = list(told.raw_output_contents)
    columns = {}
    for at, each in enumerate(told.outputs):
        found = raw_values(each.datatype, raw[at]) if raw else list(getattr(each.contents, FIELDS[each.datatype]))
        columns[each.name] = _rows_of([_natural(value) for value in found], tuple(each.shape))
    if len(columns) == 1:
        return Reply(next(iter(columns.values())), source)
    table = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return Reply(table, source)


def _tensors(rows: Rows, inputs: tuple[Input, ...]) -> list[tuple[str, tuple[int, ...], Values]]:
    """Name, shape and values of each. What the model does not know is left out, as HTTP's tables may have it too."""
    known = {each.name: each.datatype for each in inputs}
    if isinstance(rows, Records):
        names = list(dict.fromkeys(name for row in rows.rows for name in row))
        rows = Table({name: [row.get(name) for row in rows.rows] for name in names})
    if isinstance(rows, Table):
        given: Shaped = {name: ((rows.count,), values) for name, values in rows.columns.items()}
    elif isinstance(rows, Tensors):
        given = {name: _flat(array) for name, array in rows.arrays.items()}
    else:
        given = _ordered(rows, inputs)
    wanted = {name: each for name, each in given.items() if name in known or not known}
    return [(name, shape, fitted(name, known.get(name, ""), values)) for name, (shape, values) in wanted.items()]


def _ordered(rows: Nested, inputs: tuple[Input, ...]) -> Shaped:
    shape, values = _flat(rows.rows)
    if any(each.shape != (-1,) for each in inputs) or not inputs:
        if len(inputs) > 1:
            raise InvalidInput("this model takes several tensors; give them by name, in a dict")
        return {inputs[0].name if inputs else "input-0": (shape, values)}
    width = shape[1] if len(shape) > 1 else 1
    if not rows.rows:
        return {each.name: ((0,), []) for each in inputs}
    if width != len(inputs) or len(shape) > 2:
        raise InvalidInput(f"a row of this model has {len(inputs)} values")
    return {each.name: (shape[:1], values[at::width]) for at, each in enumerate(inputs)}


def _flat(nested: list[Any]) -> tuple[tuple[int, ...], list[Any]]:
    try:
        return flat(nested)
    except ValueError:
        raise InvalidInput("the lists of an array differ in length") from None


def _set(parameter: Any, name: str, value: Any) -> None:
    kinds = {bool: "bool_param", int: "int64_param", float: "double_param", str: "string_param"}
    try:
        setattr(parameter, kinds[type(value)], value)
    except (KeyError, ValueError):  # of another type, or an integer of more than 64 bits
        reason = "gRPC takes a boolean, a number of 64 bits or a text; send others over HTTP"
        raise InvalidInput(f"param '{name}': {reason}") from None


def _natural(value: Any) -> Any:
    """As HTTP has it: texts instead of bytes, and nothing instead of NaN."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return None if value != value else value  # noqa: PLR0124 - NaN


def _rows_of(values: list[Any], shape: tuple[int, ...]) -> list[Any]:
    for length in reversed(shape[1:]):
        values = [values[at : at + length] for at in range(0, len(values), length)] if length else []
    return values
