"""What pipelines calls a compatible signature, serving takes: the same requests, decoded to the same values."""

import json
from typing import Any

import numpy as np
from hypothesis import assume, event, given
from hypothesis import strategies as st
from mlflow.models import ModelSignature
from mlflow.types import ColSpec, Schema

from pipelines.promotion.compatibility import breaks
from serving.decoding import plan
from serving.errors import InvalidInput
from serving.protocol import JSON, Array, Column, Rows, Signature

TYPES: dict[str, tuple[str, st.SearchStrategy[Any]]] = {
    "integer": ("int32", st.integers(-(2**31), 2**31 - 1)),
    "long": ("int64", st.integers(-(2**63), 2**63 - 1)),
    "float": ("float32", st.floats(width=32, allow_nan=False, allow_infinity=False)),
    "double": ("float64", st.floats(allow_nan=False, allow_infinity=False)),
    "boolean": ("bool", st.booleans()),
    "string": ("object", st.text(max_size=3)),
}
LIKELY = {"integer": ["long", "double", "float"], "long": ["double", "integer"], "float": ["double", "long"]}
"""What people change a type to."""
Columns = list[Column]


@st.composite
def cases(draw: st.DrawFn) -> tuple[Columns, Columns, dict[str, list[Any]]]:
    """Columns before and after, and two rows for those before. Often of one type: then one tensor stands for all."""
    names = draw(st.lists(st.sampled_from("abc"), min_size=1, unique=True))
    kinds = draw(st.sampled_from([sorted(TYPES), ["double"], ["integer"], ["long"]]))
    old = [Column(name, draw(st.sampled_from(kinds)), draw(st.integers(0, 3)) > 0) for name in names]
    order = draw(st.permutations(old)) if draw(st.booleans()) else old
    new = []
    for column in order:
        what = draw(st.sampled_from(["keep", "keep", "type", "type", "optional", "drop"]))
        kind = draw(st.sampled_from(LIKELY.get(column.type, ["double"]))) if what == "type" else column.type
        if what != "drop":
            new.append(Column(column.name, kind, column.required and what != "optional"))
    if draw(st.integers(0, 4)) == 0:
        new.append(Column("new", "double", draw(st.booleans())))
    assume(new)
    rows = {str(each.name): draw(st.lists(TYPES[each.type][1], min_size=2, max_size=2)) for each in old}
    return old, new, rows


def found_broken(old: Columns, new: Columns) -> list[str]:
    def signature(columns: Columns) -> ModelSignature:
        specs: list[Any] = [ColSpec(each.type, each.name, required=each.required) for each in columns]
        return ModelSignature(Schema(specs), Schema([ColSpec("long")]))

    return breaks(signature(old), signature(new))


def asked(columns: Columns, sent: bytes | dict[str, Array]) -> dict[str, list[Any]] | None:
    """The values by column, as a model with these columns gets them; None where the request is refused."""
    compiled = plan.compile(Signature(tuple(columns), (Column(None, "long"),)))
    assert compiled is not None
    try:
        rows = compiled.rows(JSON, sent) if isinstance(sent, bytes) else compiled.tensors(sent)
    except InvalidInput:
        return None
    return by_column(compiled, rows)


def by_column(compiled: plan.Plan, rows: Rows) -> dict[str, list[Any]]:
    return {
        name: values[:, place].tolist()
        for block, values in zip(compiled.blocks, rows.blocks, strict=True)
        for place, name in enumerate(block.names)
    }


def requests(columns: Columns, rows: dict[str, list[Any]]) -> list[bytes | dict[str, Array]]:
    """The same rows, as callers may send them."""
    tensors = {str(each.name): tensor(each, rows[str(each.name)]) for each in columns}
    split = {"columns": list(rows), "data": [list(row) for row in zip(*rows.values(), strict=True)]}
    every: list[bytes | dict[str, Array]] = [json.dumps({"dataframe_split": split}).encode(), tensors]
    if len({each.type for each in columns}) == 1:
        every.append({"all of them": np.stack(list(tensors.values()), axis=1)})
    return every


def tensor(column: Column, values: list[Any]) -> Array:
    """A text travels as bytes."""
    if column.type == "string":
        return np.array([value.encode() for value in values], object)
    return np.array(values, TYPES[column.type][0])


@given(case=cases())
def test_a_request_that_the_former_took_a_compatible_one_takes_with_the_same_values(
    case: tuple[Columns, Columns, dict[str, list[Any]]],
) -> None:
    old, new, rows = case
    if found_broken(old, new):
        event("broken")
        return
    event("compatible")
    for sent in requests(old, rows):
        before, after = asked(old, sent), asked(new, sent)

        assert before is not None
        assert after is not None
        assert after == {name: values for name, values in before.items() if name in after}
