"""Answer one job: its rows in pieces, so that progress is seen and a cancelled job stops; then its result.

What the caller can mend is an `Outcome` that says failed; anything else is raised, and tried again.
"""

import io
import json
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pyarrow as pa
from pyarrow import parquet as pq

from serving import invocations
from serving.errors import InvalidInput, NoProbabilities, NotReady, RowsRefused, VersionRefused
from serving.jobs.job import Body, Files, Inline, Outcome, Result, Stored
from serving.jobs.shelf import Shelf
from serving.jobs.turns import Work
from serving.protocol import JSON, PARQUET, PREDICT_PROBA, Answer, Array, Model, NotRows, Rows, Version
from serving.scoring import answers, work
from serving.scoring.asking import Task, first_refused
from serving.scoring.here import overlapping
from serving.scoring.places import pair
from serving.scoring.progress import Advance
from serving.scoring.reading import Source
from serving.scoring.refusal import NotScored

OUTPUTS = "slipway.outputs"
"""In the notes of a Parquet file."""
PIECE_ROWS = 1024
CALLS = 1
"""Of a file's chunks at once: other jobs are answered beside it."""
TELL_SECONDS = 0.5
"""Between two notes of progress."""


class NobodyWaits(Exception):
    """The job was cancelled, has expired, or is at another try by now."""


Tell = Callable[[int, int | None], bool]
"""How many rows are done, and how many there are. False where nobody waits for them any more."""


class Loaded(Protocol):
    """As `models.Models` has them."""

    def of(self, version: Version) -> AbstractContextManager[Model]: ...


@dataclass(frozen=True)
class Tools:
    models: Loaded
    latest: Callable[[str], Version | None]
    """Which version of a model is Production now."""
    shelf: Shelf
    inline_bytes: int = 256 << 10


def outcome(job: Work, tools: Tools, tell: Tell) -> Outcome:
    """NobodyWaits; whatever says that this try has failed."""
    version = job.order.version or tools.latest(job.order.model)
    if version is None:
        raise NotReady(f"no version of '{job.order.model}' is Production yet")
    asked = job.order.asked
    telling = _Telling(tell)
    try:
        with tools.models.of(version) as model:
            if isinstance(asked, Files):
                result: Result = _file(asked, version, model, telling)
            else:
                result = _body(job, asked, model, tools, telling)
    except (InvalidInput, RowsRefused, NoProbabilities, VersionRefused) as error:
        return Outcome("failed", version.number, code=error.code, reason=str(error))
    except NotScored as error:
        return Outcome("failed", version.number, code=InvalidInput.code, reason=_without_addresses(str(error), asked))
    return Outcome("succeeded", version.number, result)


def _without_addresses(reason: str, asked: Body | Files) -> str:
    """They are the caller's own."""
    if isinstance(asked, Files):
        reason = reason.removeprefix(f"{asked.source}: ").removeprefix(f"{asked.target}: ")
    return reason


class _Telling:
    """Not at every piece: each is a transaction."""

    def __init__(self, tell: Tell) -> None:
        self._tell, self._next = tell, time.monotonic() + TELL_SECONDS

    def __call__(self, done: int, total: int | None) -> None:
        """NobodyWaits."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + TELL_SECONDS
        if not self._tell(done, total):
            raise NobodyWaits


def _body(job: Work, asked: Body, model: Model, tools: Tools, telling: _Telling) -> Result:
    content = asked.content if asked.content is not None else tools.shelf.get(asked.uri or "")
    try:
        rows = invocations.read((asked.media_type, content), model)
        answer = _in_pieces(model, rows, telling)
    except NotRows:
        text = model.invoke(asked.media_type, content)
        return _kept(job, text, ("predictions.json", JSON), job.order.rows or 0, tools)
    text = invocations.encode(answer)
    if len(text) <= tools.inline_bytes:
        return Inline(text, rows.count)
    try:
        proba = rows.method == PREDICT_PROBA
        nothing = pa.table({})
        table = answers.beside(nothing, (), answer, model.signature, probabilities=proba)
    except NotScored:  # no table can hold it
        return _kept(job, text, ("predictions.json", JSON), rows.count, tools)
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({OUTPUTS: json.dumps(_outputs(answer))}), buffer)
    uri = tools.shelf.put(job.id, f"{job.generation}/predictions.parquet", buffer.getvalue())
    return Stored(uri, PARQUET, rows.count)


def _outputs(answer: Answer) -> list[tuple[str | None, int | None]]:
    """What the columns of the table were: an answer's name, and its width where it was an array [n, k]."""
    names: tuple[str | None, ...] = answer.names or (None,)
    return [
        (name, output.shape[1] if output.ndim == 2 else None)
        for name, output in zip(names, answer.outputs, strict=True)
    ]


def _kept(job: Work, text: bytes, named: tuple[str, str], rows: int, tools: Tools) -> Result:
    name, media_type = named
    if len(text) <= tools.inline_bytes:
        return Inline(text, rows)
    return Stored(tools.shelf.put(job.id, f"{job.generation}/{name}", text), media_type, rows)


def _in_pieces(model: Model, rows: Rows, telling: _Telling) -> Answer:
    """RowsRefused with the row of the whole, not of the piece."""
    if not model.joins or rows.count <= PIECE_ROWS:  # where rows may depend on each other they stay together
        return model.predict(rows)
    found: list[Answer] = []
    for low in range(0, rows.count, PIECE_ROWS):
        telling(low, rows.count)
        found.append(_predicted(model, _cut(rows, low, min(low + PIECE_ROWS, rows.count)), low))
    return Answer(tuple(map(_joined, zip(*(each.outputs for each in found), strict=True))), found[0].names)


def _predicted(model: Model, piece: Rows, before: int) -> Answer:
    try:
        return model.predict(piece)
    except RowsRefused as error:
        row, reason = first_refused(model, piece, str(error))
        raise RowsRefused(reason if row is None else f"row {before + row + 1}: {reason}") from error


def _cut(rows: Rows, low: int, high: int) -> Rows:
    return Rows(tuple(block[low:high] for block in rows.blocks), high - low, rows.method, rows.params, rows.names)


def _joined(outputs: tuple[Array, ...]) -> Array:
    return np.concatenate(outputs)


def _file(asked: Files, version: Version, model: Model, telling: _Telling) -> Stored:
    """Goes on where an earlier try of it stopped."""
    given, out = pair(asked.source, asked.target)
    task = Task(Source(given), out, asked.keys, asked.probabilities)

    @contextmanager
    def shown(*, total: int | None, done: int) -> Iterator[Advance]:
        telling(done, total)
        yield lambda rows: telling(rows, total)

    done = work.score(task, version, model, overlapping(CALLS), work.Progress(shown, lambda _: None))
    return Stored(asked.target, PARQUET if out.form == "parquet" else "text/csv", done.rows)
