"""Say why MLflow refused a body, by looking at it again beside the signature. Only `plan.py` and `pyfunc.py` call it.

Pure. A reason names columns of the signature, counts rows from 1, and never repeats anything that was sent.
"""

import csv
import io
import json
from collections.abc import Iterator, Sequence

from serving.decoding import growth
from serving.decoding.fields import NUMBER, kind, summary
from serving.decoding.misfits import Table, in_field, in_params, in_table
from serving.protocol import CSV, PARQUET, Column, Signature, Tensor

FORMATS = ("dataframe_split", "dataframe_records", "instances", "inputs")
NO_ROW = "; the CSV has a line of names and no row (curl: --data-binary; -d takes the line ends away)"


def explain(signature: Signature, media_type: str, body: bytes) -> str:
    """The first reason found; what the model expects when none is."""
    return _first(signature, media_type, body) or _expected(signature)


def missing_value(signature: Signature, media_type: str, body: bytes) -> str | None:
    """Where a body that MLflow accepted lacks a number: many models cannot predict such a row."""
    strict = Signature(tuple(_needs_value(each) for each in signature.inputs), signature.outputs)
    return _first(strict, media_type, body)


def _first(signature: Signature, media_type: str, body: bytes) -> str | None:
    try:
        return next(_complaints(signature, media_type, body), None)
    except RecursionError:
        return "the body is nested too deeply"
    except growth.Sprawling as error:
        return str(error)
    except ValueError:
        return "the body is not JSON: a number has too many digits"
    except csv.Error:
        return "the body is not CSV"


def _needs_value(each: Column | Tensor) -> Column | Tensor:
    return Column(each.name, NUMBER) if isinstance(each, Column) and each.type in {"float", "double"} else each


def _expected(signature: Signature) -> str:
    if not signature.inputs:
        return "the input does not fit the model, which does not say what it expects"
    return f"the input does not fit the model, which expects {summary(signature.inputs)}"


def _complaints(signature: Signature, media_type: str, body: bytes) -> Iterator[str]:
    if media_type == PARQUET:
        if not body.startswith(b"PAR1"):
            yield "the body is not Parquet"
        return
    try:
        text = body.decode()
    except UnicodeDecodeError:
        yield "the body is not UTF-8"
        return
    if media_type == CSV:
        yield from _csv(signature, text)
        return
    try:
        payload = json.loads(text)
    except json.JSONDecodeError as error:
        yield f"the body is not JSON: line {error.lineno}, column {error.colno}"
    else:
        yield from _json(signature, payload)


def _csv(signature: Signature, text: str) -> Iterator[str]:
    rows = [row for row in csv.reader(io.StringIO(text)) if row]
    if not rows:
        yield "the CSV is empty; its first line names the columns"
        return
    header, *data = rows
    yield from _ragged(data, len(header))
    hint = "" if data or len(header) == 1 else NO_ROW
    for complaint in in_table(signature, _by_column(header, [[value or None for value in row] for row in data])):
        yield complaint + hint


def _json(signature: Signature, payload: object) -> Iterator[str]:
    if not isinstance(payload, dict):
        yield f"expected a JSON object with one of {', '.join(FORMATS)}, got {kind(payload)}"
        return
    given = [name for name in FORMATS if name in payload]
    if len(given) != 1:
        yield f"expected exactly one of {', '.join(FORMATS)}, got {' and '.join(given) or 'none of them'}"
        return
    yield from in_params(signature.params, payload.get("params"))
    content = payload[given[0]]
    if given[0] == "dataframe_split":
        yield from _split(signature, content)
    elif given[0] == "dataframe_records":
        yield from _records(signature, content)
    else:
        yield from _tensors(signature, content, by_row=given[0] == "instances")


def _split(signature: Signature, content: object) -> Iterator[str]:
    if not isinstance(content, dict):
        yield f"dataframe_split must be an object with columns and data, got {kind(content)}"
        return
    data, names = content.get("data"), content.get("columns")
    if not isinstance(data, list) or (content.keys() - {"columns", "data", "index"}):
        yield "dataframe_split must have data, a list of rows, and may have columns and index; nothing else"
        return
    for number, row in enumerate(data, start=1):
        if not isinstance(row, list):
            yield f"row {number} of dataframe_split's data must be a list, got {kind(row)}"
            return
    width = len(names) if isinstance(names, list) else max((len(row) for row in data), default=0)
    yield from _ragged(data, width)
    header = [str(name) for name in names] if isinstance(names, list) else [str(at) for at in range(width)]
    yield from in_table(signature, _by_column(header, data))


def _ragged(rows: Sequence[Sequence[object]], width: int) -> Iterator[str]:
    """Shorter rows are filled up with missing values, as long as one has the full width."""
    longest = max((len(row) for row in rows), default=width)
    if longest != width:
        number = next(at for at, row in enumerate(rows, start=1) if len(row) == longest)
        yield f"row {number} has {longest} values for {width} columns"


def _by_column(header: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    growth.check(sum(map(len, rows)) + len(header), len(header) * len(rows))
    return {name: [row[at] if at < len(row) else None for row in rows] for at, name in enumerate(header)}


def _records(signature: Signature, content: object) -> Iterator[str]:
    if not isinstance(content, list):
        yield f"dataframe_records must be a list of objects, got {kind(content)}"
        return
    names: dict[str, None] = {}
    for number, row in enumerate(content, start=1):
        if not isinstance(row, dict):
            yield f"row {number} of dataframe_records must be an object, got {kind(row)}"
            return
        names.update(dict.fromkeys(row))
    growth.check(sum(map(len, content)), len(names) * len(content))
    yield from in_table(signature, {name: [row.get(name) for row in content] for name in names})


def _tensors(signature: Signature, content: object, *, by_row: bool) -> Iterator[str]:
    """`instances` (row by row) and `inputs` (column by column); either may also be a bare list."""
    if isinstance(content, list) and content and all(isinstance(row, dict) for row in content):
        yield from _records(signature, content)
    elif isinstance(content, dict) and not by_row:
        yield from in_table(
            signature, {name: each if isinstance(each, list) else [each] for name, each in content.items()}
        )
    elif not isinstance(content, list):
        yield f"{'instances' if by_row else 'inputs'} must be a list, got {kind(content)}"
    elif len(signature.inputs) == 1:
        yield from in_field(signature.inputs[0], 0, content)
    elif signature.inputs and signature.inputs[0].name is not None:
        yield f"the model has named inputs: send objects, or dataframe_split, with {summary(signature.inputs)}"
