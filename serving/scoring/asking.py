"""What is asked of a file, and a chunk of it answered: a table of the keys and the predictions.

Whatever goes wrong is told by its row in the file. An engine calls this for each chunk, wherever that is.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any, Protocol

from serving.errors import PredictionFailed, RowsRefused
from serving.protocol import Answer, Model, NotRows, Rows
from serving.scoring import answers
from serving.scoring.places import Place
from serving.scoring.questions import Question
from serving.scoring.reading import Source
from serving.scoring.refusal import BadInput, NotScored


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


class Asking:
    """`columns`: those of the file that are read."""

    def __init__(self, task: Task, model: Model) -> None:
        """NotScored where no table can hold what the model takes."""
        self._task, self._model = task, model
        self._question = Question(model, task.source.names, keys=task.keys, is_text=task.source.is_text)
        self.columns = tuple(dict.fromkeys([*self._question.columns, *task.keys]))

    def answered(self, chunk: Any, before: int) -> Any:
        """`before`: how many rows of the file came before the chunk. BadInput, NotScored."""
        task = self._task
        try:
            rows = self._question.rows(chunk, before, probabilities=task.probabilities)
        except BadInput as refusal:
            raise BadInput(f"{task.uri}: {refusal}") from refusal
        answer = _predicted(self._model, rows, before, task.uri)
        return answers.beside(chunk, task.keys, answer, self._model.signature, probabilities=task.probabilities)


class Engine(Protocol):
    def __call__(self, task: Task, asking: Asking, skip: int) -> Generator[Any, None, None]:
        """What is answered to the file's chunks after its first `skip` rows, in their order.

        BadInput and NotScored of the first chunk that has one, once all before it are answered; OSError.
        """


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
