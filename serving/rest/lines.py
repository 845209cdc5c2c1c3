"""Answer a stream of rows, one JSON value a line, with a stream of predictions, one a line.

https://github.com/ndjson/ndjson-spec. A line is an object by column, a list in the signature's order, or, for a model
with one input, its value. In order, each is answered by {"prediction": ...}, or where it cannot be by {"error": ...,
"code": ..., "row": N}, N counted from 1; then the stream goes on. Lines that arrived together are predicted together,
and none waits for company. Nothing is read while an answer waits to be taken, so neither a slow caller nor a slow model
makes anything grow.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from typing import NamedTuple

import msgspec

from serving.errors import AuthUnreachable, DeadlineExpired, Forbidden, ServingError, TooLarge, Unauthenticated
from serving.rest.line_rows import LineRows

MEDIA_TYPE = "application/x-ndjson"


class Limits(NamedTuple):
    rows: int = 256
    """That are predicted together."""
    line_bytes: int = 1 << 20
    """A longer line is an error and ends the stream, so that its end need not be looked for."""


DEFAULT = Limits()
_ENDS = TooLarge, DeadlineExpired, Unauthenticated, Forbidden, AuthUnreachable
"""What ends a stream with a line that says so."""


async def _at_once() -> None:
    pass


async def stream(
    rows: LineRows,
    chunks: AsyncIterator[bytes],
    admitted: Callable[[], Awaitable[None]] = _at_once,
    limits: Limits = DEFAULT,
) -> AsyncGenerator[bytes, None]:
    """Pieces of the answer, of whole lines.

    Lines that are predicted together wait until they are `admitted`, but for the first, which are as the request is.
    When that is refused, when the deadline of `rows` has passed, or `chunks` raises TooLarge, the last line says so;
    any other error of `chunks` is raised.
    """
    number = 0
    try:
        async for lines in _together(chunks, limits):
            if number:
                await admitted()
            answers = await rows.answers(lines)
            yield b"".join([_line(each, number + at) for at, each in enumerate(answers, start=1)])
            number += len(lines)
    except _ENDS as error:
        yield _line(error, number + 1)


async def _together(chunks: AsyncIterator[bytes], limits: Limits) -> AsyncIterator[list[bytes]]:
    """Lines that are already there, a limited number at a time; blank ones are none. TooLarge."""
    rest: list[bytes] = []  # of a line that has not ended yet
    size = 0
    async for chunk in chunks:
        *ended, last = chunk.split(b"\n")
        if ended:
            ended[0] = b"".join([*rest, ended[0]])
            rest, size = [], 0
        for batch in _batches(ended, limits):
            yield batch
        rest.append(last)
        size += len(last)
        _check(size, limits)
    for batch in _batches([b"".join(rest)], limits):  # the last line need not end
        yield batch


def _batches(lines: list[bytes], limits: Limits) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    for line in lines:
        stripped = line.strip()
        if not stripped:
            continue
        if len(stripped) > limits.line_bytes and batch:
            yield batch
        _check(len(stripped), limits)
        batch.append(stripped)
        if len(batch) == limits.rows:
            yield batch
            batch = []
    if batch:
        yield batch


def _check(size: int, limits: Limits) -> None:
    if size > limits.line_bytes:
        raise TooLarge(f"a line is longer than {limits.line_bytes} bytes; the stream ends here")


def _line(answer: bytes | ServingError, number: int) -> bytes:
    if isinstance(answer, bytes):
        return b'{"prediction":' + answer + b"}\n"
    # Alone in its body, the row was the first one.
    reason = str(answer).removeprefix("row 1, ")
    return msgspec.json.encode({"error": reason, "code": answer.code, "row": number}) + b"\n"
