"""A signature compiled once, so that requests are decoded and checked straight into arrays, as MLflow would.

The face of the decoding modules: `fast.py` for the bodies that clients usually send, `bodies.py` and `nested.py` for
all other JSON, `tables.py` for CSV and Parquet, `given.py` for Open Inference. None of them knows MLflow or pandas.

What MLflow accepts is accepted, with the same values, and what it refuses is refused, but for these, which are refused:

- a body with `messages`, `prompt` or `input` beside the format, which MLflow takes for a chat;
- half a surrogate pair anywhere in the body;
- an optional column that is left out: MLflow then hands the model a table without it;
- in columns of text, bytes or booleans, a list or an object; a missing boolean beside others where MLflow keeps it;
- bytes that come as text without base64 (CSV, and `inputs` or `instances` of a nameless signature), and the reverse;
- dates that are not all of one ISO form between 1678 and 2261: other forms, numbers with a fraction, an empty text,
  and in CSV any;
- `inputs` of objects for columns without names; a nested value in one row of a number column and none in another;
- in `dataframe_split`: `data` that is an object or null, an index longer than no row or one, labels that are lists, and
  for columns without names, names that are neither text nor integers; rows that are objects or texts among lists;
- for tensors: any but numbers in `dataframe_split` and `dataframe_records`, an index there that is not of integers,
  CSV (as MLflow) and Parquet, and tensors that differ in their number of rows;
- in CSV: a carriage return without a line feed, NUL, and fields before the first column where columns have no names;
- in Parquet: missing booleans, pandas' nullable types, and times of day.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from serving.decoding import bodies, given, nested, tables
from serving.decoding.columns import DTYPES
from serving.decoding.explain import explain
from serving.decoding.fast import Fast
from serving.decoding.growth import Sprawling
from serving.decoding.params import TYPES, Params
from serving.decoding.unpacking import TooMuch
from serving.errors import InvalidInput
from serving.protocol import JSON, PREDICT_PROBA, Array, Block, Column, Rows, Signature, Tensor, Unplanned

__all__ = ["FreePlan", "Plan", "Unplanned", "compile"]


def compile(signature: Signature) -> "Plan | None":  # noqa: A001 - as re.compile
    """None for what only MLflow itself can check: nested columns, no inputs, a tensor with a fixed number of rows."""
    names = [each.name for each in signature.inputs]
    if not names or (None not in names and len(set(names)) != len(names)):
        return None
    if not all(param.type in TYPES for param in signature.params):
        return None
    return Plan(signature) if all(_is_plain(each) for each in signature.inputs) else None


def _is_plain(each: Column | Tensor) -> bool:
    if isinstance(each, Column):
        return each.type in DTYPES
    return bool(each.shape) and each.shape[0] == -1


class Plan:
    def __init__(self, signature: Signature) -> None:
        self.signature = signature
        self.blocks = _blocks(signature)
        self._columns = tuple(each for each in signature.inputs if isinstance(each, Column))
        self._tensors = tuple(each for each in signature.inputs if isinstance(each, Tensor))
        # No column may be left out here, and a reason should say so.
        self._strict = replace(
            signature, inputs=tuple(replace(each, required=True) for each in self._columns) or self._tensors
        )
        self._params = Params(signature.params)
        self._fast = Fast(signature, self.blocks, self._params)
        self._table = _Table.of(signature, self.blocks)

    def fast(self, body: bytes) -> Rows:
        """A JSON body such as clients usually send. Unplanned when in any doubt."""
        return self._fast(body)

    def rows(self, media_type: str, body: bytes) -> Rows:
        """Any body. InvalidInput with a reason."""
        try:
            arrays, params = self._read(media_type, body)
            method, own = self._params.read(params)
        except Params.NotBoolean:
            raise
        except (Sprawling, TooMuch) as error:
            raise InvalidInput(str(error)) from None
        except (Params.Wrong, *bodies.REFUSALS):
            raise InvalidInput(explain(self._strict, media_type, body)) from None
        return Rows(arrays, len(arrays[0]), method, own)

    def tensors(self, tensors: Mapping[str, Array], params: Mapping[str, object] | None = None) -> Rows:
        """One tensor a column, or one for all columns, or the signature's own tensors. InvalidInput with a reason.

        The dtypes are those that MLflow lets into such a signature. Texts come as bytes. `params` is as in a JSON body.
        """
        table = self._table.found(tensors, params) if self._table is not None and len(tensors) == 1 else None
        if table is not None:
            return Rows((table,), len(table))
        arrays = self._arrays(
            given.columns(self._columns, tensors) if self._columns else given.tensors(self._tensors, tensors)
        )
        method, own = _params(self._params, params)
        return Rows(arrays, len(arrays[0]), method, own)

    def _read(self, media_type: str, body: bytes) -> tuple[tuple[Array, ...], object]:
        if media_type != JSON:
            return self._arrays(tables.read(self._columns, media_type, body)), None
        form, content, params = bodies.payload(body)
        if self._columns:
            return self._arrays(bodies.columns(self._columns, form, content)), params
        return self._arrays(nested.tensors(self._tensors, form, content)), params

    def _arrays(self, found: list[Array]) -> tuple[Array, ...]:
        """What stands in the signature's order, as an array for each block; of columns, [n, k]."""
        if self._tensors:
            return tuple(found)
        gathered = []
        for block in self.blocks:
            table = np.empty((len(found[0]), len(block.at)), block.dtype)
            for place, at in enumerate(block.at):
                table[:, place] = found[at]
            gathered.append(table)
        return tuple(gathered)


