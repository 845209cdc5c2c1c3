"""Cut a stream of rows into pieces that are sent one after the other. Pure.

A piece is small, for httpx hears nothing until it has sent all: a server that waits for its answers to be taken, as
serving does, and a caller that waits to send more, would wait for each other.
"""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from serving.client import given
from serving.client.errors import InvalidInput
from serving.client.over_http import line

ROWS = 256
"""That serving predicts together."""
BYTES = 64 << 10
"""What the system takes off one's hands at either end."""


class Piece(NamedTuple):
    first: int
    """The place of its first row in the stream, counted from 1."""
    rows: list[Any]
    lines: list[bytes]


def cut(rows: Iterable[Any]) -> Iterator[Piece]:
    """Errors as `Pieces.add`."""
    pieces = Pieces()
    for row in rows:
        yield from pieces.add(row)
    yield from pieces.rest()


class Pieces:
    def __init__(self, *, rows: int = ROWS, size: int = BYTES) -> None:
        """`rows` and `size` in bytes: of a piece, at most, unless a single row is longer."""
        self._most_rows, self._most_bytes = rows, size
        self._piece = Piece(1, [], [])
        self._bytes = 0

    def add(self, row: Any) -> list[Piece]:
        """The pieces that are full now: none, one or two. InvalidInput for a row that JSON cannot hold."""
        plain = given.row(row)
        try:
            text = line(plain)
        except InvalidInput as error:
            error.row = self._piece.first + len(self._piece.rows)
            raise
        full = []
        if self._piece.rows and self._bytes + len(text) > self._most_bytes:
            full.append(self._cut())
        self._piece.rows.append(plain)
        self._piece.lines.append(text)
        self._bytes += len(text)
        if len(self._piece.rows) >= self._most_rows:
            full.append(self._cut())
        return full

    def rest(self) -> list[Piece]:
        return [self._cut()] if self._piece.rows else []

    def _cut(self) -> Piece:
        piece = self._piece
        self._piece, self._bytes = Piece(piece.first + len(piece.rows), [], []), 0
        return piece
