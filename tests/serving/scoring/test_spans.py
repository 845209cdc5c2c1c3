"""A file is read in spans: each of its chunks once, and no row group from its middle twice."""

from hypothesis import given
from hypothesis import strategies as some

from serving.scoring.spans import Span, spans


@given(some.lists(some.integers(0, 50), max_size=8), some.integers(1, 60), some.integers(0, 8))
def test_each_chunk_is_in_one_span(groups: list[int], chunk_rows: int, done: int) -> None:
    skip = done * chunk_rows

    found = spans(groups, chunk_rows=chunk_rows, skip=skip)

    begun = [each.before + at * chunk_rows for each in found for at in range(each.chunks or 0)]
    assert begun == list(range(skip, sum(groups), chunk_rows))


def test_chunks_that_begin_in_one_row_group_are_a_span() -> None:
    assert spans([100, 100, 30], chunk_rows=40, skip=40) == [Span(40, 2), Span(120, 2), Span(200, 1)]


def test_a_csv_is_one_span() -> None:
    assert spans(None, chunk_rows=40, skip=80) == [Span(80, None)]
