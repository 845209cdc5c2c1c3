"""Decode the bodies that clients usually send, straight from bytes to arrays. Only `plan.py` calls it.

What is not plainly right is left to `bodies.py`, which knows all of MLflow's rules: here a number is a number and a
string a string. msgspec refuses whatever `json.loads` refuses, once the body is known to be UTF-8.
"""

import struct
from collections.abc import Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from msgspec import UNSET, Raw, Struct, UnsetType, ValidationError

from serving.decoding.params import Params
from serving.protocol import Array, Block, Column, Rows, Signature, Tensor, Unplanned

_NUMBER = float | None
_ABSENT = Raw()
_LAYOUTS = 32
"""Orders of columns that are remembered; each client usually has one."""
_EXACT = 2.0**53
"""Above it, whether a number was written as an integer decides how it is rounded to 32 bits."""
_DIGITS = 4300
"""Of an integer, more than which `json.loads` refuses."""

# What a column may hold in the formats that pandas reads, and in those that numpy reads, where null is the text "None".
_PANDAS: dict[str, Any] = {
    "double": _NUMBER, "float": _NUMBER, "integer": int, "long": int, "boolean": bool, "string": str | None
}  # fmt: skip
_NUMPY: dict[str, Any] = {**_PANDAS, "string": str}
_Row = Sequence[Any]


class _Layout(NamedTuple):
    """How the columns of a body relate to the signature's."""

    width: int
    order: list[int] | None
    """Where each column of the signature stands in the body; None where they are the same."""
    decoder: "msgspec.json.Decoder[list[tuple[Any, ...]]] | None"


class Fast:
    """Raises Unplanned, and nothing else."""

    def __init__(self, signature: Signature, blocks: tuple[Block, ...], params: Params) -> None:
        self._params = params
        self._form: _Columns | _Tensors = (
            _Columns(signature, blocks) if isinstance(signature.inputs[0], Column) else _Tensors(signature)
        )

    def __call__(self, body: bytes) -> Rows:
        try:
            if not body.isascii():
                body.decode()
            sent, blocks = self._form.read(body)
            count = len(blocks[0])
            if not count:
                raise Unplanned
            rows = Rows(blocks, count)
            if sent.params is not _ABSENT or self._params.any:
                given = msgspec.json.decode(sent.params) if sent.params is not _ABSENT else None
                rows.method, rows.params = self._params.read(given)
        except _DOUBTS as doubt:
            raise Unplanned from doubt
        return rows


_DOUBTS = (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError, struct.error, Params.Wrong)


