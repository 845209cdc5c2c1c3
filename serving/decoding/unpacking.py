"""Read columns of a Parquet body, unless they take too much room: a few kilobytes of it may hold a billion rows.

Only `tables.py` calls it. Not with `read_table`, which imports pandas where that is installed.
"""

from collections.abc import Sequence
from typing import Any

from serving.decoding.columns import Misfit

LARGEST = 256 << 20
"""Bytes that the columns may take; four times what a body may have, unless somebody sets that."""
_NUMBER = 8
_OBJECT = 64
"""What Python needs for a value that is no number, beside its letters."""


class TooMuch(ValueError):
    def __init__(self) -> None:
        super().__init__(f"its columns would take more than {LARGEST} bytes once they are unpacked; send it in parts")


class Packed:
    """A Parquet body. Misfit where it is none, or broken."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        file = _opened(body, ())
        self._footer, self.schema = file.metadata, file.schema_arrow

    def columns(self, names: Sequence[str]) -> Any:
        """A `pyarrow.Table` with at least these. Misfit; TooMuch, before they take it."""
        import pyarrow as pa

        kinds = {name: self.schema.field(name).type for name in names}
        if any(pa.types.is_nested(kind) or pa.types.is_dictionary(kind) for kind in kinds.values()):
            raise Misfit("no single values")
        self._check_footer(kinds)
        texts = {name: kind for name, kind in kinds.items() if _is_text(kind)}
        try:
            # One long text may be the value of every row: in a dictionary it stands once.
            table = _opened(self._body, list(texts)).read(columns=list(names), use_threads=False)
        except (pa.ArrowException, OSError):
            raise Misfit("not Parquet") from None
        _check(sum(_letters(chunk) for name in texts for chunk in table.column(name).chunks))
        for name, kind in texts.items():
            at = table.schema.get_field_index(name)
            table = table.set_column(at, pa.field(name, kind), table.column(name).cast(kind))
        return table

    def _check_footer(self, kinds: dict[str, Any]) -> None:
        groups = [self._footer.row_group(at) for at in range(self._footer.num_row_groups)]
        rows = max(self._footer.num_rows, sum(group.num_rows for group in groups))
        _check(rows * sum(_NUMBER if _is_number(kind) else _OBJECT for kind in kinds.values()))
        # Of all columns: to look at one of a broken footer ends the process, for pyarrow lets C++'s exception pass.
        _check(sum(group.total_byte_size for group in groups))


def _opened(body: bytes, as_dictionaries: Sequence[str]) -> Any:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return parquet.ParquetFile(pa.BufferReader(body), read_dictionary=as_dictionaries)
    except (pa.ArrowException, OSError):
        raise Misfit("not Parquet") from None


def _check(size: int) -> None:
    if size > LARGEST:
        raise TooMuch


def _letters(chunk: Any) -> int:
    """Of all texts of a dictionary array, each as often as it stands there."""
    import pyarrow.compute as pc

    return pc.sum(pc.binary_length(chunk.dictionary).take(chunk.indices)).as_py() or 0


def _is_text(kind: Any) -> bool:
    import pyarrow as pa

    is_text = pa.types.is_string, pa.types.is_large_string, pa.types.is_binary, pa.types.is_large_binary
    return any(each(kind) for each in is_text)


def _is_number(kind: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_primitive(kind) and not pa.types.is_date(kind))
