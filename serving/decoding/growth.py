"""Refuse what is small as it is sent and huge once laid out: a table that is mostly gaps, a long text among many.

pandas and numpy fill such tables up, so that a body of 100 kB may take gigabytes. Pure.
"""

from collections.abc import Iterator, Sequence

from serving.protocol import Array

_TIMES = 16
_FREE = 1 << 20
"""Of what is small altogether nobody minds how it grows."""


class Sprawling(ValueError):
    def __init__(self) -> None:
        super().__init__(
            "the values do not fill a table: most of its places would be empty, or made as long as the longest text"
        )


def check(sent: int, laid_out: int) -> None:
    """Both counted alike: in values, in letters or in bytes. Sprawling."""
    if laid_out > _FREE and laid_out > _TIMES * sent:
        raise Sprawling


def check_texts(values: object) -> None:
    """Of a list, nested or not, that numpy is to make texts of: each takes as much room as the longest. Sprawling."""
    lengths = [_length(each) for each in _leaves(values)]
    check(sum(lengths), len(lengths) * max(lengths, default=0))


def check_arrays(arrays: Sequence[Array]) -> None:
    """That are to be put into one: its texts take as much room as the longest. Sprawling."""
    sizes = [each.nbytes for each in arrays]
    check(sum(sizes), len(sizes) * max(sizes, default=0))


def _leaves(values: object) -> Iterator[object]:
    if not isinstance(values, list):
        yield values
        return
    for each in values:
        if isinstance(each, list):
            yield from _leaves(each)
        else:
            yield each


def _length(value: object) -> int:
    """In letters, at least one."""
    if isinstance(value, str | bytes):
        return len(value) + 1
    return value.bit_length() // 3 + 1 if isinstance(value, int) else 1
