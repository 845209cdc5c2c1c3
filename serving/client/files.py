"""Rows from a file, a chunk at a time, and predictions to one; in constant memory. Only the command line calls it.

CSV and lines of JSON need nothing but Python; Parquet needs pyarrow.
"""

import csv
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any, Protocol

from serving.client.interface import Interface
from serving.client.values import from_text

CHUNK_ROWS = 1000

Columns = dict[str, list[Any]]


class NotAFile(Exception):
    """What is wrong with the file, in a sentence; never a value that is in it."""


class Writer(Protocol):
    def __call__(self, predictions: list[Any]) -> None: ...


def texts_of(interface: Callable[[], Interface]) -> Callable[[], frozenset[str]]:
    """The columns that a model takes as texts; its interface is asked for only if somebody wants to know."""
    return lambda: frozenset(each.name for each in interface().inputs if each.datatype == "BYTES")


def read(path: Path, *, texts: Callable[[], frozenset[str]]) -> Iterator[Columns | list[Any]]:
    """Chunks of rows: columns, or of lines of JSON the rows. NotAFile; OSError.

    `texts` says which columns stay texts, whatever they look like; a CSV does not say what its values are.
    """
    kind = path.suffix.lower()
    if kind == ".csv":
        return _csv(path, texts())
    if kind in {".jsonl", ".ndjson"}:
        return _lines(path)
    if kind in {".parquet", ".pq"}:
        return _parquet(path)
    raise NotAFile("the name of a file of rows ends in .csv, .parquet, .jsonl or .ndjson")


@contextmanager
def written(path: Path | None) -> Iterator[Writer]:
    """Writes predictions, as CSV or, by the name, lines of JSON. The file appears whole, at the end, or not at all."""
    if path is None:
        yield _writer(sys.stdout, lines=False)
        return
    kind = path.suffix.lower()
    if kind not in {".csv", ".jsonl", ".ndjson"}:
        raise NotAFile("the name of a file of predictions ends in .csv, .jsonl or .ndjson")
    part = path.with_name(f".{path.name}.part")
    try:
        with part.open("w", encoding="utf-8", newline="") as output:
            yield _writer(output, lines=kind != ".csv")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _csv(path: Path, texts: frozenset[str]) -> Iterator[Columns]:
    with _opened(path) as source:
        rows = csv.reader(source, strict=True)
        try:
            header = next(rows, [])
            if not header or len(set(header)) != len(header):
                raise NotAFile("the first line of a CSV names its columns, each once")
            first = 1
            while chunk := list(islice((row for row in rows if row), CHUNK_ROWS)):
                for at, row in enumerate(chunk, start=first):
                    if len(row) != len(header):
                        raise NotAFile(f"row {at} has {len(row)} fields, the header has {len(header)}")
                first += len(chunk)
                read = zip(header, zip(*chunk, strict=True), strict=True)
                yield {name: [from_text(text, is_text=name in texts) for text in column] for name, column in read}
        except csv.Error as error:
            raise NotAFile("the file is not CSV") from error


def _lines(path: Path) -> Iterator[list[Any]]:
    with _opened(path) as source:
        numbered = ((at, line) for at, line in enumerate(source, start=1) if line.strip())
        while chunk := list(islice(numbered, CHUNK_ROWS)):
            yield [_json(line, at) for at, line in chunk]


def _json(line: str, number: int) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        raise NotAFile(f"line {number} is not JSON") from None


def _parquet(path: Path) -> Iterator[Columns]:
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        raise NotAFile("reading Parquet needs the package pyarrow") from None
    try:
        with parquet.ParquetFile(path) as source:
            for batch in source.iter_batches(CHUNK_ROWS):
                yield batch.to_pydict()
    except ArrowException as error:
        raise NotAFile("the file is not Parquet") from error


@contextmanager
def _opened(path: Path) -> Iterator[IO[str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as source:
            yield source
    except UnicodeDecodeError as error:
        raise NotAFile("the file is not UTF-8") from error


def _writer(output: IO[str], *, lines: bool) -> Writer:
    table = csv.writer(output, lineterminator="\n")
    names: list[str] | None = None

    def write(predictions: list[Any]) -> None:
        nonlocal names
        if lines:
            output.writelines(json.dumps(each, ensure_ascii=False) + "\n" for each in predictions)
            return
        rows = [_fields(each) for each in predictions]
        if names is None and rows:
            names = list(rows[0])
            table.writerow(names)
        table.writerows(row.values() for row in rows)

    return write


def _fields(prediction: Any) -> dict[str, Any]:
    """A column a class or output, or one for all."""
    if isinstance(prediction, dict):
        return prediction
    if isinstance(prediction, list):
        return {str(at): each for at, each in enumerate(prediction)}
    return {"prediction": prediction}