class _Table:
    """The usual tensor: one that already is all columns side by side, so that none needs a look of its own."""

    def __init__(self, block: Block) -> None:
        self._dtype, self._names = np.dtype(block.dtype), frozenset(block.names)

    @classmethod
    def of(cls, signature: Signature, blocks: tuple[Block, ...]) -> "_Table | None":
        """None where no tensor could be that, or params have to be filled in."""
        (first, *others), columns = blocks, isinstance(signature.inputs[0], Column)
        plain = columns and not others and not signature.params and len(first.names) > 1
        return cls(first) if plain and np.dtype(first.dtype).kind in "biuf" else None

    def found(self, tensors: Mapping[str, Array], params: Mapping[str, object] | None) -> Array | None:
        """None: there is more to look at."""
        ((name, table),) = tensors.items()
        if table.ndim != 2 or table.shape[1] != len(self._names) or name in self._names:
            return None
        dtype, wanted = table.dtype, self._dtype
        if dtype.kind != wanted.kind or dtype.itemsize > wanted.itemsize or (params and PREDICT_PROBA in params):
            return None
        return table if dtype is wanted else table.astype(wanted, copy=False)


class FreePlan:
    """For a model without a signature, which takes tensors only: whatever they are, the model sees."""

    signature = Signature()
    blocks: tuple[Block, ...] = ()

    def fast(self, body: bytes) -> Rows:
        raise Unplanned

    def rows(self, media_type: str, body: bytes) -> Rows:
        raise InvalidInput(explain(self.signature, media_type, body))

    def tensors(self, tensors: Mapping[str, Array], params: Mapping[str, object] | None = None) -> Rows:
        arrays = tuple(tensors.values())
        if not arrays or any(not each.ndim or len(each) != len(arrays[0]) for each in arrays):
            raise InvalidInput("expected inputs of the same number of rows")
        method, own = _params(Params(()), params)
        return Rows(arrays, len(arrays[0]), method, own, names=tuple(tensors) if len(arrays) > 1 else None)


def _blocks(signature: Signature) -> tuple[Block, ...]:
    blocks: dict[object, list[int]] = {}
    for at, each in enumerate(signature.inputs):
        blocks.setdefault(each.type if isinstance(each, Column) else at, []).append(at)
    return tuple(_block(signature, places) for places in blocks.values())


def _block(signature: Signature, places: list[int]) -> Block:
    first = signature.inputs[places[0]]
    names = tuple(signature.inputs[at].name or str(at) for at in places)
    if isinstance(first, Column):
        return Block(DTYPES[first.type], names, tuple(places), (len(places),))
    return Block(first.dtype, names, tuple(places), first.shape[1:])


def _params(schema: Params, sent: Mapping[str, object] | None) -> tuple[str, Mapping[str, object]]:
    try:
        return schema.read(None if sent is None else dict(sent))
    except Params.NotBoolean:
        raise
    except Params.Wrong:
        raise InvalidInput("the params do not fit the model") from None