class _Columns:
    def __init__(self, signature: Signature, blocks: tuple[Block, ...]) -> None:
        self._names = [each.name for each in signature.inputs]
        self._types = [each.type for each in signature.inputs if isinstance(each, Column)]
        self._blocks = blocks
        self._texts = "string" in self._types
        self._uniform = self._types[0] if len(blocks) == 1 and set(self._types) <= {"double", "float"} else None
        self._pack = struct.Struct(f"{len(self._types)}d").pack
        self._layouts: dict[bytes, _Layout] = {}
        self._decoders = self._compile()
        if self._decoders and self._names[0] is not None:
            for separators in ((", ", ": "), (",", ":")):
                self._layout(_dumps(self._names, separators))

    def _compile(self) -> tuple["msgspec.json.Decoder[Any]", ...]:
        if not set(self._types) <= _PANDAS.keys():
            return ()
        strict = msgspec.json.Decoder(self._body(_Split if self._uniform is None else _Floats, lenient=False))
        return strict, msgspec.json.Decoder(self._body(_Split, lenient=True))

    def _body(self, split: type[Struct], *, lenient: bool) -> type[Struct]:
        """Lenient: with columns that the signature does not have, where no value of theirs can be wrong."""
        fields: dict[str, Any] = {"dataframe_split": split}
        try:
            record = self._record(_PANDAS, forbid_unknown_fields=not lenient)
            instance = self._record(_NUMPY, forbid_unknown_fields=True)
            lists = self._record({name: list[of] for name, of in _NUMPY.items()}, forbid_unknown_fields=True)  # type: ignore[valid-type]
        except ValueError:  # a name that msgspec cannot match without decoding it
            return _body(fields)
        fields |= {"dataframe_records": list[record], "instances": list[instance]}  # type: ignore[valid-type]
        return _body(fields | {"inputs": lists | list[instance]})  # type: ignore[valid-type]

    def _record(self, types: dict[str, Any], *, forbid_unknown_fields: bool) -> type[Struct]:
        if None in self._names:
            raise ValueError("no names")
        fields = [(f"c{at}", types[each]) for at, each in enumerate(self._types)]
        rename = {f"c{at}": str(name) for at, name in enumerate(self._names)}
        return msgspec.defstruct("Record", fields, rename=rename, forbid_unknown_fields=forbid_unknown_fields, gc=False)

    def read(self, body: bytes) -> tuple[Any, tuple[Array, ...]]:
        if not self._decoders:
            raise Unplanned
        try:
            sent = self._decoders[0].decode(body)
        except ValidationError:  # perhaps only because of columns that the signature does not have
            if _has_endless_integer(body):
                raise
            sent = self._decoders[1].decode(body)
        if self._texts and rb"\u0000" in body:  # at the end of a text, numpy cuts it off
            raise Unplanned
        return sent, self._assemble(self._rows(sent))

    def _rows(self, sent: Any) -> Sequence[_Row]:
        content = _only(sent)
        if content is sent.dataframe_split:
            return self._split(content)
        if isinstance(content, list):
            return [msgspec.structs.astuple(record) for record in content]
        return list(zip(*msgspec.structs.astuple(content), strict=True))

    def _split(self, split: Any) -> Sequence[_Row]:
        layout = self._layouts.get(bytes(split.columns)) or self._layout(bytes(split.columns))
        rows: Sequence[_Row] = split.data
        if isinstance(split.data, Raw):
            if layout.decoder is None:
                raise Unplanned
            rows = layout.decoder.decode(split.data)
        if split.index is not None and len(split.index) != len(rows):
            raise Unplanned
        if layout.order is None:
            return rows
        if any(len(row) != layout.width for row in rows):
            raise Unplanned
        return [[row[at] for at in layout.order] for row in rows]

    def _layout(self, columns: bytes) -> _Layout:
        names = msgspec.json.decode(columns, type=list[str])
        if self._names[0] is None or len(set(names)) != len(names):
            raise Unplanned
        order = [names.index(name) for name in self._names]  # type: ignore[arg-type]  # a name that is lacking: ValueError
        types: list[Any] = [Any] * len(names)
        for at, type_name in zip(order, self._types, strict=True):
            types[at] = _PANDAS[type_name]
        decoder = msgspec.json.Decoder(list[tuple[tuple(types)]])  # type: ignore[misc]  # made at run time
        layout = _Layout(len(names), None if order == list(range(len(names))) else order, decoder)
        if len(self._layouts) < _LAYOUTS:
            self._layouts[columns] = layout
        return layout

    def _assemble(self, rows: Sequence[_Row]) -> tuple[Array, ...]:
        if not rows:
            raise Unplanned
        if self._uniform is not None:
            return (_narrow(self._matrix(rows), self._uniform),)
        columns = list(zip(*rows, strict=True))
        return tuple(_block(block, self._types[block.at[0]], columns) for block in self._blocks)

    def _matrix(self, rows: Sequence[_Row]) -> Array:
        """Packing is twice as quick as numpy's look at every value, but knows no null."""
        pack = self._pack
        try:
            data = bytearray(pack(*rows[0])) if len(rows) == 1 else bytearray().join([pack(*row) for row in rows])
        except struct.error:
            table = np.array(rows, np.float64)
            if table.shape != (len(rows), len(self._types)):
                raise
            return table
        return np.frombuffer(data, np.float64).reshape(len(rows), len(self._types))


class _Floats(Struct, forbid_unknown_fields=True, gc=False):
    data: list[list[_NUMBER]]
    columns: Raw = _ABSENT
    index: list[int | str] | None = None


