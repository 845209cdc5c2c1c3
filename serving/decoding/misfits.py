"""Find what in a request's values does not fit a signature, and say where. Only `explain.py` calls it.

Pure. Each generator yields sentences, the most telling first, that name fields of the signature and count rows from 1.
"""

from collections.abc import Iterator
from types import UnionType

from serving.decoding.fields import called, elements, fits, kind, shape, type_of
from serving.protocol import Column, Param, Signature, Tensor

_PARAM_TYPES: dict[str, type | UnionType] = {
    "boolean": bool,
    "integer": int,
    "long": int,
    "float": int | float,
    "double": int | float,
    "string": str,
}

Table = dict[str, list[object]]
"""Values by column name; by position, as a text counted from 0, where the body names no columns."""


def in_params(params: tuple[Param, ...], given: object) -> Iterator[str]:
    if not isinstance(given, dict | None):
        yield f"params must be an object, got {kind(given)}"
    elif given:
        for param in params:
            value = given.get(param.name)
            values = value if isinstance(value, list) else [value]
            alike = param.is_list == isinstance(value, list)
            if value is not None and not (alike and all(_param_fits(param.type, each) for each in values)):
                yield f"param '{param.name}': expected {called(param.type)}{' list' * param.is_list}"


def in_table(signature: Signature, table: Table) -> Iterator[str]:
    inputs = signature.inputs
    if len(inputs) == 1 and isinstance(inputs[0], Tensor) and inputs[0].name is None:
        width = inputs[0].shape[-1]
        if len(inputs[0].shape) == 2 and width not in {-1, len(table)} and len(table) > 1:
            yield f"expected {width} columns, got {len(table)}"
        return
    if inputs and inputs[0].name is None:
        table = {str(at): values for at, values in enumerate(table.values())}
    names = [each.name or str(at) for at, each in enumerate(inputs)]
    lacking = [
        f"'{each.name}'" if each.name else str(at + 1)
        for at, each in enumerate(inputs)
        if names[at] not in table and (isinstance(each, Tensor) or each.required)
    ]
    if lacking:
        rest = f" and {len(lacking) - 10} more" if len(lacking) > 10 else ""
        yield (
            f"column {lacking[0]} is missing"
            if len(lacking) == 1
            else f"columns {', '.join(lacking[:10])}{rest} are missing"
        )
        return
    for at, each in enumerate(inputs):
        if names[at] in table:
            yield from in_field(each, at, table[names[at]])


def in_field(each: Column | Tensor, at: int, values: list[object]) -> Iterator[str]:
    where = f"column '{each.name}'" if each.name else f"column {at + 1}"
    if isinstance(each, Column):
        for number, value in enumerate(values, start=1):
            if not fits(each.type, value, required=each.required):
                yield f"row {number}, {where}: expected {called(each.type)}, got {kind(value)}"
                return
        return
    where = f"input '{each.name}'" if each.name else "the input"
    lengths = shape(values)
    if lengths is None:
        yield f"{where}: lists beside each other differ in length"
    elif len(lengths) != len(each.shape) or any(
        want not in {-1, got} for want, got in zip(each.shape, lengths, strict=True)
    ):
        yield f"{where}: expected shape {each.shape}, got {lengths}"
    for number, row in enumerate(values, start=1):
        wrong = [kind(value) for value in elements(row) if not fits(type_of(each), value)]
        if wrong:
            yield f"row {number} of {where}: expected {each.dtype}, got {wrong[0]}"
            return


def _param_fits(type_name: str, value: object) -> bool:
    """Params are not converted from text or truncated, as rows are."""
    natural = _PARAM_TYPES.get(type_name)
    if natural is None:
        return True
    return isinstance(value, natural) and (natural is bool or not isinstance(value, bool))
