"""Read a CSV or Parquet file in chunks of so many rows, and hold no more than about one of them.

A CSV is read as texts: what a column is decides the signature, in `casting.py`, and a key stays as it was written.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
from pyarrow import csv
from pyarrow import parquet as pq

from serving.scoring.casting import first_misfit
from serving.scoring.places import Place
from serving.scoring.refusal import BadInput

BUFFER_BYTES = 1 << 20
"""Read ahead of a column; without it Arrow would read the column's whole row group at once."""
BATCH_ROWS = 65_536


class Source:
    """`names` are the columns of the file, in its order; `rows` how many it has, None where only reading it can say.

    `groups`: the rows of each row group of a Parquet file, None for a CSV. `seen` is `Place.seen` from before anything
    was read.
    """

    def __init__(self, place: Place) -> None:
        """BadInput where it is not what its name says; NotScored where there is no file."""
        self.place, self.is_text, self.seen = place, place.form == "csv", place.seen()
        self.names: list[str]
        self.rows: int | None = None
        self.groups: tuple[int, ...] | None = None
        with _refusing(place), place.files.open_input_file(place.path) as file:
            if self.is_text:
                self.names = list(_csv(file).schema.names)
            else:
                about = pq.ParquetFile(file)
                self.names, self.rows = list(about.schema_arrow.names), about.metadata.num_rows
                groups = range(about.metadata.num_row_groups)
                self.groups = tuple(about.metadata.row_group(each).num_rows for each in groups)

    def chunks(self, columns: Sequence[str], *, rows: int, skip: int = 0) -> Iterator[Any]:
        """Tables of `columns` with `rows` rows each, the last one perhaps fewer, after the first `skip` rows.

        Each must be there: `require`. BadInput for what cannot be read.
        """
        with _refusing(self.place), self.place.files.open_input_file(self.place.path) as file:
            batches = self._texts(file, columns) if self.is_text else _stored(file, columns, skip)
            yield from regrouped(batches if not self.is_text else _after(batches, skip), rows)

    def require(self, columns: Sequence[str]) -> None:
        """BadInput where one is missing, or there twice."""
        lacking = [name for name in columns if name not in self.names]
        if lacking:
            raise BadInput(f"{self.place.uri}: column {lacking[0]!r} is missing; there are {_shown(self.names)}")
        for name in columns:
            if self.names.count(name) > 1:
                raise BadInput(f"{self.place.uri}: column {name!r} is there twice")

    def _texts(self, file: Any, columns: Sequence[str]) -> Iterator[Any]:
        ragged: list[Any] = []
        rows = 0
        try:
            for batch in _csv(file, columns, ragged):
                yield self._decoded(batch, rows)
                rows += len(batch)
        except pa.ArrowInvalid as error:
            raise BadInput(f"{self.place.uri}: {_ragged(ragged)}") from error

    def _decoded(self, batch: Any, rows: int) -> Any:
        """`rows`: how many came before it."""
        texts = []
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            try:
                texts.append(column.cast(pa.string()))
            except pa.ArrowInvalid as error:
                row = rows + first_misfit(column, pa.string()) + 1
                where = f"{self.place.uri}: row {row}, column {name!r}"
                raise BadInput(f"{where}: expected text in UTF-8, got other bytes") from error
        return pa.record_batch(texts, names=batch.schema.names)


def regrouped(batches: Iterable[Any], rows: int) -> Iterator[Any]:
    """Tables of exactly `rows` rows, but for the last; however the batches were cut."""
    held: list[Any] = []
    count = 0
    for batch in batches:
        rest = batch
        while count + len(rest) >= rows:
            yield pa.Table.from_batches([*held, rest.slice(0, rows - count)])
            rest = rest.slice(rows - count)
            held, count = [], 0
        if len(rest):
            held.append(rest)
            count += len(rest)
    if held:
        yield pa.Table.from_batches(held)


def _after(batches: Iterable[Any], skip: int) -> Iterator[Any]:
    for batch in batches:
        if skip < len(batch):
            yield batch.slice(skip)
        skip = max(skip - len(batch), 0)


def _stored(file: Any, columns: Sequence[str], skip: int) -> Iterator[Any]:
    """Of a Parquet file; row groups that are skipped are not read."""
    found = pq.ParquetFile(file, buffer_size=BUFFER_BYTES)
    groups = list(range(found.num_row_groups))
    while groups and skip >= (size := found.metadata.row_group(groups[0]).num_rows):
        skip -= size
        del groups[0]
    if groups:
        batches = found.iter_batches(BATCH_ROWS, row_groups=groups, columns=list(columns))
        yield from _after((_plain(batch.select(list(columns))) for batch in batches), skip)


def _plain(batch: Any) -> Any:
    """Without dictionaries, whose batches differ in them, and without pandas' notes on an index."""
    fields = [
        (name, column.dictionary_decode() if pa.types.is_dictionary(column.type) else column)
        for name, column in zip(batch.schema.names, batch.columns, strict=True)
    ]
    return pa.record_batch([column for _, column in fields], names=[name for name, _ in fields])


def _csv(file: Any, columns: Sequence[str] = (), ragged: list[Any] | None = None) -> Any:
    """`columns`: as bytes; none: whatever they are. `ragged` gets the row that has too few fields or too many."""

    def met(row: Any) -> str:
        if ragged is None:
            return "skip"
        ragged.append(row)
        return "error"

    converting = csv.ConvertOptions(
        column_types=dict.fromkeys(columns, pa.binary()), include_columns=list(columns), strings_can_be_null=False
    )
    parsing = csv.ParseOptions(newlines_in_values=True, invalid_row_handler=met)
    # Without threads it knows which row it is at.
    return csv.open_csv(file, csv.ReadOptions(use_threads=False, block_size=BUFFER_BYTES), parsing, converting)


def _ragged(rows: list[Any]) -> str:
    if not rows:
        return "it cannot be read as CSV"
    row = rows[0]  # its number counts the header
    return f"row {row.number - 1} has {row.actual_columns} fields, and the header has {row.expected_columns}"


@contextmanager
def _refusing(place: Place) -> Iterator[None]:
    try:
        yield
    except pa.ArrowInvalid as error:
        what = "CSV" if place.form == "csv" else "Parquet"
        raise BadInput(f"{place.uri}: it cannot be read as {what}") from error


def _shown(names: Sequence[str]) -> str:
    rest = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return ", ".join(repr(name) for name in names[:20]) + rest
