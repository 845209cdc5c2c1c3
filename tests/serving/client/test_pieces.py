from hypothesis import given
from hypothesis import strategies as st

from serving.client.pieces import Piece, Pieces


def cut(rows: list[str], *, most_rows: int, size: int) -> list[Piece]:
    pieces = Pieces(rows=most_rows, size=size)
    return [piece for row in rows for piece in pieces.add(row)] + pieces.rest()


@given(st.lists(st.text("ab", max_size=30), max_size=30), st.integers(1, 5), st.integers(1, 40))
def test_every_row_is_in_one_piece_in_order_and_pieces_are_small(rows: list[str], most_rows: int, size: int) -> None:
    pieces = cut(rows, most_rows=most_rows, size=size)

    assert [row for piece in pieces for row in piece.rows] == rows
    assert b"".join(line for piece in pieces for line in piece.lines) == b"".join(
        b'"%b"\n' % row.encode() for row in rows
    )
    at = 1
    for piece in pieces:
        assert piece.first == at
        assert 0 < len(piece.rows) == len(piece.lines) <= most_rows
        assert len(piece.rows) == 1 or sum(map(len, piece.lines)) <= size
        at += len(piece.rows)
