"""Score a file: a chunk is read, asked about and put aside as a part, one after the other; then the parts are joined.

At most about one chunk is in memory.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass
from typing import Any, Protocol

from serving.errors import NoProbabilities, PredictionFailed, RowsRefused
from serving.protocol import Answer, Model, NotRows, Rows, Version
from serving.scoring import answers
from serving.scoring.parts import Parts
from serving.scoring.places import Place
from serving.scoring.progress import Advance
from serving.scoring.questions import Question
from serving.scoring.reading import Source
from serving.scoring.refusal import BadInput, NotScored
from serving.scoring.summary import Done, Predictions


class Shown(Protocol):
    def __call__(self, *, total: int | None, done: int) -> AbstractContextManager[Advance]:
        """As `progress.shown`."""


@dataclass(frozen=True)
class Progress:
    shown: Shown
    say: Callable[[str], None]


@dataclass(frozen=True)
class Task:
    source: Source
    out: Place
    keys: tuple[str, ...] = ()
    """Columns of the input that stand beside the predictions."""
    probabilities: bool = False
    chunk_rows: int = 65_536

    @property
    def uri(self) -> str:
        """Of the input."""
        return self.source.place.uri


def score(task: Task, version: Version, model: Model, progress: Progress) -> Done:
    """NotScored, and nothing of the output is there then; NoProbabilities; OSError."""
    if task.probabilities and not model.probabilities:
        raise NoProbabilities(version.name)
    began = time.perf_counter()
    question = Question(model, task.source.names, keys=task.keys, is_text=task.source.is_text)
    task.source.require([*question.columns, *task.keys])
    with closing(Parts(task.out, _described(task, version, model))) as parts:
        rows_before = parts.rows
        _tell(parts, progress.say)
        try:
            _answer_all(task, model, question, parts, progress)
            if task.source.place.seen() != task.source.seen:
                raise BadInput(f"{task.uri}: it was changed while it was read; give the same command again")
        except BadInput:
            parts.remove()
            raise
        predictions = Predictions(task.keys)
        parts.assemble(predictions.add)
    return Done(parts.rows, rows_before, time.perf_counter() - began, predictions)


def _answer_all(task: Task, model: Model, question: Question, parts: Parts, progress: Progress) -> None:
    columns = list(dict.fromkeys([*question.columns, *task.keys]))
    with progress.shown(total=task.source.rows, done=parts.rows) as advance:
        for chunk in task.source.chunks(columns, rows=task.chunk_rows, skip=parts.rows):
            parts.put(_answered(task, model, question, chunk, parts.rows))
            advance(parts.rows)
    if not parts.rows:
        raise BadInput(f"{task.uri}: it has no rows")


def _tell(parts: Parts, say: Callable[[str], None]) -> None:
    if parts.anew:
        say("an earlier run of this output read another input, or had another version or options; starting anew")
    if parts.rows:
        say(f"going on after row {parts.rows:,}, where an earlier run stopped")


def _described(task: Task, version: Version, model: Model) -> Mapping[str, object]:
    """All that the output depends on."""
    which = {"name": version.name, "number": version.number, "created_ms": version.created_ms, "source": version.source}
    options = {"keys": task.keys, "probabilities": task.probabilities, "chunk_rows": task.chunk_rows}
    by = {**which, "manifest": version.manifest, "runtime": model.runtime}
    return {"format": 1, "input": task.source.seen, "version": by, "options": options}


def _answered(task: Task, model: Model, question: Question, chunk: Any, before: int) -> Any:
    try:
        rows = question.rows(chunk, before, probabilities=task.probabilities)
    except BadInput as refusal:
        raise BadInput(f"{task.uri}: {refusal}") from refusal
    answer = _predicted(model, rows, before, task.uri)
    return answers.beside(chunk, task.keys, answer, model.signature, probabilities=task.probabilities)


def _predicted(model: Model, rows: Rows, before: int, uri: str) -> Answer:
    among = f"{uri}: rows {before + 1} to {before + rows.count}"
    try:
        return model.predict(rows)
    except RowsRefused as error:
        row, reason = first_refused(model, rows, str(error))
        where = among if row is None else f"{uri}: row {before + row + 1}"
        raise BadInput(f"{where}: {reason}") from error
    except NotRows as error:
        raise NotScored(f"{among}: the version's answers are not one a row") from error
    except Exception as error:
        cause = error.__cause__ if isinstance(error, PredictionFailed) and error.__cause__ else error
        raise NotScored(f"{among}: the version failed ({type(cause).__name__}: {cause})") from error


def first_refused(model: Model, rows: Rows, reason: str) -> tuple[int | None, str]:
    """The row that the model cannot predict, counted from 0, and what it says of that one; None: of all together."""
    low, high = 0, rows.count
    while high - low > 1:
        middle = (low + high) // 2
        if _refusal(model, rows, low, middle) is not None:
            high = middle
        else:
            low = middle
    alone = _refusal(model, rows, low, high)
    return (low, alone.replace("row 1, ", "", 1)) if alone is not None else (None, reason)


def _refusal(model: Model, rows: Rows, low: int, high: int) -> str | None:
    blocks = tuple(block[low:high] for block in rows.blocks)
    try:
        model.predict(Rows(blocks, high - low, rows.method, rows.params, rows.names))
    except RowsRefused as error:
        return str(error)
    return None