class _Split(Struct, forbid_unknown_fields=True, gc=False):
    data: Raw
    columns: Raw = _ABSENT
    index: list[int | str] | None = None


class _Tensors:
    """`inputs` and `instances` as nested lists; numpy converts them as it does for MLflow."""

    def __init__(self, signature: Signature) -> None:
        self._tensors = [each for each in signature.inputs if isinstance(each, Tensor)]
        self._nameless = self._tensors[0].name is None
        self._decoder = self._compile()

    def _compile(self) -> "msgspec.json.Decoder[Any] | None":
        try:
            types = [_nested(each) for each in self._tensors]
        except KeyError:
            return None
        if self._nameless:
            return msgspec.json.Decoder(_body({"inputs": types[0], "instances": types[0]}))
        fields = [(f"t{at}", each) for at, each in enumerate(types)]
        rename = {f"t{at}": str(each.name) for at, each in enumerate(self._tensors)}
        try:
            named = msgspec.defstruct("Named", fields, rename=rename, forbid_unknown_fields=True)
        except ValueError:  # a name that msgspec cannot match without decoding it
            return None
        return msgspec.json.Decoder(_body({"inputs": named}))

    def read(self, body: bytes) -> tuple[Any, tuple[Array, ...]]:
        if self._decoder is None:
            raise Unplanned
        sent = self._decoder.decode(body)
        content = _only(sent)
        values = (content,) if self._nameless else msgspec.structs.astuple(content)
        with np.errstate(over="ignore"):
            arrays = tuple(np.array(value, each.dtype) for value, each in zip(values, self._tensors, strict=True))
        for array, tensor in zip(arrays, self._tensors, strict=True):
            if len(array) != len(arrays[0]) or not _has_shape(array, tensor.shape):
                raise Unplanned
        return sent, arrays


def _body(fields: dict[str, Any]) -> type[Struct]:
    """Any other field at the top is in doubt: to MLflow some of them mean another format."""
    optional = [(name, of | UnsetType, UNSET) for name, of in fields.items()]
    rest = [(name, UnsetType, UNSET) for name in _FORMATS if name not in fields]
    return msgspec.defstruct("Body", [*optional, *rest, ("params", Raw, _ABSENT)], forbid_unknown_fields=True)


_FORMATS = ("dataframe_split", "dataframe_records", "instances", "inputs")


def _only(sent: Any) -> Any:
    given = [
        each
        for each in (sent.dataframe_split, sent.dataframe_records, sent.instances, sent.inputs)
        if each is not UNSET
    ]
    if len(given) != 1:
        raise Unplanned
    return given[0]


def _nested(tensor: Tensor) -> Any:
    of: Any = _ELEMENTS[np.dtype(tensor.dtype).kind]
    for _ in tensor.shape:
        of = list[of]
    return of


_ELEMENTS: dict[str, Any] = {"f": _NUMBER, "i": int, "u": int, "b": bool}


def _has_shape(array: Array, wanted: tuple[int, ...]) -> bool:
    return len(wanted) == array.ndim and all(want in (-1, got) for want, got in zip(wanted, array.shape, strict=True))


def _dumps(names: Sequence[str | None], separators: tuple[str, str]) -> bytes:
    import json

    return json.dumps(names, separators=separators).encode()


def _has_endless_integer(body: bytes) -> bool:
    """Where a value is skipped, msgspec does not mind. So many digits reach over one of these places."""
    half = _DIGITS // 2
    return any(
        body[at : at + half].isdigit() or body[at - half : at].isdigit() for at in range(_DIGITS, len(body), _DIGITS)
    )


def _block(block: Block, type_name: str, columns: Sequence[_Row]) -> Array:
    chosen = [columns[at] for at in block.at]
    if type_name in {"double", "float"}:
        return _narrow(np.ascontiguousarray(np.array(chosen, np.float64).T), type_name)
    return np.ascontiguousarray(np.array(chosen, block.dtype).T)


def _narrow(table: Array, type_name: str) -> Array:
    if type_name == "double":
        return table
    if np.any(np.abs(table) > _EXACT):
        raise Unplanned
    return table.astype(np.float32)
