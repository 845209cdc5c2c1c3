"""What callers of one signature lose when another takes its place. Pure; `inspection.py` fetches the two.

The rules are those by which MLflow checks a request (mlflow.models.utils._enforce_schema), and where serving asks for
more, serving's: it takes one tensor [n, k] for all columns by their places, and refuses rows that leave out a column,
an optional one too.
"""

from collections.abc import Iterator
from typing import Any

from mlflow.models import ModelSignature
from mlflow.types import ColSpec, ParamSpec, TensorSpec

WIDER = {"integer": {"long", "double"}, "float": {"double"}}
"""Types that take every value of another one, however it is sent. Not double for long: MLflow refuses an int64 in
Parquet, a tensor or a DataFrame where a double is wanted, for it may not fit."""
WIDER_PARAMS = {"integer": {"long", "float", "double"}, "long": {"float", "double"}, "float": {"double"}}
"""Params come as JSON only, where MLflow converts."""


def breaks(old: ModelSignature, new: ModelSignature) -> list[str]:
    """A sentence for each way in which a request that `old` takes is refused by `new`, or answered in another shape."""
    found = [*_inputs(_specs(old.inputs), _specs(new.inputs)), *_outputs(_specs(old.outputs), _specs(new.outputs))]
    return found + list(_params(_params_of(old), _params_of(new)))


def _inputs(old: list[Any], new: list[Any]) -> Iterator[str]:
    if not old:  # it takes anything, so nobody knows what callers send
        return
    if not new:
        yield "it does not say what it takes"
    elif isinstance(old[0], TensorSpec) is not isinstance(new[0], TensorSpec):
        kinds = ("columns", "a tensor") if isinstance(new[0], TensorSpec) else ("a tensor", "columns")
        yield f"it takes {kinds[1]}, not {kinds[0]}"
    elif (old[0].name is None) is not (new[0].name is None):
        yield "its inputs have no names" if new[0].name is None else "its inputs have names, which callers do not send"
    elif isinstance(old[0], TensorSpec):
        yield from _tensors(old, new)
    elif old[0].name is None:
        yield from _nameless(old, new)
    else:
        yield from _columns(old, new)


def _columns(old: list[ColSpec], new: list[ColSpec]) -> Iterator[str]:
    before = {str(column.name): column for column in old}
    for column in new:
        name = str(column.name)
        if name not in before:
            yield f"column {name!r} is new" + ("" if column.required else ", and serving refuses rows without it")
        else:
            yield from _column(f"column {name!r}", before[name], column)
    names, wanted = list(before), [str(column.name) for column in new]
    one_type = len({_type(column) for column in old}) == 1
    if one_type and len(names) > 1 and names != wanted and set(wanted) <= set(names):
        what = "in another order" if set(names) == set(wanted) else f"without {min(set(names) - set(wanted))!r}"
        yield f"it takes the columns {what}, which one tensor for all of them cannot tell"


def _nameless(old: list[ColSpec], new: list[ColSpec]) -> Iterator[str]:
    if len(old) != len(new):
        yield f"it takes {len(new)} columns, not {len(old)}"
        return
    for at, (before, after) in enumerate(zip(old, new, strict=True)):
        yield from _column(f"column {at}", before, after)


def _column(what: str, before: ColSpec, after: ColSpec) -> Iterator[str]:
    if not _takes(before, after):
        yield f"{what} is {_type(after)}, not {_type(before)}"
    if after.required and not before.required:
        yield f"{what} is no longer optional"


def _takes(before: ColSpec, after: ColSpec) -> bool:
    return before.type == after.type or _type(after) in WIDER.get(_type(before), set())


def _tensors(old: list[TensorSpec], new: list[TensorSpec]) -> Iterator[str]:
    before = {tensor.name: tensor for tensor in old}
    for tensor in new:
        what = "the tensor" if tensor.name is None else f"tensor {tensor.name!r}"
        if tensor.name not in before:
            yield f"{what} is new"
            continue
        was = before[tensor.name]
        if tensor.type != was.type:
            yield f"{what} is {tensor.type}, not {was.type}"
        if len(tensor.shape) != len(was.shape) or any(
            length not in (-1, former) for length, former in zip(tensor.shape, was.shape, strict=True)
        ):
            yield f"{what} has the shape {list(tensor.shape)}, not {list(was.shape)}"


def _outputs(old: list[Any], new: list[Any]) -> Iterator[str]:
    """Callers read an answer by name and type, and lists by their order."""
    if old and [_said(each) for each in old] != [_said(each) for each in new]:
        shown = [", ".join(_said(each) for each in specs) or "nothing it tells of" for specs in (new, old)]
        yield f"it answers with {shown[0]}, not {shown[1]}"


def _said(output: ColSpec | TensorSpec) -> str:
    name = "" if output.name is None else f"{output.name} "
    if isinstance(output, TensorSpec):
        return f"{name}{output.type} {list(output.shape)}"
    return f"{name}{_type(output)}"


def _params(old: dict[str, ParamSpec], new: dict[str, ParamSpec]) -> Iterator[str]:
    """A new one is no break: MLflow's params always have a default. One that is gone is ignored without a word."""
    for name, before in old.items():
        after = new.get(name)
        if after is None:
            yield f"param {name!r} is gone"
        elif before.shape != after.shape:
            yield f"param {name!r} is {_form(after)}, not {_form(before)}"
        elif before.dtype != after.dtype and _name(after.dtype) not in WIDER_PARAMS.get(_name(before.dtype), set()):
            yield f"param {name!r} is {_name(after.dtype)}, not {_name(before.dtype)}"


def _form(param: ParamSpec) -> str:
    return "one value" if param.shape is None else "a list"


def _specs(schema: Any | None) -> list[Any]:
    return [] if schema is None else list(schema.inputs)


def _params_of(signature: ModelSignature) -> dict[str, ParamSpec]:
    return {} if signature.params is None else {param.name: param for param in signature.params.params}


def _type(column: ColSpec) -> str:
    return _name(column.type)


def _name(kind: Any) -> str:
    return str(getattr(kind, "name", kind))
