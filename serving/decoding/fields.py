"""Which JSON values a field of a signature takes. Pure; as lenient as MLflow's own parser, never stricter.

`explain.py` names the misfits; nothing here decides what is accepted.
"""

from collections.abc import Callable, Iterator
from datetime import datetime

from serving.protocol import Column, Tensor

NUMBER = "number"
"""Not a type of MLflow's: a double that must be there."""
_NEVER_NULL = frozenset({"integer", "long", NUMBER})
_KINDS = {str: "a string", list: "a list", dict: "an object", bool: "a boolean", int: "a number", float: "a number"}


def kind(value: object) -> str:
    """What sort of JSON value, without saying which."""
    return "null" if value is None else _KINDS.get(type(value), "something else")


def called(type_name: str) -> str:
    """`a double`, `an integer`."""
    return f"{'an' if type_name[0] in 'aeiou' else 'a'} {type_name}"


def fits(type_name: str, value: object, *, required: bool = True) -> bool:
    """Whether `value` can become a `type_name`; true for types this module does not know."""
    if value is None:
        return type_name not in _NEVER_NULL or not required
    if type_name == "array":
        return isinstance(value, list)
    if type_name in {"object", "map"}:
        return isinstance(value, dict)
    if type_name == "any":
        return True
    if isinstance(value, list | dict):
        return False
    check = _SCALARS.get(type_name)
    return check is None or not isinstance(value, str) or _reads(check, value)


_SCALARS: dict[str, Callable[[str], object]] = {
    "integer": int,
    "long": int,
    "float": float,
    "double": float,
    NUMBER: float,
    "datetime": datetime.fromisoformat,
}


def _reads(read: Callable[[str], object], text: str) -> bool:
    try:
        read(text)
    except ValueError:
        return False
    return True


def type_of(tensor: Tensor) -> str:
    """The column type that takes what an element of `tensor` takes."""
    for prefix, type_name in {"float": "double", "int": "long", "uint": "long", "bool": "boolean"}.items():
        if tensor.dtype.startswith(prefix):
            return type_name
    return "any"


def shape(value: object) -> tuple[int, ...] | None:
    """Lengths of nested lists, outermost first; None when lists beside each other differ."""
    if not isinstance(value, list):
        return ()
    inner = {shape(each) for each in value}
    if not inner:
        return (0,)
    below = inner.pop()
    return None if inner or below is None else (len(value), *below)


def elements(value: object) -> Iterator[object]:
    """What is in nested lists, in order."""
    if isinstance(value, list):
        for each in value:
            yield from elements(each)
    else:
        yield value


def summary(fields: tuple[Column | Tensor, ...], *, limit: int = 10) -> str:
    """`mean radius (double), mean texture (double) and 28 more`."""
    shown = [f"{each.name or number} ({_describe(each)})" for number, each in enumerate(fields[:limit], start=1)]
    rest = len(fields) - limit
    return ", ".join(shown) + (f" and {rest} more" if rest > 0 else "")


def _describe(each: Column | Tensor) -> str:
    if isinstance(each, Tensor):
        return f"{each.dtype} of shape {each.shape}"
    return each.type if each.required else f"{each.type}, optional"
